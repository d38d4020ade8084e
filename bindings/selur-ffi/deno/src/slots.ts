/**
 * Requests without a copy: a slot of the guest's memory is reserved, the frame written there, the answer read in place.
 *
 * All slots of a bridge lie in its arena, which is one buffer here. It is emptied before the memory goes away: a view that
 * is used too late has no bytes, and never reads what is not there.
 *
 * @module
 */

import { type CommandName, SelurError } from "./errors.ts";
import { codeOf, HEADER_BYTES } from "./frames.ts";
import { failure, out, outPointers } from "./library.ts";
import { failed, freed, type Session } from "./session.ts";
import { ANSWER_LAYOUT, ARENA_VIEW_LAYOUT, NOT_IN_ARENA, SLOT_VIEW_LAYOUT, Status } from "./symbols.ts";

const NOTHING = new Uint8Array(0);

/** The guest's memory that slots lie in. */
export class ArenaView {
  /** It, as one buffer; empty once it is closed. */
  readonly buffer: ArrayBuffer;
  readonly #session: Session;
  readonly #handle: bigint;
  #isOpen = true;

  /** Opens the arena of a bridge. */
  constructor(session: Session) {
    const at = outPointers();
    session.check(session.functions.selur_arena_open(session.use(), at.out, at.problem));
    this.#session = session;
    this.#handle = out.longs[ARENA_VIEW_LAYOUT.arena / 8]!;
    const data = Deno.UnsafePointer.create(out.longs[ARENA_VIEW_LAYOUT.data / 8]!);
    const length = out.words[ARENA_VIEW_LAYOUT.length / 4]!;
    this.buffer = Deno.UnsafePointerView.getArrayBuffer(data!, length);
  }

  /** Empties every view of it, and lets the memory go. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.buffer.transfer();
    this.#session.functions.selur_arena_free(this.#handle);
  }
}

/**
 * A reserved part of the guest's memory, for one request frame at a time and its answer.
 *
 * ```ts
 * import { Bridge } from "./mod.ts";
 *
 * using bridge = new Bridge({ runtime: "simulated" });
 * using slot = bridge.reserve(64);
 * const answer = await slot.submit(slot.write("ping", "hi"));
 * console.log(new TextDecoder().decode(answer));
 * ```
 */
export class Slot implements Disposable {
  /** How many bytes it has: at least as many as were asked for. */
  readonly capacity: number;
  readonly #session: Session;
  readonly #arena: ArenaView;
  readonly #submit: Session["functions"]["selur_slot_submit"];
  readonly #out: Deno.PointerValue;
  readonly #problem: Deno.PointerValue;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Where a payload begins; made when somebody writes one here. */
  #payload: Uint8Array<ArrayBuffer> | undefined;
  readonly #held: Set<Slot>;
  readonly #handle: bigint;
  #isHeld = true;
  /** Whether it has given no ticket: its memory is ours. */
  #isOurs = true;
  /** The answer before, whose place most often is that of the next one. */
  #answer: Uint8Array<ArrayBuffer> = NOTHING;

  /** Use {@linkcode Bridge.reserve}. */
  constructor(
    session: unknown,
    arena: unknown,
    bytes: number,
    deadline: number,
    held: Set<Slot>,
  ) {
    if (!isSession(session) || !(arena instanceof ArenaView)) throw new TypeError("use bridge.reserve()");
    const at = outPointers();
    const handle = session.use();
    whole(bytes);
    session.check(session.functions.selur_slot_reserve(handle, bytes, deadline, at.out, at.problem));
    this.#session = session;
    this.#arena = arena;
    this.#held = held;
    this.#submit = session.functions.selur_slot_submit;
    this.#out = at.out;
    this.#problem = at.problem;
    this.#handle = out.longs[SLOT_VIEW_LAYOUT.slot / 8]!;
    this.capacity = out.words[SLOT_VIEW_LAYOUT.capacity / 4]!;
    const offset = out.words[SLOT_VIEW_LAYOUT.offset / 4]!;
    this.#bytes = new Uint8Array(arena.buffer, offset, this.capacity);
    held.add(this);
  }

  /**
   * Where the frame is to be written: a view of the guest's memory. It has no bytes once the bridge is closed. Do not write
   * to it when the slot is released: what is there belongs to others then.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (!this.#isOurs) throw this.#gone();
    return this.#bytes;
  }

  /** Writes a frame of a command and its payload into the slot, and gives the frame's length. */
  write(command: CommandName | number, payload: string | Uint8Array): number {
    if (!this.#isOurs) throw this.#gone();
    const into = this.#payload ??= this.#bytes.subarray(HEADER_BYTES);
    let length = payload.length;
    if (typeof payload !== "string") {
      if (length > into.length) throw tooLong(length);
      into.set(payload);
    } else {
      const { read, written } = encoder.encodeInto(payload, into);
      if (read !== length) throw tooLong(encoder.encode(payload).length);
      length = written;
    }
    const head = this.#bytes;
    head[0] = codeOf(command);
    head[1] = length;
    head[2] = length >>> 8;
    head[3] = length >>> 16;
    head[4] = 0;
    return HEADER_BYTES + length;
  }

  /**
   * Hands over the frame in the slot: its first `frameLength` bytes.
   *
   * What is answered at once, every ping and most lists, gives a view of the answer where the guest wrote it: read it before
   * the slot is submitted again or released. What takes longer gives a promise, and the slot can only be released then: its memory is the guest's.
   * `await` does for both.
   */
  submit(frameLength: number): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#isOurs) throw this.#gone();
    whole(frameLength);
    const status = this.#submit(this.#handle, frameLength, this.#out, this.#problem);
    if (status !== Status.success) throw failure(this.#session.functions, status);
    const words = out.words;
    const offset = words[ANSWER_LAYOUT.offset / 4]!;
    const length = words[ANSWER_LAYOUT.length / 4]!;
    const before = this.#answer;
    if (before.byteOffset === offset && before.length === length) return before;
    if (offset === NOT_IN_ARENA) return this.#elsewhere(length);
    return this.#answer = new Uint8Array(this.#arena.buffer, offset, length);
  }

  /** Releases the slot. What it was submitted for goes on. Doing so again does nothing. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#isOurs = false;
    this.#session.functions.selur_slot_release(this.#handle);
    this.#held.delete(this);
  }

  /** As {@linkcode Slot.release}. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** An answer that is to come, or that did not fit. */
  #elsewhere(length: number): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    const isHere = out.words[0] === 0 && out.words[1] === 0;
    if (isHere) {
      const data = Deno.UnsafePointer.create(out.longs[ANSWER_LAYOUT.data / 8]!);
      return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(data!, length).slice(0));
    }
    this.#isOurs = false;
    return new Promise((resolve, reject) => {
      this.#session.expect((answer) => {
        if (answer.status === Status.success) resolve(answer.data);
        else reject(failed(answer));
      });
    });
  }

  #gone(): SelurError {
    if (this.#session.isClosed) return freed();
    const what = this.#isHeld ? "was submitted, and its answer comes by a promise" : "was released";
    return new SelurError("invalid_request", `this slot ${what}: reserve another`);
  }
}

const encoder = new TextEncoder();

function tooLong(bytes: number): SelurError {
  return new SelurError(
    "invalid_request",
    `a payload of ${bytes} bytes does not fit into this slot: reserve more`,
  );
}

function isSession(session: unknown): session is Session {
  return typeof session === "object" && session !== null && "functions" in session;
}

/** Checks what the library takes as a length. */
function whole(bytes: number): void {
  if (bytes >>> 0 === bytes) return;
  throw new SelurError("invalid_request", `${bytes} is no length: give a whole number of bytes`);
}
