import assert from "node:assert/strict";
import { type Bridge, openLibrary, Status } from "../mod.ts";
import { replay, replyOf, type Vector, type Way } from "./replay.ts";
import { ROOT } from "./support.ts";

/** A floor, so that lost vectors are noticed; the files say how many there are. */
const AT_LEAST = 550;

function vectors(): Vector[] {
  const folder = new URL("conformance/vectors/", ROOT);
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.endsWith(".json")
  );
  const found = files.sort().flatMap((file): Vector[] =>
    JSON.parse(Deno.readTextFileSync(new URL(file, folder))).vectors
  );
  assert(found.length >= AT_LEAST, `${found.length} vectors are fewer than ${AT_LEAST}`);
  assert.equal(new Set(found.map(({ name }) => name)).size, found.length);
  return found;
}

async function replayAll(way: Way): Promise<void> {
  // A bridge after the other: the library stays open meanwhile.
  using _library = openLibrary();
  let ran = 0;
  const all = vectors();
  for (const vector of all) {
    await replay(vector, way);
    ran++;
  }
  assert.equal(ran, all.length);
  console.log(`${ran} vectors`);
}

Deno.test("every vector holds when its frames are awaited", () => {
  return replayAll((bridge, frame) => bridge.call(frame).catch(replyOf));
});

Deno.test("every vector holds when its frames are called", () => {
  return replayAll((bridge, frame) => bridge.callSync(frame));
});

Deno.test("every vector holds when its frames are written in place", () => replayAll(inPlace));

Deno.test("every vector of well-formed requests holds when they are made by command and fields", () => {
  return replayAll((bridge, frame) => {
    const length = frame.length >= 5 ? new DataView(frame.buffer, frame.byteOffset).getUint32(1, true) : -1;
    const payload = frame.subarray(5);
    // What is malformed on purpose can only go as a frame.
    if (length !== payload.length || (frame[0] !== 0 && payload.length === 0)) return bridge.callSync(frame);
    return byFields(bridge, frame[0]!, payload);
  });
});

async function inPlace(bridge: Bridge, frame: Uint8Array): Promise<{ status: number; data: Uint8Array }> {
  let slot;
  try {
    slot = bridge.reserve(frame.length);
    slot.bytes.set(frame);
    const answer = await slot.submit(frame.length);
    return { status: Status.success, data: answer.slice() };
  } catch (error) {
    return replyOf(error);
  } finally {
    slot?.release();
  }
}

async function byFields(
  bridge: Bridge,
  command: number,
  payload: Uint8Array,
): Promise<{ status: number; data: Uint8Array }> {
  const fields: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at <= payload.length; at++) {
    if (at < payload.length && (payload[at] !== 0 || command === 0)) continue;
    fields.push(payload.subarray(start, at));
    start = at + 1;
  }
  try {
    return { status: Status.success, data: await bridge.request(command, fields) };
  } catch (error) {
    return replyOf(error);
  }
}
