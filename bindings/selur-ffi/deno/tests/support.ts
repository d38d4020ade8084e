/**
 * What the tests have in common.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Bridge, type BridgeOptions, SelurError, type StatusName } from "../mod.ts";

/** The root of the repository. */
export const ROOT = new URL("../../../../", import.meta.url);

/** This package. */
export const PACKAGE = new URL("../", import.meta.url);

/** How long anything may take. */
export const PATIENCE_MS = 30_000;

/** A bridge whose containers live in memory. */
export function simulated(options: BridgeOptions = {}): Bridge {
  return new Bridge({ runtime: "simulated", ...options });
}

/** Checks that something fails with a status, and gives the error. */
export function fails(status: StatusName, action: () => unknown): SelurError {
  let found: SelurError | undefined;
  assert.throws(action, (error) => {
    found = checked(error, status);
    return true;
  });
  return found!;
}

/** Checks that a promise rejects with a status, and gives the error. */
export async function rejects(status: StatusName, promise: Promise<unknown>): Promise<SelurError> {
  let found: SelurError | undefined;
  await assert.rejects(promise, (error) => {
    found = checked(error, status);
    return true;
  });
  return found!;
}

function checked(error: unknown, status: StatusName): SelurError {
  assert(error instanceof SelurError, `this is no SelurError: ${Deno.inspect(error)}`);
  assert.equal(error.status, status, error.message);
  assert(error.message.length > 0);
  return error;
}

/** Waits until something holds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (!await holds()) {
    assert(Date.now() < until, `within ${PATIENCE_MS} ms it was not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a child said. */
export interface Said {
  /** Its exit code. */
  code: number;
  /** Its standard output. */
  stdout: string;
  /** Its standard error. */
  stderr: string;
}

/** Runs a program, which must end by itself. */
export async function run(program: string, args: string[], options: Deno.CommandOptions = {}): Promise<Said> {
  const signal = AbortSignal.timeout(4 * PATIENCE_MS);
  const { code, stdout, stderr } = await new Deno.Command(program, { args, signal, ...options }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs a program of Deno in a child. */
export function deno(source: string, flags: string[] = ["--allow-ffi", "--allow-env"]): Promise<Said> {
  const head = `import * as selur from ${JSON.stringify(new URL("mod.ts", PACKAGE).href)};\n` +
    `const { Bridge, SelurError, LibraryError, openLibrary } = selur;\n`;
  const url = `data:application/typescript;base64,${btoa(head + source)}`;
  return run(Deno.execPath(), ["run", "--quiet", "--no-check", "--no-prompt", ...flags, url], {
    env: { NO_COLOR: "1" },
  });
}

/** A folder that is gone when it is disposed. */
export function folder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "selur-deno-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}
