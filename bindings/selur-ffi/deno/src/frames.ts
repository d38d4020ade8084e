/**
 * Request frames: a command byte, the payload's length, the payload.
 *
 * @module
 */

import { type CommandName, SelurError } from "./errors.ts";
import { Command } from "./symbols.ts";

/** How many bytes stand before the payload. */
export const HEADER_BYTES = 5;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Where frames are written that are copied by the call that they are given to. */
let scratch = new Uint8Array(4096);

/** A text from UTF-8. */
export function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** UTF-8 with a 0 behind it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new SelurError("invalid_request", "a path contains a NUL character: leave it out");
  }
  return encoder.encode(text + "\0");
}

/**
 * A frame of a command and its fields, which are joined by NUL.
 *
 * It lies in memory that the next frame is written to: give it to the library before that.
 */
export function frameOf(
  command: CommandName | number,
  fields: readonly (string | Uint8Array)[],
): Uint8Array<ArrayBuffer> {
  const code = codeOf(command);
  let at = HEADER_BYTES;
  for (const [index, field] of fields.entries()) {
    // No character takes more than 3 bytes for each of its UTF-16 units.
    const most = at + 1 + (typeof field === "string" ? field.length * 3 : field.length);
    if (most > scratch.length) grow(most);
    if (index > 0) scratch[at++] = 0;
    const start = at;
    if (typeof field === "string") at += encoder.encodeInto(field, scratch.subarray(at)).written;
    else {
      scratch.set(field, at);
      at += field.length;
    }
    if (code !== Command.ping && scratch.subarray(start, at).includes(0)) {
      const message = `${JSON.stringify(decode(scratch.subarray(start, at)))} contains a NUL character, ` +
        "which separates fields: leave it out";
      throw new SelurError("invalid_request", message);
    }
  }
  const length = at - HEADER_BYTES;
  scratch[0] = code;
  scratch[1] = length;
  scratch[2] = length >>> 8;
  scratch[3] = length >>> 16;
  scratch[4] = length >>> 24;
  return scratch.subarray(0, at);
}

/** A command's code, which is one byte. */
export function codeOf(command: CommandName | number): number {
  const code = typeof command === "number" ? command : Command[command];
  if (Number.isInteger(code) && code >= 0 && code <= 0xFF) return code;
  throw new SelurError("invalid_request", `${command} is no command: see the table in docs/API.md`);
}

function grow(bytes: number): void {
  const larger = new Uint8Array(Math.max(bytes, scratch.length * 2));
  larger.set(scratch);
  scratch = larger;
}
