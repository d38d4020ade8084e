/**
 * How the benchmarks measure, and how they say it: one line for each way and size, tab-separated. A sample is the mean of a
 * batch of calls, for one alone is shorter than reading the clock twice.
 *
 * @module
 */

/** The payloads in bytes. */
export const PAYLOADS = [0, 100, 1024, 10240];

/** Measures a call that is done when it returns. The first tenth of the samples warms up. */
export function measure(way: string, bytes: number, batch: number, samples: number, call: () => void): void {
  const taken: number[] = [];
  for (let sample = -samples / 10; sample < samples; sample++) {
    const began = performance.now();
    for (let round = 0; round < batch; round++) call();
    const nanoseconds = (performance.now() - began) * 1e6 / batch;
    if (sample >= 0) taken.push(nanoseconds);
  }
  say(way, bytes, taken);
}

/** Measures a call that is done when its promise is. */
export async function measureAsync(
  way: string,
  bytes: number,
  batch: number,
  samples: number,
  call: () => Promise<void>,
): Promise<void> {
  const taken: number[] = [];
  for (let sample = -samples / 10; sample < samples; sample++) {
    const began = performance.now();
    for (let round = 0; round < batch; round++) await call();
    const nanoseconds = (performance.now() - began) * 1e6 / batch;
    if (sample >= 0) taken.push(nanoseconds);
  }
  say(way, bytes, taken);
}

/** A ping's frame: command, length, payload. */
export function pingFrame(bytes: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(5 + bytes).fill("x".charCodeAt(0));
  writeHeader(frame, bytes);
  return frame;
}

/** The command and the length of a ping. */
export function writeHeader(frame: Uint8Array, bytes: number): void {
  frame[0] = 0;
  frame[1] = bytes;
  frame[2] = bytes >> 8;
  frame[3] = bytes >> 16;
  frame[4] = bytes >> 24;
}

/** Ends the program if an answer is not what was asked for. */
export function expect(is: boolean, what: string): void {
  if (!is) throw new Error(`the answer is wrong: ${what}`);
}

function say(way: string, bytes: number, samples: number[]): void {
  samples.sort((a, b) => a - b);
  const at = (part: number): string => samples[Math.floor(samples.length * part)]?.toFixed(1) ?? "";
  console.log(`${way}\t${bytes}\t${at(0.5)}\t${at(0.99)}`);
}
