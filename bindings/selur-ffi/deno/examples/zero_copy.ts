/** A request frame that is written into the guest's memory, and an answer that is read there. */
import { Command } from "../mod.ts";
import { exampleBridge } from "./support.ts";

using bridge = exampleBridge();
using slot = bridge.reserve(128);

/** Writes a frame into the slot, and gives its length. */
function write(command: number, payload: string): number {
  const { written } = new TextEncoder().encodeInto(payload, slot.bytes.subarray(5));
  slot.bytes.set([command, written, 0, 0, 0]);
  return 5 + written;
}

const answer = await slot.submit(write(Command.ping, "hello from Deno"));
console.log(`answer   ${new TextDecoder().decode(answer)}`);
const isThere = answer.buffer === slot.bytes.buffer && answer.byteOffset >= slot.bytes.byteOffset;
console.log(`place    ${isThere ? "in" : "outside"} the slot that the request was written to`);

const rounds = 100_000;
const frame = write(Command.ping, "x".repeat(100));
for (let round = 0; round < rounds; round++) slot.submit(frame);
console.log(`rounds   ${rounds}, 100 bytes each`);
