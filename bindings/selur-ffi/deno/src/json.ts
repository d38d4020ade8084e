/**
 * The JSON of requests and answers. Fields whose names end in `_ns` are bigints, both ways.
 *
 * @module
 */

import { decode } from "./frames.ts";

/** What V8's JSON has beyond what TypeScript knows of it. */
const json = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

/** What an answer's data says. */
export function parse<T>(data: Uint8Array): T {
  const text = decode(data);
  // Most documents have none, and are read several times as fast without a function for each field.
  if (!text.includes('_ns"')) return JSON.parse(text);
  return json.parse(text, (key, value, { source }) => {
    return key.endsWith("_ns") && typeof value === "number" && source !== undefined ? BigInt(source) : value;
  }) as T;
}

/** A value as JSON; nothing at all for none. */
export function write(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  return JSON.stringify(value, (_key, part) => typeof part === "bigint" ? json.rawJSON(`${part}`) : part);
}
