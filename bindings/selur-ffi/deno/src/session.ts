/**
 * A bridge as the library knows it, and the completion queue: requests go in by frames, answers come back by tickets.
 *
 * While something is in flight one call waits for answers on a thread of Deno's pool. While nothing is, nothing waits, so
 * that an idle bridge keeps no process alive.
 *
 * @module
 */

import { SelurError } from "./errors.ts";
import { decode } from "./frames.ts";
import { failure, type Functions, type Opened, out, outPointers, problem } from "./library.ts";
import { COMPLETION_LAYOUT, DEADLINE_DEFAULT, DEADLINE_NONE, Status } from "./symbols.ts";

/** How a request is made. */
export interface SyncRequestOptions {
  /**
   * How long it may take until it fails with `timeout`, in milliseconds; `Infinity` is without end. Unless given it is the
   * bridge's.
   */
  deadlineMs?: number;
}

/** How a request is made that is answered by a promise. */
export interface RequestOptions extends SyncRequestOptions {
  /** Ends the request early: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a ticket was answered with: of a request, or an item of a stream. */
export interface Answer {
  /** One of `Status`. */
  status: number;
  /** One of `Kind`. */
  kind: number;
  /** The exit code of an end, the moment of an item of a log. */
  value: bigint;
  /** The data of a success, the message of a failure. */
  data: Uint8Array<ArrayBuffer>;
}

/** What gets the answer of a ticket. It must not begin anything before the one who called it is done. */
export type Waiter = (answer: Answer) => void;

const NOTHING = new Uint8Array(0);
const BATCH = 64;
const WORDS = COMPLETION_LAYOUT.SIZE / 4;
const LONGS = COMPLETION_LAYOUT.SIZE / 8;
const TICKET = COMPLETION_LAYOUT.ticket / 4;
const DATA = COMPLETION_LAYOUT.data / 8;
const VALUE = COMPLETION_LAYOUT.value / 8;
const LENGTH = COMPLETION_LAYOUT.length / 4;
const STATUS = COMPLETION_LAYOUT.status / 4;
const KIND = COMPLETION_LAYOUT.kind / 4;

/** The command byte and the length of a ping without a payload. */
const PING = new Uint8Array(5);

/**
 * How long one call waits. Deno has 32 threads for such calls and for files: where more bridges wait than that, each gets
 * its turn.
 */
const WAIT_MS = 1_000;
const WAIT_AMONG_MANY_MS = 20;
const MANY = 16;
let waiting = 0;

/** A place for completions. All bridges share it: who drains it has done so when it returns. */
class Batch {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly longs: BigUint64Array<ArrayBuffer>;
  readonly values: BigInt64Array<ArrayBuffer>;
  readonly count: Uint32Array<ArrayBuffer>;
  readonly pointer: Deno.PointerValue;
  readonly countPointer: Deno.PointerValue;

  constructor() {
    const buffer = new ArrayBuffer(BATCH * COMPLETION_LAYOUT.SIZE);
    this.words = new Uint32Array(buffer);
    this.longs = new BigUint64Array(buffer);
    this.values = new BigInt64Array(buffer);
    this.count = new Uint32Array(1);
    this.pointer = Deno.UnsafePointer.of(this.words);
    this.countPointer = Deno.UnsafePointer.of(this.count);
  }
}

let batch: Batch | undefined;

/** A bridge of the library. */
export class Session {
  /** The library's functions. */
  readonly functions: Functions;
  /** The library's name for the bridge; 0 once it is freed. */
  handle: bigint;
  readonly #opened: Opened;
  readonly #waiters = new Map<number, Waiter>();
  /** What ends each stream that is open. */
  readonly #streams = new Map<bigint, (reason: SelurError) => void>();
  #pump: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isWaiting = false;
  #isClosed = false;

  /** Takes over a bridge that was just made. */
  constructor(opened: Opened, handle: bigint) {
    this.#opened = opened;
    this.functions = opened.functions;
    this.handle = handle;
  }

  /** Whether it takes no more requests. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The handle, for a call. */
  use(): bigint {
    if (this.#isClosed) throw freed();
    return this.handle;
  }

  /** What a call gave: nothing if it succeeded, an error if it did not. */
  check(status: number): void {
    if (status !== Status.success) throw failure(this.functions, status);
  }

  /** Carries out a frame, blocking. */
  call(frame: Uint8Array<ArrayBuffer>, deadlineMs?: number): Uint8Array<ArrayBuffer> {
    const at = outPointers();
    this.check(
      this.functions.selur_call(this.use(), frame, frame.length, deadline(deadlineMs), at.out, at.problem),
    );
    return this.take(out.longs[0]!);
  }

  /** Copies the bytes that a call gave, and frees them. */
  take(bytes: bigint): Uint8Array<ArrayBuffer> {
    if (bytes === 0n) return NOTHING;
    const at = outPointers();
    this.check(this.functions.selur_bytes_view(bytes, at.out, at.problem));
    return this.#takeSome(bytes, out.words[2]!);
  }

  #takeSome(bytes: bigint, length: number): Uint8Array<ArrayBuffer> {
    if (bytes === 0n) return NOTHING;
    const data = new Uint8Array(length);
    this.check(this.functions.selur_bytes_take(bytes, data, length, outPointers().problem));
    return data;
  }

  /** Begins a frame; the waiter gets its answer, perhaps before this returns. Gives its ticket. */
  submit(frame: Uint8Array<ArrayBuffer>, deadlineMs: number | undefined, waiter: Waiter): number {
    const at = outPointers();
    const { selur_submit_frame } = this.functions;
    this.check(
      selur_submit_frame(this.use(), frame, frame.length, deadline(deadlineMs), at.out, at.problem),
    );
    return this.expect(waiter);
  }

  /** Sees to it that the ticket which a call has just written gets its waiter. */
  expect(waiter: Waiter): number {
    const ticket = out.words[0]! + out.words[1]! * 0x1_0000_0000;
    this.#waiters.set(ticket, waiter);
    // What needs no effect is answered by now.
    this.drain();
    if (this.#waiters.size > 0) this.#pump ??= this.#run();
    return ticket;
  }

  /** Whether a ticket is not answered yet. */
  isOpen(ticket: number): boolean {
    return this.#waiters.has(ticket);
  }

  /** Asks for an early end of what was begun. Its answer still comes. */
  cancel(ticket: number): void {
    if (this.#isClosed) return;
    this.functions.selur_cancel(this.handle, BigInt(ticket), null);
  }

  /** Has another waiter get the answer of a ticket. */
  replace(ticket: number, waiter: Waiter): void {
    if (this.#waiters.has(ticket)) this.#waiters.set(ticket, waiter);
  }

  /** Undoes what a request made whose end came too late to be a cancellation. */
  abandon(command: number, late: Answer): void {
    if (late.status !== Status.success) return;
    this.functions.selur_abandon(this.handle, command, plain(late.data), late.data.length, null);
  }

  /** Hands out every answer that is there. */
  drain(): void {
    if (this.handle === 0n) return;
    batch ??= new Batch();
    const { count, pointer, countPointer } = batch;
    do {
      count[0] = 0;
      this.functions.selur_completions_drain(this.handle, pointer, BATCH, countPointer, null);
      this.#hand(batch);
    } while (count[0] === BATCH);
    // Nothing is to come any more: the process need not live for it.
    if (this.#waiters.size === 0 && this.#isWaiting && !this.#isClosed) this.#wake();
  }

  /** Takes the stream of this number, which a request was answered with. */
  takeStream(id: bigint): bigint {
    const at = outPointers();
    this.check(this.functions.selur_stream_take(this.use(), id, at.out, at.problem));
    const stream = out.longs[0]!;
    this.#streams.set(stream, () => this.freeStream(stream));
    return stream;
  }

  /** Has a stream ended in this way when the bridge is closed. */
  ownStream(stream: bigint, end: (reason: SelurError) => void): void {
    this.#streams.set(stream, end);
  }

  /** Ends a stream. Doing so again does nothing. */
  freeStream(stream: bigint): void {
    if (!this.#streams.delete(stream)) return;
    this.functions.selur_stream_free(stream);
  }

  /** Closes and frees, blocking up to 5 s; what is in flight is answered `cancelled`. */
  free(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endStreams();
    this.functions.selur_bridge_close(this.handle, null);
    this.drain();
    // A call that waits returns at once, for the bridge is closed.
    if (this.#pump === undefined) this.#release();
    else void this.#pump.then(() => this.#release());
  }

  /** Closes and frees without blocking; what is in flight is answered `cancelled`. */
  async close(): Promise<void> {
    if (this.#isClosed) return await (this.#closing ?? this.#pump);
    await (this.#closing = this.#close());
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#endStreams();
    await this.functions.selur_bridge_close_nonblocking(this.handle, null);
    this.drain();
    await this.#pump;
    this.#release();
  }

  #endStreams(): void {
    const reason = new SelurError("cancelled", CLOSED);
    for (const end of [...this.#streams.values()]) end(reason);
  }

  #release(): void {
    this.#cancelAll();
    this.functions.selur_bridge_free(this.handle);
    this.handle = 0n;
    this.#opened.release();
  }

  /** Waits for answers as long as some are to come. The wait takes nothing and writes nothing: answers are drained here. */
  async #run(): Promise<void> {
    while (this.#waiters.size > 0) {
      this.#isWaiting = true;
      waiting++;
      const most = waiting > MANY ? WAIT_AMONG_MANY_MS : WAIT_MS;
      const status = await this.functions.selur_completions_ready_nonblocking(this.handle, most, null);
      waiting--;
      this.#isWaiting = false;
      this.drain();
      if (status !== Status.success && status !== Status.timeout) break;
    }
    // Without a break there is none left.
    this.#cancelAll();
    this.#pump = undefined;
  }

  /** Ends a wait for answers that were drained meanwhile. */
  #wake(): void {
    const at = outPointers();
    this.functions.selur_submit_frame(this.handle, PING, PING.length, DEADLINE_DEFAULT, at.out, at.problem);
    problem[0] = 0n;
  }

  /** Hands out a batch. */
  #hand(batch: Batch): void {
    const { words, longs, values } = batch;
    const count = batch.count[0]!;
    for (let each = 0; each < count; each++) {
      const word = each * WORDS;
      const long = each * LONGS;
      const ticket = words[word + TICKET]! + words[word + TICKET + 1]! * 0x1_0000_0000;
      const data = this.#takeSome(longs[long + DATA]!, words[word + LENGTH]!);
      const waiter = this.#waiters.get(ticket);
      if (waiter === undefined) continue;
      this.#waiters.delete(ticket);
      waiter({
        status: words[word + STATUS]!,
        kind: words[word + KIND]!,
        value: values[long + VALUE]!,
        data,
      });
    }
  }

  /** Answers what the library will not answer any more. */
  #cancelAll(): void {
    const data = new TextEncoder().encode(CLOSED);
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) waiter({ status: Status.cancelled, kind: 0, value: 0n, data });
  }
}

const CLOSED = "the bridge was closed";

/** The error of a failed answer. */
export function failed(answer: Answer): SelurError {
  return new SelurError(answer.status, decode(answer.data));
}

/** The error of a call to a bridge that is closed. */
export function freed(): SelurError {
  return new SelurError("invalid_request", "the bridge is closed: make a new one");
}

/** A deadline as the library takes it. */
export function deadline(deadlineMs: number | undefined): number {
  if (deadlineMs === undefined) return DEADLINE_DEFAULT;
  if (deadlineMs === Infinity) return DEADLINE_NONE;
  const whole = Math.ceil(deadlineMs);
  if (whole > 0 && whole < DEADLINE_NONE) return whole;
  throw new SelurError(
    "invalid_request",
    `${deadlineMs} is no deadline: give milliseconds from 1 to 4294967294, or Infinity`,
  );
}

/** Frames that are not of a plain buffer cannot be given to the library as they are. */
export function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
}
