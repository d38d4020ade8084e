/** A request frame that is written into the guest's memory, and an answer that is read there. */
import { exampleBridge } from "./support.ts";

using bridge = exampleBridge();
using slot = bridge.reserve(128);

const answer = await slot.submit(slot.write("ping", "hello from Deno"));
console.log(`answer   ${new TextDecoder().decode(answer)}`);
const isThere = answer.buffer === slot.bytes.buffer && answer.byteOffset >= slot.bytes.byteOffset;
console.log(`place    ${isThere ? "in" : "outside"} the slot that the request was written to`);

const rounds = 100_000;
const payload = "x".repeat(100);
for (let round = 0; round < rounds; round++) slot.submit(slot.write("ping", payload));
console.log(`rounds   ${rounds}, 100 bytes each`);
