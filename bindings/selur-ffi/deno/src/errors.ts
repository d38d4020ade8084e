/**
 * What goes wrong, and how it is told.
 *
 * @module
 */

import { Command, Status } from "./symbols.ts";

/**
 * The name of a status: the same in every language of selur. `unknown_error` stands for a code that this version does not
 * know. docs/API.md says of each what happened and what to do.
 */
export type StatusName = keyof typeof Status | "unknown_error";

/** The name of a command. docs/API.md has the fields of each, and what it is answered with. */
export type CommandName = keyof typeof Command;

const STATUS_NAMES = new Map<number, StatusName>(
  Object.entries(Status).map(([name, code]) => [code, name as StatusName]),
);

/** The name of a status code, `unknown_error` for one that this version does not know. */
export function statusName(code: number): StatusName {
  return STATUS_NAMES.get(code) ?? "unknown_error";
}

/**
 * A request that was not carried out: {@linkcode SelurError.status} is for programs, the message for people. It says what
 * to do.
 *
 * ```ts
 * import { Bridge, SelurError } from "./mod.ts";
 *
 * using bridge = new Bridge({ runtime: "simulated" });
 * try {
 *   await bridge.startContainer("nobody");
 * } catch (error) {
 *   if (!(error instanceof SelurError) || error.status !== "container_not_found") throw error;
 * }
 * ```
 */
export class SelurError extends Error {
  /** `SelurError`. */
  override name = "SelurError";
  /** What happened, by name. */
  readonly status: StatusName;
  /** What happened, by code. */
  readonly code: number;

  /** Makes an error of a status, by its name or its code. */
  constructor(status: StatusName | number, message: string) {
    super(message);
    this.code = typeof status === "number" ? status : codeOf(status);
    this.status = typeof status === "number" ? statusName(status) : status;
  }
}

function codeOf(status: StatusName): number {
  return status === "unknown_error" ? 0xFF : Status[status];
}

/** libselur could not be loaded. The message says where it was looked for, and what to do. */
export class LibraryError extends Error {
  /** `LibraryError`. */
  override name = "LibraryError";
}
