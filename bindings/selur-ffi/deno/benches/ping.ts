/**
 * What a ping costs from Deno, guest included.
 *
 * @module
 */
import { Bridge, type Slot } from "../mod.ts";
import { expect, measure, PAYLOADS, pingFrame, writeHeader } from "./measure.ts";

const SAMPLES = 2000;

using bridge = new Bridge({ runtime: "simulated" });
for (const bytes of PAYLOADS) {
  const frame = pingFrame(bytes);
  const batch = bytes > 10240 ? 20 : 500;
  {
    using slot = bridge.reserve(frame.length);
    slot.bytes.set(frame);
    // The payload lies in the slot already: a program that uses slots makes it there.
    measure("in place, one slot", bytes, batch, SAMPLES, () => {
      writeHeader(slot.bytes, bytes);
      expect(answer(slot, frame.length).length === bytes, "its length");
    });
    measure("in one slot, payload written each time", bytes, batch, SAMPLES, () => {
      slot.bytes.set(frame);
      expect(answer(slot, frame.length).length === bytes, "its length");
    });
  }
  measure("in place, reserve + submit + release", bytes, batch, SAMPLES, () => {
    using slot = bridge.reserve(frame.length);
    writeHeader(slot.bytes, bytes);
    expect(answer(slot, frame.length).length === bytes, "its length");
  });
  measure("by copy", bytes, batch, SAMPLES, () => {
    const answer = bridge.callSync(frame);
    expect(answer.data.length === bytes, "its length");
  });
}

/** A ping is answered at once: there is nothing to await. */
function answer(slot: Slot, frameLength: number): Uint8Array {
  return slot.submit(frameLength) as Uint8Array;
}
