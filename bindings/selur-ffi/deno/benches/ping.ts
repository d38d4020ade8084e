/**
 * What a ping costs from Deno, guest included.
 *
 * @module
 */
import { Bridge, type Slot } from "../mod.ts";
import { expect, measure, PAYLOADS, pingFrame, writeHeader } from "./measure.ts";

const [BATCH, SAMPLES] = [500, 2000];

using bridge = new Bridge({ runtime: "simulated" });
for (const bytes of PAYLOADS) {
  const frame = pingFrame(bytes);
  {
    using slot = bridge.reserve(frame.length);
    slot.bytes.set(frame);
    // The payload lies in the slot already: a program that uses slots makes it there.
    measure("in place, one slot", bytes, BATCH, SAMPLES, () => {
      writeHeader(slot.bytes, bytes);
      expect(answer(slot, frame.length).length === bytes, "its length");
    });
    measure("in one slot, payload written each time", bytes, BATCH, SAMPLES, () => {
      slot.bytes.set(frame);
      expect(answer(slot, frame.length).length === bytes, "its length");
    });
  }
  measure("in place, reserve + submit + release", bytes, BATCH, SAMPLES, () => {
    using slot = bridge.reserve(frame.length);
    writeHeader(slot.bytes, bytes);
    expect(answer(slot, frame.length).length === bytes, "its length");
  });
  measure("by copy", bytes, BATCH, SAMPLES, () => {
    const answer = bridge.callSync(frame);
    expect(answer.data.length === bytes, "its length");
  });
}

/** A ping is answered at once: there is nothing to await. */
function answer(slot: Slot, frameLength: number): Uint8Array {
  return slot.submit(frameLength) as Uint8Array;
}
