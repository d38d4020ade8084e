/**
 * Streams: what flows beside the kernel, as `ReadableStream`s that are iterable, too. Nothing is read before somebody reads:
 * who writes is held back.
 *
 * @module
 */

import { SelurError } from "./errors.ts";
import { parse } from "./json.ts";
import { outPointers } from "./library.ts";
import type { Event, Image, PullProgress, Pushed } from "./schemas.ts";
import { type Answer, failed, freed, plain, type Session } from "./session.ts";
import { EXIT_CODE_UNKNOWN, Kind, Status } from "./symbols.ts";

/** A piece of what a process wrote, cut anywhere. */
export interface Output {
  /** Where it was written. A terminal has `stdout` only. */
  from: "stdout" | "stderr";
  /** What was written. */
  data: Uint8Array<ArrayBuffer>;
}

/** A piece of a log: at most a line. */
export interface LogEntry extends Output {
  /** When it was written, in nanoseconds since the Unix epoch. */
  time_ns: bigint;
}

/** What {@linkcode Bridge.events} gives. */
export type EventItem =
  | {
    /** What happened. */
    event: Event;
  }
  | {
    /** How many events a slow reader missed. */
    lagged: number;
  };

/** What {@linkcode Bridge.pullImageWithProgress} gives. */
export type PullItem =
  | {
    /** How far it is. */
    progress: PullProgress;
  }
  | {
    /** The image, as the last item. */
    pulled: Image;
  };

/** What {@linkcode Bridge.pushImageWithProgress} gives. */
export type PushItem =
  | {
    /** How far it is. */
    progress: PullProgress;
  }
  | {
    /** What the registry has now, as the last item. */
    pushed: Pushed;
  };

/** What {@linkcode Bridge.takeStream} gives: an item as the library gives it. */
export interface StreamItem {
  /** What it is: a piece of output, or JSON. */
  kind: "stdout" | "stderr" | "json";
  /** Of an item of a log its moment, in nanoseconds since the Unix epoch; else 0. */
  value: bigint;
  /** The bytes. */
  data: Uint8Array<ArrayBuffer>;
}

/** What a process wrote, and how it ended. */
export interface Collected {
  /** All of its standard output. */
  stdout: Uint8Array<ArrayBuffer>;
  /** All of its standard error. */
  stderr: Uint8Array<ArrayBuffer>;
  /** 0 to 255, 128 + a signal, or null if nobody knows it. */
  exitCode: number | null;
}

/** Frees what nobody holds any more and nobody closed. */
const forgotten = new FinalizationRegistry<Source>((source) => source.free());

/** A stream of the library. */
export class Source {
  /** Called once when it has ended: with the exit code where there is one, with what broke it. */
  onEnd: (end: { exitCode?: number | null; reason?: unknown }) => void = () => {};
  readonly #session: Session;
  readonly #handle: bigint;
  readonly #signal: AbortSignal | undefined;
  #isOpen = true;
  #reason: unknown = new SelurError("invalid_request", "this stream was closed: open another");
  #sending: Promise<void> = Promise.resolve();
  #reading: { reject: (reason: unknown) => void } | undefined;
  #abort = (): void => this.end({ reason: this.#signal?.reason });

  /** Takes over a stream that was just taken. */
  constructor(session: Session, handle: bigint, signal?: AbortSignal) {
    this.#session = session;
    this.#handle = handle;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
    session.ownStream(handle, (reason) => this.end({ reason }));
  }

  /** The next item, whatever its kind. */
  next(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#reading = { reject };
      this.#begin(
        (at) => this.#session.functions.selur_stream_submit_next(this.#use(), at.out, at.problem),
        (answer) => {
          this.#reading = undefined;
          if (answer.status === Status.success) resolve(answer);
          else reject(failed(answer));
        },
      );
    });
  }

  /** Sends bytes to a process. */
  write(bytes: Uint8Array): Promise<void> {
    const { selur_stream_submit_write } = this.#session.functions;
    return this.#send((at) => {
      if (!(bytes instanceof Uint8Array)) {
        throw new SelurError("invalid_request", "write a Uint8Array: TextEncoder makes one of a text");
      }
      const data = plain(bytes);
      return selur_stream_submit_write(this.#use(), data, data.length, at.out, at.problem);
    });
  }

  /** Ends a process's input, once it has read what was sent before. */
  endInput(): Promise<void> {
    const { selur_stream_submit_end_input } = this.#session.functions;
    return this.#send((at) => selur_stream_submit_end_input(this.#use(), at.out, at.problem));
  }

  /** Tells a process's terminal its size. */
  resize(rows: number, columns: number): void {
    for (const size of [rows, columns]) {
      if (!Number.isInteger(size) || size < 0 || size > 0xFFFF) {
        throw new SelurError("invalid_request", `${size} is no size of a terminal: give 0 to 65535`);
      }
    }
    this.#use();
    const { selur_stream_submit_resize } = this.#session.functions;
    const told = this.#send((at) =>
      selur_stream_submit_resize(this.#use(), rows, columns, at.out, at.problem)
    );
    // A process that has ended meanwhile has no terminal.
    told.catch(() => undefined);
  }

  /** Frees it; a read that is under way ends. */
  free(): void {
    this.end({});
  }

  /** Frees it and says how it ended, once. */
  end(end: { exitCode?: number | null; reason?: unknown }): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#session.freeStream(this.#handle);
    if ("reason" in end) {
      this.#reason = end.reason;
      this.#reading?.reject(end.reason);
    }
    this.onEnd(end);
  }

  #use(): bigint {
    if (this.#session.isClosed) throw freed();
    if (!this.#isOpen) throw this.#reason;
    return this.#handle;
  }

  /** Sends something to the process, after what was sent before: the library takes one at a time. */
  #send(call: (at: ReturnType<typeof outPointers>) => number): Promise<void> {
    const sent = this.#sending.then(() =>
      new Promise<void>((resolve, reject) => {
        this.#begin(call, (answer) => answer.status === Status.success ? resolve() : reject(failed(answer)));
      })
    );
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  #begin(
    call: (at: ReturnType<typeof outPointers>) => number,
    waiter: (answer: Answer) => void,
  ): void {
    this.#session.check(call(outPointers()));
    this.#session.expect(waiter);
  }
}

/**
 * A stream of items: a `ReadableStream`, and an async iterable. Leaving the loop, cancelling and disposing end it; so does
 * the signal that it was opened with. One that is dropped is freed some time later.
 */
export class ItemStream<T> extends ReadableStream<T> implements AsyncDisposable {
  readonly #source: Source;

  /** Use the methods of {@linkcode Bridge}. */
  constructor(source: unknown, itemOf: (answer: Answer) => T | undefined) {
    if (!(source instanceof Source)) throw new TypeError("use a method of Bridge");
    super({
      pull: async (controller) => {
        try {
          const answer = await source.next();
          const item = itemOf(answer);
          if (item !== undefined) return controller.enqueue(item);
          source.end(answer.kind === Kind.ended ? { exitCode: exitCodeOf(answer) } : {});
          controller.close();
        } catch (reason) {
          source.end({ reason });
          controller.error(reason);
        }
      },
      cancel: () => source.free(),
    }, { highWaterMark: 0 });
    this.#source = source;
    forgotten.register(this, source, this);
  }

  /** Ends the stream, whoever reads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#source.free();
    if (!this.locked) await this.cancel().catch(() => undefined);
  }
}

/**
 * A process that was started in a container, or a container's first one that is attached to. Its output is read from it,
 * piece by piece; what is not read holds the process back. Ending it kills the process of an exec, and leaves an attached one
 * as it is.
 *
 * ```ts
 * import { Bridge } from "./mod.ts";
 *
 * async function answer(bridge: Bridge, container: string): Promise<string> {
 *   const session = await bridge.exec(container, { command: ["cat"], stdin: true });
 *   // Who writes is held back until somebody reads: read at the same time.
 *   const output = session.collect();
 *   const input = session.stdin.getWriter();
 *   await input.write(new TextEncoder().encode("42"));
 *   await input.close();
 *   return new TextDecoder().decode((await output).stdout);
 * }
 * ```
 */
export class ExecSession extends ItemStream<Output> {
  /** What the process reads. Writing waits until it was taken; closing is the end of its input. */
  readonly stdin: WritableStream<Uint8Array>;
  /**
   * How the process ended: 0 to 255, 128 + a signal, or null if nobody knows it. It is known when all output was read;
   * rejects if the session ended before.
   */
  readonly exitCode: Promise<number | null>;
  readonly #source: Source;

  /** Use {@linkcode Bridge.exec} or {@linkcode Bridge.attach}. */
  constructor(source: unknown) {
    super(source, outputOf);
    const of = source as Source;
    this.#source = of;
    this.exitCode = new Promise((resolve, reject) => {
      of.onEnd = (end) => {
        if (end.exitCode !== undefined) resolve(end.exitCode);
        else {reject(
            "reason" in end
              ? end.reason
              : new SelurError("cancelled", "the session was ended before the process"),
          );}
      };
    });
    // Who does not ask how it ended need not be told.
    this.exitCode.catch(() => undefined);
    this.stdin = new WritableStream({
      // By way of the session: who holds its input alone holds the process, too.
      write: (chunk) => this.#source.write(chunk),
      close: () => this.#source.endInput(),
      abort: () => this.#source.endInput(),
    });
  }

  /** Tells the process's terminal its size, in characters. Nothing happens where there is none. */
  resize(rows: number, columns: number): void {
    this.#source.resize(rows, columns);
  }

  /** Reads all output, and gives it with the exit code. */
  async collect(): Promise<Collected> {
    const pieces: Record<Output["from"], Uint8Array<ArrayBuffer>[]> = { stdout: [], stderr: [] };
    for await (const { from, data } of this) pieces[from].push(data);
    const [stdout, stderr] = await Promise.all(
      [pieces.stdout, pieces.stderr].map(async (parts) =>
        new Uint8Array(await new Blob(parts).arrayBuffer())
      ),
    );
    return { stdout: stdout!, stderr: stderr!, exitCode: await this.exitCode };
  }
}

/** A piece of output; nothing where the process has ended. */
export function outputOf({ kind, data }: Answer): Output | undefined {
  if (kind === Kind.stdout) return { from: "stdout", data };
  return kind === Kind.stderr ? { from: "stderr", data } : undefined;
}

/** An item of any stream; nothing at its end. */
export function itemOf({ kind, value, data }: Answer): StreamItem | undefined {
  for (const name of ["stdout", "stderr", "json"] as const) {
    if (kind === Kind[name]) return { kind: name, value, data };
  }
  return undefined;
}

/** An entry of a log; nothing at its end. */
export function entryOf(answer: Answer): LogEntry | undefined {
  const output = outputOf(answer);
  return output && { ...output, time_ns: answer.value };
}

/** An item that is JSON; nothing at the end. */
export function jsonOf<T>({ kind, data }: Answer): T | undefined {
  return kind === Kind.json ? parse<T>(data) : undefined;
}

function exitCodeOf({ value }: Answer): number | null {
  return value === BigInt(EXIT_CODE_UNKNOWN) ? null : Number(value);
}
