/**
 * Replays one vector, as conformance/README.md says.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Bridge, Command, type CommandName, SelurError, Status } from "../mod.ts";
import { PATIENCE_MS } from "./support.ts";

/** A text of a vector. */
type Text = string | { repeat: string; count: number; before?: string; after?: string } | { json: unknown };

interface Frame {
  frame_hex?: string;
  command?: CommandName;
  code?: number;
  fields?: Text[];
  payload?: Text;
  payload_hex?: string;
  length?: number;
}

interface Expect {
  status: string;
  data?: Text;
  data_is?: "container_id" | "stream_id";
  lines?: Text[];
  json?: unknown;
  capture?: Record<string, number>;
  message_contains?: Text[];
}

interface Step {
  request?: Frame;
  times?: number;
  eventually?: boolean;
  submit?: Frame;
  as?: string;
  await?: string;
  cancel?: string;
  exit?: string;
  expect?: Expect;
}

/** A vector of conformance/vectors. */
export interface Vector {
  name: string;
  deadline_ms?: number;
  steps: Step[];
}

/** The status and the data of a response. */
interface Reply {
  status: number;
  data: Uint8Array;
}

/** How frames go to the bridge. */
export type Way = (bridge: Bridge, frame: Uint8Array) => Reply | Promise<Reply>;

/** What a failure says, as a response. */
export function replyOf(error: unknown): Reply {
  if (!(error instanceof SelurError)) throw error;
  return { status: error.code, data: new TextEncoder().encode(error.message) };
}

/** Replays a vector on a fresh bridge. */
export async function replay(vector: Vector, way: Way): Promise<void> {
  assert(vector.steps.length > 0);
  const bridge = new Bridge({ runtime: "simulated", deadlineMs: vector.deadline_ms });
  const replayed = new Replay(bridge, way);
  try {
    for (const [index, step] of vector.steps.entries()) {
      try {
        await replayed.step(step);
      } catch (error) {
        throw new Error(
          `${vector.name}, step ${index + 1}: ${error instanceof Error ? error.message : error}`,
          {
            cause: error,
          },
        );
      }
    }
  } finally {
    bridge.free();
    await replayed.end();
  }
}

class Replay {
  readonly #captured = new Map<string, string>();
  readonly #open = new Map<string, { reply: Promise<Reply>; cancel: AbortController }>();
  readonly #all: Promise<unknown>[] = [];

  constructor(readonly bridge: Bridge, readonly way: Way) {}

  async step(step: Step): Promise<void> {
    if (step.request !== undefined) await this.#request(step, step.request);
    else if (step.submit !== undefined) this.#submit(step.as!, step.submit);
    else if (step.await !== undefined) await this.#await(step.await, step.expect!);
    else if (step.cancel !== undefined) this.#find(step.cancel).cancel.abort();
    else if (step.exit !== undefined) await this.bridge.killContainer(this.#text(step.exit), "SIGUSR1");
    else throw new Error(`this step is none that the harness knows: ${JSON.stringify(step)}`);
  }

  /** Awaits what nobody awaited. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#all);
  }

  async #request({ times = 1, eventually, expect }: Step, request: Frame): Promise<void> {
    const frame = this.#frame(request);
    const until = Date.now() + PATIENCE_MS;
    for (let time = 0; time < times; time++) {
      for (;;) {
        const reply = await within(this.way(this.bridge, frame));
        const wrong = this.#fault(expect!, reply);
        if (wrong === undefined) break;
        if (!eventually || Date.now() > until) throw new Error(wrong);
      }
    }
  }

  #submit(name: string, request: Frame): void {
    const cancel = new AbortController();
    const reply = this.bridge.call(this.#frame(request), { signal: cancel.signal }).catch((error) => {
      // A request that was cancelled rejects with the reason of its signal.
      if (error !== cancel.signal.reason) return replyOf(error);
      return { status: Status.cancelled, data: new TextEncoder().encode("aborted by its signal") };
    });
    this.#all.push(reply);
    this.#open.set(name, { reply, cancel });
  }

  async #await(name: string, expect: Expect): Promise<void> {
    const { reply } = this.#find(name);
    this.#open.delete(name);
    const wrong = this.#fault(expect, await within(reply));
    if (wrong !== undefined) throw new Error(wrong);
  }

  #find(name: string): { reply: Promise<Reply>; cancel: AbortController } {
    const open = this.#open.get(name);
    assert(open !== undefined, `no request is called ${name}`);
    return open;
  }

  #text(text: Text): string {
    if (typeof text === "string") return text.startsWith("$") ? this.#capture(text.slice(1)) : text;
    if ("json" in text) return JSON.stringify(this.#filled(text.json));
    return (text.before ?? "") + text.repeat.repeat(text.count) + (text.after ?? "");
  }

  #capture(name: string): string {
    const found = this.#captured.get(name);
    assert(found !== undefined, `nothing was captured as ${name}`);
    return found;
  }

  /** JSON with what was captured in its place. */
  #filled(value: unknown): unknown {
    if (typeof value === "string") return value.startsWith("$") ? this.#capture(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map((item) => this.#filled(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, this.#filled(field)]));
  }

  #frame(frame: Frame): Uint8Array {
    if (frame.frame_hex !== undefined) return Uint8Array.fromHex(frame.frame_hex);
    const encoder = new TextEncoder();
    const payload = frame.payload_hex !== undefined
      ? Uint8Array.fromHex(frame.payload_hex)
      : frame.payload !== undefined
      ? encoder.encode(this.#text(frame.payload))
      : encoder.encode((frame.fields ?? []).map((field) => this.#text(field)).join("\0"));
    const bytes = new Uint8Array(5 + payload.length);
    bytes[0] = frame.code ?? Command[frame.command!];
    new DataView(bytes.buffer).setUint32(1, frame.length ?? payload.length, true);
    bytes.set(payload, 5);
    return bytes;
  }

  /** What is wrong with a response; captures what is to be captured if nothing is. */
  #fault(expect: Expect, { status, data }: Reply): string | undefined {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    const came = `it was ${status}: ${text.slice(0, 300)}`;
    if (status !== Status[expect.status as keyof typeof Status]) {
      return `${expect.status} was to come; ${came}`;
    }
    if (status !== Status.success) {
      if (text === "") return "the message is empty";
      const lacking = (expect.message_contains ?? []).map((part) => this.#text(part))
        .find((part) => !text.includes(part));
      return lacking === undefined ? undefined : `the message lacks ${lacking}; ${came}`;
    }
    const { data: exact, lines, data_is, json } = expect;
    const whole = lines?.map((line) => this.#text(line)).join("\n") ??
      (exact !== undefined
        ? this.#text(exact)
        : data_is === undefined && json === undefined
        ? ""
        : undefined);
    if (whole !== undefined && whole !== text) return `other data came: ${came}`;
    if (data_is === "container_id" && !/^[0-9a-f]{32}$/.test(text)) return `this is no id: ${came}`;
    if (data_is === "stream_id" && !(/^[1-9][0-9]*$/.test(text) && BigInt(text) < 2n ** 64n)) {
      return `this is no stream: ${came}`;
    }
    if (json !== undefined && !contains(JSON.parse(text), this.#filled(json))) {
      return `the JSON lacks something: ${came}`;
    }
    for (const [name, length] of Object.entries(expect.capture ?? {})) {
      assert(data.length >= length);
      this.#captured.set(name, new TextDecoder().decode(data.subarray(0, length)));
    }
    return undefined;
  }
}

function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length &&
      part.every((item, index) => contains(whole[index], item));
  }
  if (typeof part !== "object" || part === null) return Object.is(whole, part);
  if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return false;
  return Object.entries(part).every(([name, value]) =>
    Object.hasOwn(whole, name) && contains((whole as Record<string, unknown>)[name], value)
  );
}

/** A response that takes too long is a failure. */
async function within(reply: Reply | Promise<Reply>): Promise<Reply> {
  if (!(reply instanceof Promise)) return reply;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no response came within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([reply, late]);
  } finally {
    clearTimeout(timer);
  }
}
