/**
 * A bridge: a guest that decides, and a runtime that performs.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { type CommandName, SelurError } from "./errors.ts";
import { cString, decode, frameOf } from "./frames.ts";
import { write } from "./json.ts";
import { acquire, failure, Library, type Opened, out, outPointers } from "./library.ts";
import { type Abortable, Requests } from "./requests.ts";
import type { AttachOptions, EventOptions, ExecSpec, LogOptions, Stats, StatsOptions } from "./schemas.ts";
import {
  type Answer,
  deadline,
  failed,
  plain,
  type RequestOptions,
  Session,
  type SyncRequestOptions,
} from "./session.ts";
import { ArenaView, Slot } from "./slots.ts";
import {
  entryOf,
  type EventItem,
  ExecSession,
  itemOf,
  ItemStream,
  jsonOf,
  type LogEntry,
} from "./streams.ts";
import { type PullItem, type PushItem, Source, type StreamItem } from "./streams.ts";
import { Runtime, Status } from "./symbols.ts";

/** What a bridge is made with. */
export interface BridgeOptions {
  /** The guest: a .wasm file, or its bytes; the one that the library was built with unless given. */
  guest?: string | URL | Uint8Array;
  /**
   * What performs the effects: `oci` is runc, without a daemon; `docker` is a Docker or Podman daemon; `simulated` lives in
   * memory, for tests. `auto`, which it is unless given, is real containers, and never simulated ones.
   */
  runtime?: keyof typeof Runtime;
  /** The folder that real containers keep their state in. */
  stateRoot?: string | URL;
  /** The program that holds a real container, selur-shim. */
  shim?: string | URL;
  /** The socket of the daemon, for the runtime `docker`. */
  dockerSocket?: string | URL;
  /** The deadline of requests that are made without one, in milliseconds; none unless given. */
  deadlineMs?: number;
  /** libselur.so, or what {@linkcode openLibrary} gave; it is looked for unless given. */
  library?: string | URL | Library;
}

/** The answer of a frame. */
export interface Response {
  /** How it ended, as its code: 0 is success. */
  status: number;
  /** The data of a success; of a failure a message for people, in UTF-8. */
  data: Uint8Array<ArrayBuffer>;
}

/**
 * A bridge: a guest that decides, and a runtime that performs. Requests are methods: each gives a promise, and has a blocking
 * twin whose name ends in `Sync`. All of them fail with a {@linkcode SelurError}.
 *
 * Close it with `close()`, `using` or `await using`. Containers go on without it.
 *
 * ```ts
 * import { Bridge } from "./mod.ts";
 *
 * await using bridge = new Bridge({ runtime: "simulated" });
 * const id = await bridge.createContainer("nginx:latest", { name: "web" });
 * await bridge.startContainer(id);
 * console.log((await bridge.inspectContainer("web")).state);
 * await bridge.deleteContainer(id, { force: true });
 * ```
 */
export class Bridge extends Requests implements Disposable, AsyncDisposable {
  /** How many bytes of memory the guest has. It never changes. */
  readonly memorySize: number;
  /** What performs the effects: `simulated`, `oci`, `docker`. */
  readonly runtime: string;
  readonly #session: Session;
  readonly #slots = new Set<Slot>();
  #arena: ArenaView | undefined;

  /**
   * Makes a bridge.
   *
   * @throws {LibraryError} libselur could not be loaded.
   * @throws {SelurError} The guest is refused, or the runtime cannot run here; the message says what is missing.
   */
  constructor(options: BridgeOptions = {}) {
    super();
    const { library } = options;
    const opened = acquire(library instanceof Library ? library.path : library);
    try {
      this.#session = new Session(opened, open(opened, options));
    } catch (error) {
      opened.release();
      throw error;
    }
    const { functions, handle } = this.#session;
    const at = outPointers();
    this.#session.check(functions.selur_bridge_memory_size(handle, at.out, at.problem));
    this.memorySize = out.words[0]!;
    this.#session.check(functions.selur_bridge_runtime(handle, at.out, at.problem));
    this.runtime = decode(this.#session.take(out.longs[0]!));
  }

  /** Carries out a request by its command and fields, and gives what it is answered with. */
  async request(
    command: CommandName | number,
    fields: (string | Uint8Array)[] = [],
    options: RequestOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await this.#answer(frameOf(command, fields), options);
    if (answer.status !== Status.success) throw failed(answer);
    return answer.data;
  }

  /** Carries out a request by its command and fields, blocking, and gives what it is answered with. */
  requestSync(
    command: CommandName | number,
    fields: (string | Uint8Array)[] = [],
    options: SyncRequestOptions = {},
  ): Uint8Array<ArrayBuffer> {
    return this.#session.call(frameOf(command, fields), options.deadlineMs);
  }

  /** Carries out a frame as it is: command byte, payload length as u32 in little-endian order, payload. */
  async call(frame: Uint8Array, options: RequestOptions = {}): Promise<Response> {
    const { status, data } = await this.#answer(this.#outside(frame), options);
    return { status, data };
  }

  /** Carries out a frame as it is, blocking. */
  callSync(frame: Uint8Array, options: SyncRequestOptions = {}): Response {
    deadline(options.deadlineMs);
    try {
      return { status: Status.success, data: this.#session.call(this.#outside(frame), options.deadlineMs) };
    } catch (error) {
      if (!(error instanceof SelurError) || this.#session.isClosed) throw error;
      return { status: error.code, data: new TextEncoder().encode(error.message) };
    }
  }

  /** Runs a further process in a running container. */
  async exec(container: string, spec: ExecSpec, options: RequestOptions = {}): Promise<ExecSession> {
    return new ExecSession(await this.#open("exec", [container, write(spec)], options));
  }

  /** Connects to a container's first process: its output from now on, and its input. */
  async attach(container: string, how?: AttachOptions, options: RequestOptions = {}): Promise<ExecSession> {
    return new ExecSession(await this.#open("attach", [container, write(how)], options));
  }

  /** Opens what a container wrote; with `{ follow: true }` also what it will write. */
  async logs(
    container: string,
    which?: LogOptions,
    options: RequestOptions = {},
  ): Promise<ItemStream<LogEntry>> {
    return new ItemStream(await this.#open("logs", [container, write(which)], options), entryOf);
  }

  /** Samples what a container uses. */
  async stats(
    container: string,
    which?: StatsOptions,
    options: RequestOptions = {},
  ): Promise<ItemStream<Stats>> {
    return new ItemStream(await this.#open("stats", [container, write(which)], options), jsonOf<Stats>);
  }

  /** Opens what happens to containers, images and volumes from now on, whichever process does it. */
  async events(which?: EventOptions, options: RequestOptions = {}): Promise<ItemStream<EventItem>> {
    const fields = which === undefined ? [] : [write(which)];
    return new ItemStream(await this.#open("events", fields, options), jsonOf<EventItem>);
  }

  /** Fetches an image, and tells how far it is. What goes wrong is told when the stream is read. */
  async pullImageWithProgress(image: string, options: RequestOptions = {}): Promise<ItemStream<PullItem>> {
    const source = await this.#open("pull_image", [image, WITH_PROGRESS], options);
    return new ItemStream(source, jsonOf<PullItem>);
  }

  /** Sends an image to its registry, and tells how far it is. What goes wrong is told when the stream is read. */
  async pushImageWithProgress(image: string, options: RequestOptions = {}): Promise<ItemStream<PushItem>> {
    const source = await this.#open("push_image", [image, WITH_PROGRESS], options);
    return new ItemStream(source, jsonOf<PushItem>);
  }

  /**
   * Takes the stream that a request or a frame of your own was answered with: that decimal number. Each is taken once; those
   * that are not taken go with the bridge.
   */
  takeStream(id: number): ItemStream<StreamItem> {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new SelurError(
        "invalid_request",
        `${id} is no number of a stream: a request is answered with it`,
      );
    }
    const stream = this.#session.takeStream(BigInt(id));
    return new ItemStream(new Source(this.#session, stream), itemOf);
  }

  /** Reserves a slot of so many bytes, the frame's header included, for requests without a copy. */
  reserve(bytes: number, { deadlineMs }: SyncRequestOptions = {}): Slot {
    this.#session.use();
    this.#arena ??= new ArenaView(this.#session);
    return new Slot(this.#session, this.#arena, bytes, deadline(deadlineMs), this.#slots);
  }

  /** The kernel's digest of its logical state: equal inputs give equal digests. */
  get stateDigest(): bigint {
    const at = outPointers();
    const handle = this.#session.use();
    this.#session.check(this.#session.functions.selur_bridge_state_digest(handle, at.out, at.problem));
    return out.longs[0]!;
  }

  /**
   * Closes the bridge: what is in flight is answered `cancelled` and told to end, which is waited for, up to 5 s. Containers
   * go on. Closing again does nothing.
   */
  async close(): Promise<void> {
    this.#empty();
    await this.#session.close();
  }

  /** As {@linkcode Bridge.close}, blocking. */
  free(): void {
    this.#empty();
    this.#session.free();
  }

  /** As {@linkcode Bridge.free}. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** As {@linkcode Bridge.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes every view of the guest's memory away. */
  #empty(): void {
    for (const slot of [...this.#slots]) slot.release();
    this.#arena?.close();
  }

  /** A frame that lies in the arena would change while it is read: it is copied. */
  #outside(frame: Uint8Array): Uint8Array<ArrayBuffer> {
    return frame.buffer === this.#arena?.buffer ? new Uint8Array(frame) : plain(frame);
  }

  async #open(command: CommandName, fields: string[], options: RequestOptions): Promise<Source> {
    const session = this.#session;
    const stream = session.takeStream(BigInt(decode(await this.request(command, fields, options))));
    if (options.signal?.aborted) {
      session.freeStream(stream);
      throw options.signal.reason;
    }
    return new Source(session, stream, options.signal);
  }

  #answer(frame: Uint8Array<ArrayBuffer>, { deadlineMs, signal }: RequestOptions): Promise<Answer> {
    const session = this.#session;
    if (signal === undefined) {
      return new Promise((resolve) => session.submit(frame, deadlineMs, resolve));
    }
    const command = frame[0]!;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const abort = (): void => {
        // It may have been answered just now: then it was not ended, and the answer counts.
        session.drain();
        if (!session.isOpen(ticket)) return;
        session.replace(ticket, (late) => session.abandon(command, late));
        session.cancel(ticket);
        reject(signal.reason);
      };
      const ticket = session.submit(frame, deadlineMs, (answer) => {
        signal.removeEventListener("abort", abort);
        resolve(answer);
      });
      if (session.isOpen(ticket)) signal.addEventListener("abort", abort, { once: true });
    });
  }
}

const WITH_PROGRESS = '{"progress":true}';

/** Makes a bridge of the library. */
function open({ functions }: Opened, options: BridgeOptions): bigint {
  const at = outPointers();
  const check = (status: number): void => {
    if (status !== Status.success) throw failure(functions, status);
  };
  check(functions.selur_options_new(at.out, at.problem));
  const made = out.longs[0]!;
  try {
    const { guest, runtime, stateRoot, shim, dockerSocket, deadlineMs } = options;
    if (guest instanceof Uint8Array) {
      check(functions.selur_options_set_guest_bytes(made, plain(guest), guest.length, at.problem));
    } else if (guest !== undefined) {
      check(functions.selur_options_set_guest_path(made, path(guest), at.problem));
    }
    if (runtime !== undefined) {
      const code = Object.hasOwn(Runtime, runtime) ? Runtime[runtime] : 0xFFFF;
      check(functions.selur_options_set_runtime(made, code, at.problem));
    }
    if (stateRoot !== undefined) {
      check(functions.selur_options_set_state_root(made, path(stateRoot), at.problem));
    }
    if (shim !== undefined) check(functions.selur_options_set_shim(made, path(shim), at.problem));
    if (dockerSocket !== undefined) {
      check(functions.selur_options_set_docker_socket(made, path(dockerSocket), at.problem));
    }
    if (deadlineMs !== undefined) {
      check(functions.selur_options_set_default_deadline(made, deadline(deadlineMs), at.problem));
    }
    check(functions.selur_bridge_new(made, at.out, at.problem));
    return out.longs[0]!;
  } finally {
    functions.selur_options_free(made);
  }
}

function path(place: string | URL): Uint8Array<ArrayBuffer> {
  if (!(place instanceof URL)) return cString(place);
  if (place.protocol === "file:") return cString(fileURLToPath(place));
  throw new SelurError("invalid_request", `${place} is no file of this machine: give a path, or a file: URL`);
}

/** What makes the blocking options of a request those of a promise. */
export type { Abortable };
