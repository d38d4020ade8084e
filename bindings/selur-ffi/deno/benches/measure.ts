/**
 * How the benchmarks measure, and how they say it: one line for each way and size, tab-separated. A sample is the mean of a
 * batch of calls, for one alone is shorter than reading the clock twice; benchmarks/README.md says when the samples are enough.
 *
 * @module
 */

/** The payloads in bytes. */
export const PAYLOADS = [0, 100, 1024, 10240, 102400, 262144];

const MOST_MS = 1000 * Number(Deno.env.get("SELUR_BENCH_SECONDS") ?? 1);
const LEAST_SAMPLES = 100;

/** Measures a call that is done when it returns. */
export function measure(way: string, bytes: number, batch: number, most: number, call: () => void): void {
  const samples = new Samples(most);
  while (samples.areWanted()) {
    const began = performance.now();
    for (let round = 0; round < batch; round++) call();
    samples.add((performance.now() - began) * 1e6 / batch);
  }
  samples.say(way, bytes);
}

/** Measures a call that is done when its promise is. */
export async function measureAsync(
  way: string,
  bytes: number,
  batch: number,
  most: number,
  call: () => Promise<void>,
): Promise<void> {
  const samples = new Samples(most);
  while (samples.areWanted()) {
    const began = performance.now();
    for (let round = 0; round < batch; round++) await call();
    samples.add((performance.now() - began) * 1e6 / batch);
  }
  samples.say(way, bytes);
}

/** Nanoseconds a call, of which the first ones warm up. */
class Samples {
  readonly #most: number;
  readonly #begin = performance.now();
  #warmingUp: number;
  #taken: number[] = [];

  constructor(most: number) {
    this.#most = most;
    this.#warmingUp = most / 10;
  }

  areWanted(): boolean {
    const count = this.#taken.length;
    return count < this.#most && (count < LEAST_SAMPLES || this.#elapsed() < MOST_MS);
  }

  add(nanoseconds: number): void {
    if (this.#warmingUp > 0 && this.#elapsed() < MOST_MS / 10) {
      this.#warmingUp--;
    } else {
      this.#warmingUp = 0;
      this.#taken.push(nanoseconds);
    }
  }

  /** Prints the p50, the p99, and the p99.9 if there are samples enough for it. */
  say(way: string, bytes: number): void {
    this.#taken.sort((a, b) => a - b);
    const at = (part: number): string => this.#taken[Math.floor(this.#taken.length * part)]?.toFixed(1) ?? "";
    console.log([way, bytes, at(0.5), at(0.99), this.#taken.length < 1000 ? "" : at(0.999)].join("\t"));
  }

  #elapsed(): number {
    return performance.now() - this.#begin;
  }
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
