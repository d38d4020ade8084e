/**
 * libselur: where it is, and how it is opened.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { LibraryError, SelurError } from "./errors.ts";
import { ABI_VERSION, symbols } from "./symbols.ts";

/** The functions that this module uses. Deno compiles a way into each function that is opened: no others are. */
const USED = [
  "selur_abi_version",
  "selur_version",
  "selur_guest_sha256",
  "selur_error_message",
  "selur_error_free",
  "selur_bytes_view",
  "selur_bytes_take",
  "selur_options_new",
  "selur_options_set_guest_path",
  "selur_options_set_guest_bytes",
  "selur_options_set_runtime",
  "selur_options_set_state_root",
  "selur_options_set_shim",
  "selur_options_set_docker_socket",
  "selur_options_set_default_deadline",
  "selur_options_free",
  "selur_bridge_new",
  "selur_bridge_close",
  "selur_bridge_close_nonblocking",
  "selur_bridge_free",
  "selur_bridge_memory_size",
  "selur_bridge_runtime",
  "selur_bridge_state_digest",
  "selur_arena_open",
  "selur_arena_free",
  "selur_call",
  "selur_submit_frame",
  "selur_cancel",
  "selur_abandon",
  "selur_completions_ready_nonblocking",
  "selur_completions_drain",
  "selur_slot_reserve",
  "selur_slot_submit",
  "selur_slot_release",
  "selur_stream_take",
  "selur_stream_submit_next",
  "selur_stream_submit_write",
  "selur_stream_submit_end_input",
  "selur_stream_submit_resize",
  "selur_stream_free",
] as const satisfies (keyof typeof symbols)[];

type Used = Pick<typeof symbols, typeof USED[number]>;

const used = Object.fromEntries(USED.map((name) => [name, symbols[name]])) as Used;

/** The functions of libselur. */
export type Functions = Deno.DynamicLibrary<Used>["symbols"];

const FILE = Deno.build.os === "darwin" ? "libselur.dylib" : "libselur.so";

/** What every version of the library has, so that one of another version can be told from none. */
const VERSIONS = {
  selur_abi_version: symbols.selur_abi_version,
  selur_version: symbols.selur_version,
} as const;

/**
 * libselur, opened. Bridges open it by themselves; open it yourself to learn whether it is there, and which one.
 *
 * ```ts
 * import { openLibrary } from "./mod.ts";
 *
 * using library = openLibrary();
 * console.log(library.path, library.version);
 * ```
 */
export class Library implements Disposable {
  /** Where it was found. */
  readonly path: string;
  /** Its version, such as `0.1.0`. */
  readonly version: string;
  /** The version of its ABI: that of this module. */
  readonly abiVersion: number;
  /** The sha256 of the guest that it was built with, in hex. */
  readonly guestSha256: string;
  readonly #opened: Opened;
  #isOpen = true;

  /** Use {@linkcode openLibrary}. */
  constructor(opened: unknown) {
    if (!(opened instanceof Opened)) throw new TypeError("use openLibrary()");
    this.#opened = opened;
    this.path = opened.path;
    this.version = textAt(opened.functions.selur_version());
    this.abiVersion = opened.functions.selur_abi_version();
    this.guestSha256 = textAt(opened.functions.selur_guest_sha256());
  }

  /** Closes it. Bridges that use it keep it as long as they need it. Closing again does nothing. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#opened.release();
  }

  /** As {@linkcode Library.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens libselur.
 *
 * Without a path it is looked for at `$SELUR_LIBRARY` (if the environment may be read), beside this module, in the current
 * directory, and in `target/release` and `target/debug` of a checkout. With a path nothing else is tried.
 *
 * @throws {LibraryError} There is none, it is of another version, or `--allow-ffi` is missing. The message starts with
 * `Library not loaded` and lists every place that was tried.
 */
export function openLibrary(path?: string | URL): Library {
  return new Library(acquire(path));
}

/** A library in use. It is closed when nobody uses it any more, so that tests with sanitizers see nothing left over. */
export class Opened {
  /** Its functions. */
  readonly functions: Functions;
  /** Where it was found. */
  readonly path: string;
  readonly #library: Deno.DynamicLibrary<Used>;
  #users = 0;

  /** Takes over what `Deno.dlopen` gave. */
  constructor(path: string, library: Deno.DynamicLibrary<Used>) {
    this.path = path;
    this.#library = library;
    this.functions = library.symbols;
  }

  /** Counts one more user. */
  retain(): this {
    this.#users++;
    return this;
  }

  /** Counts one user less; each calls it once. */
  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    open.delete(this.path);
    this.#library.close();
  }
}

const open = new Map<string, Opened>();

interface Candidate {
  what: string;
  path: string;
}

/** The library at a path, or the first that is found, for one more user. */
export function acquire(path?: string | URL): Opened {
  const candidates = path === undefined
    ? places()
    : [{ what: "the path that was given", path: asPath(path) }];
  for (const candidate of candidates) {
    const opened = open.get(candidate.path);
    if (opened !== undefined) return opened.retain();
  }
  permit(candidates);
  const tried: string[] = [];
  for (const { what, path } of candidates) {
    const opened = tryOpen(path, (why) => tried.push(`- ${path} (${what}): ${why}`));
    if (opened !== undefined) {
      open.set(path, opened);
      return opened.retain();
    }
  }
  const how = path === undefined
    ? "Build it with `cargo build --release`, or say where it is: the option `library`, or $SELUR_LIBRARY with --allow-env."
    : "Give the path of libselur.so.";
  throw new LibraryError(`Library not loaded: libselur was not found. Tried:\n${tried.join("\n")}\n${how}`);
}

/** Where the library may be, in the order in which it is looked for. */
function places(): Candidate[] {
  const found: Candidate[] = [];
  const mayRead = Deno.permissions.querySync({ name: "env", variable: "SELUR_LIBRARY" }).state === "granted";
  const variable = mayRead ? Deno.env.get("SELUR_LIBRARY") : undefined;
  if (variable) return [{ what: "$SELUR_LIBRARY", path: asPath(variable) }];
  const here = new URL(import.meta.url);
  if (here.protocol === "file:") {
    found.push({ what: "beside the module", path: fileURLToPath(new URL(`../${FILE}`, here)) });
  }
  found.push({ what: "the current directory", path: `./${FILE}` });
  if (here.protocol === "file:") {
    for (const profile of ["release", "debug"]) {
      const path = fileURLToPath(new URL(`../../../../target/${profile}/${FILE}`, here));
      found.push({ what: "the checkout", path });
    }
  }
  return found;
}

function asPath(path: string | URL): string {
  if (path instanceof URL) {
    if (path.protocol === "file:") return fileURLToPath(path);
    throw new LibraryError(
      `Library not loaded: ${path} is no file of this machine. Give a path, or a file: URL.`,
    );
  }
  // Without a slash the system would look for it in its own folders.
  return path.includes("/") ? path : `./${path}`;
}

/** Makes sure that native libraries may be opened, asking where somebody can be asked. */
function permit(candidates: Candidate[]): void {
  if (Deno.permissions.requestSync({ name: "ffi" }).state === "granted") return;
  throw new LibraryError(
    "Library not loaded: this program may not use native libraries. Run it with --allow-ffi; with a path behind the flag " +
      "Deno lets no answer be read. It would be looked for at:\n" +
      candidates.map(({ what, path }) => `- ${path} (${what})`).join("\n"),
  );
}

function tryOpen(path: string, failed: (why: string) => void): Opened | undefined {
  let versions;
  try {
    versions = Deno.dlopen(path, VERSIONS);
  } catch (error) {
    failed(whyNot(error));
    return undefined;
  }
  const abi = versions.symbols.selur_abi_version();
  const version = textAt(versions.symbols.selur_version());
  versions.close();
  if (abi !== ABI_VERSION) {
    throw new LibraryError(
      `Library not loaded: ${path} is selur ${version}, with version ${abi} of the ABI, and this module needs version ` +
        `${ABI_VERSION}. Use the library and the module of one release.`,
    );
  }
  try {
    return new Opened(path, Deno.dlopen(path, used));
  } catch (error) {
    throw new LibraryError(
      `Library not loaded: ${path} is selur ${version}, and lacks what this module needs (${
        whyNot(error)
      }). ` +
        "Use the library and the module of one release.",
    );
  }
}

function whyNot(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/No such file/i.test(message)) return "no such file";
  return message.replace(/^Could not open library: /, "").replaceAll("\n", " ");
}

/** The text at a pointer, which must be of the library. */
export function textAt(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

/** Places for what the library writes. They live as long as the module; a call that returns has no more use for them. */
const room = new BigUint64Array(8);

/** The place for a result of at most 40 bytes. */
export const out = {
  /** It, as unsigned numbers of 32 bits. */
  words: new Uint32Array(room.buffer, 0, 10),
  /** It, as unsigned numbers of 64 bits. */
  longs: new BigUint64Array(room.buffer, 0, 5),
};

/** The place for an error's handle. */
export const problem = new BigUint64Array(room.buffer, 40, 1);

let pointers: { out: Deno.PointerValue; problem: Deno.PointerValue } | undefined;

/** Pointers to {@linkcode out} and {@linkcode problem}, made when the right to use them is there. */
export function outPointers(): { out: Deno.PointerValue; problem: Deno.PointerValue } {
  pointers ??= { out: Deno.UnsafePointer.of(out.longs), problem: Deno.UnsafePointer.of(problem) };
  return pointers;
}

/** The error that the call just made has left in {@linkcode problem}. */
export function failure(functions: Functions, status: number): SelurError {
  const error = problem[0] ?? 0n;
  const message = textAt(functions.selur_error_message(error));
  functions.selur_error_free(error);
  problem[0] = 0n;
  return new SelurError(status, message);
}
