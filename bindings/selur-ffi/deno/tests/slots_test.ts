import assert from "node:assert/strict";
import { type Bridge, Command, type Slot } from "../mod.ts";
import { fails, rejects, simulated } from "./support.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function view(answer: Uint8Array | Promise<Uint8Array>): Uint8Array {
  assert(answer instanceof Uint8Array, "this was to be answered at once");
  return answer;
}

Deno.test("the answer of a ping lies in the slot that it was written to", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(128);
  assert(slot.capacity >= 128 && slot.bytes.length === slot.capacity);
  const answer = view(slot.submit(slot.write("ping", "hello from Deno")));
  assert.equal(text(answer), "hello from Deno");
  assert.equal(answer.buffer, slot.bytes.buffer);
  assert(answer.byteOffset >= slot.bytes.byteOffset);
  assert(answer.byteOffset + answer.length <= slot.bytes.byteOffset + slot.capacity);
});

Deno.test("a slot is used again and again, and views of one place are one view", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(128);
  const first = view(slot.submit(slot.write("ping", "a".repeat(100))));
  for (let round = 0; round < 1_000; round++) {
    assert.equal(slot.submit(slot.write("ping", `${round % 10}`.repeat(100))), first);
    assert.equal(first[99], 0x30 + round % 10);
  }
  assert.equal(view(slot.submit(slot.write("ping", "b"))).length, 1);
  assert.equal(view(slot.submit(slot.write("ping", ""))).length, 0);
});

Deno.test("a frame is written by its command and payload, and refused where it does not fit", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(64);
  for (const payload of ["grün", new TextEncoder().encode("grün")]) {
    for (const command of ["ping", Command.ping] as const) {
      assert.equal(slot.write(command, payload), 10);
      assert.deepEqual([...slot.bytes.subarray(0, 5)], [0, 5, 0, 0, 0]);
      assert.equal(text(view(slot.submit(10))), "grün");
    }
  }
  for (
    const payload of ["x".repeat(slot.capacity), "ü".repeat(slot.capacity / 2), new Uint8Array(slot.capacity)]
  ) {
    assert.match(fails("invalid_request", () => slot.write("ping", payload)).message, /reserve more/);
  }
  slot.release();
  for (const command of [-1, 256, "explode" as "ping"]) {
    fails("invalid_request", () => slot.write(command, ""));
  }
  fails("invalid_request", () => slot.write("ping", "a"));
});

Deno.test("a refusal leaves the slot to be used again", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(64);
  fails("invalid_request", () => slot.submit(3));
  fails("invalid_request", () => slot.submit(slot.capacity + 1));
  fails("invalid_request", () => slot.submit(slot.write("inspect_container", "no such name")));
  assert.equal(text(view(slot.submit(slot.write("ping", "on")))), "on");
});

Deno.test("what takes longer gives a promise, and the slot can only be released then", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(64);
  const answer = slot.submit(slot.write("create_container", "busybox"));
  assert(answer instanceof Promise);
  const id = text(await answer);
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.deepEqual(await bridge.listContainers(), [id]);
  assert.match(fails("invalid_request", () => slot.submit(5)).message, /was submitted/);
  fails("invalid_request", () => slot.bytes);
  fails("invalid_request", () => slot.write("ping", "a"));
});

Deno.test("a slot's promise rejects with the status, and with cancelled when the bridge is closed", async () => {
  const bridge = simulated();
  using slot = bridge.reserve(64);
  const failing = slot.submit(slot.write("create_container", "fault.test/create:network_error"));
  await rejects("network_error", Promise.resolve(failing));
  using other = bridge.reserve(64);
  const hanging = rejects(
    "cancelled",
    Promise.resolve(other.submit(other.write("create_container", "fault.test/hang:create"))),
  );
  await bridge.close();
  await hanging;
});

Deno.test("a slot's deadline is that of its request", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(64, { deadlineMs: 10 });
  await rejects(
    "timeout",
    Promise.resolve(slot.submit(slot.write("create_container", "fault.test/hang:create"))),
  );
});

Deno.test("an answer that does not fit into the slot comes all the same", async () => {
  await using bridge = simulated();
  const ids = await Promise.all(Array.from({ length: 50 }, () => bridge.createContainer("busybox")));
  using slot = bridge.reserve(8);
  let answer: string;
  try {
    answer = text(await slot.submit(slot.write("list_containers", "")));
  } catch {
    fails("invalid_request", () => slot.submit(slot.write("list_containers", "")));
    answer = (await bridge.listContainers()).join("\n");
  }
  assert.deepEqual(answer.split("\n").sort(), ids.sort());
});

Deno.test("a released slot is refused", async () => {
  await using bridge = simulated();
  const slot = bridge.reserve(64);
  slot.release();
  slot.release();
  slot[Symbol.dispose]();
  assert.match(fails("invalid_request", () => slot.submit(5)).message, /reserve another/);
  fails("invalid_request", () => slot.bytes);
});

Deno.test("the arena runs out at once, and has room again", async () => {
  await using bridge = simulated();
  const slots: Slot[] = [];
  const error = fails("resource_exhausted", () => {
    for (;;) slots.push(bridge.reserve(262_149));
  });
  assert.match(error.message, /arena has no room/);
  assert(slots.length >= 2);
  for (const slot of slots) slot.release();
  using again = bridge.reserve(262_149);
  assert(again.capacity >= 262_149);
  fails("invalid_request", () => bridge.reserve(262_150));
});

/** Views that somebody kept. */
function kept(bridge: Bridge): { slot: Slot; views: Uint8Array[] } {
  const slot = bridge.reserve(64);
  const answer = view(slot.submit(slot.write("ping", "kept")));
  return { slot, views: [slot.bytes, answer, slot.bytes.subarray(3)] };
}

Deno.test("views that are kept longer than the bridge are empty, and never read what is not there", async () => {
  for (const end of [(bridge: Bridge) => bridge.free(), (bridge: Bridge) => bridge.close()]) {
    const bridge = simulated();
    const { slot, views } = kept(bridge);
    await end(bridge);
    for (const view of views) {
      assert.equal(view.length, 0);
      assert.equal(view[0], undefined);
      view[0] = 1;
    }
    fails("invalid_request", () => slot.submit(9));
    fails("invalid_request", () => slot.bytes);
    slot.release();
  }
});

Deno.test("a frame that lies in a slot is copied before it is called", async () => {
  await using bridge = simulated();
  using slot = bridge.reserve(64);
  const frame = slot.bytes.subarray(0, slot.write("ping", "copied"));
  assert.equal(text((await bridge.call(frame)).data), "copied");
  assert.equal(text(bridge.callSync(frame).data), "copied");
});

Deno.test("lengths that are none are refused in words", () => {
  using bridge = simulated();
  using slot = bridge.reserve(64);
  for (const wrong of [-1, NaN, 1.7, 2 ** 32 + 8, Infinity]) {
    assert.match(fails("invalid_request", () => bridge.reserve(wrong)).message, /no length/);
    assert.match(fails("invalid_request", () => slot.submit(wrong)).message, /no length/);
  }
});
