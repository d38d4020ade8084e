import assert from "node:assert/strict";
import { Bridge, type BridgeOptions, ExecSession, ItemStream, SelurError, Slot } from "../mod.ts";
import { fails, rejects, simulated } from "./support.ts";

/** Every method of a bridge, but for those that end it. */
function methods(): string[] {
  const found: string[] = [];
  for (let at = Bridge.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    found.push(...Object.getOwnPropertyNames(at));
  }
  const ends = ["constructor", "close", "free"];
  return [...new Set(found)].filter((name) => !ends.includes(name));
}

/** Arguments that would do where a method takes fewer, too. */
const ARGUMENTS = ["busybox", { command: ["true"] }, {}];

/** Calls a method with what may do for it. */
function call(bridge: Bridge, name: string): unknown {
  const prototype = bridge as unknown as Record<string, unknown>;
  const method = prototype[name];
  if (typeof method !== "function") return method;
  if (name.startsWith("call")) return method.call(bridge, new Uint8Array(5));
  if (name.startsWith("request")) return method.call(bridge, "ping", []);
  if (name === "reserve" || name === "takeStream") return method.call(bridge, 64);
  if (/^(list|events)/.test(name)) return method.call(bridge);
  if (/^(kill|tag)/.test(name)) return method.call(bridge, "busybox", "SIGTERM");
  return method.apply(bridge, ARGUMENTS.slice(0, name.startsWith("exec") ? 2 : 1));
}

async function everyMethodRefuses(bridge: Bridge): Promise<void> {
  const names = methods();
  assert(names.length > 55, `${names.length} methods`);
  for (const name of names) {
    if (name.endsWith("Sync") || ["reserve", "stateDigest", "takeStream"].includes(name)) {
      fails("invalid_request", () => call(bridge, name));
    } else await rejects("invalid_request", call(bridge, name) as Promise<unknown>);
  }
}

Deno.test("every method of a freed bridge is refused", async () => {
  const bridge = simulated();
  bridge.free();
  await everyMethodRefuses(bridge);
  assert.equal(bridge.memorySize, 1_048_576);
});

Deno.test("every method of a closed bridge is refused", async () => {
  const bridge = simulated();
  await bridge.close();
  await everyMethodRefuses(bridge);
});

Deno.test("closing and freeing again does nothing", async () => {
  const bridge = simulated();
  await Promise.all([bridge.close(), bridge.close()]);
  bridge.free();
  await bridge.close();
  const other = simulated();
  other.free();
  other.free();
  await other.close();
  other[Symbol.dispose]();
  await other[Symbol.asyncDispose]();
});

Deno.test("a bridge is closed where its scope ends", async () => {
  const kept: Bridge[] = [];
  {
    using bridge = simulated();
    await using other = simulated();
    kept.push(bridge, other);
    await Promise.all(kept.map((bridge) => bridge.ping("a")));
  }
  for (const bridge of kept) fails("invalid_request", () => bridge.pingSync("a"));
});

Deno.test("what is in flight when a bridge is closed is cancelled", async () => {
  for (const end of [(bridge: Bridge) => bridge.free(), (bridge: Bridge) => bridge.close()]) {
    const bridge = simulated();
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    const waits = Array.from({ length: 20 }, () => rejects("cancelled", bridge.waitContainer(id)));
    await end(bridge);
    await Promise.all(waits);
  }
});

Deno.test("options that cannot be are refused in words", () => {
  const refused: [BridgeOptions, RegExp][] = [
    [{ guest: "/nowhere/guest.wasm" }, /nowhere/],
    [{ guest: new Uint8Array([1, 2, 3]) }, /guest/],
    [{ guest: "a\0b" }, /NUL/],
    [{ runtime: "podman" as "docker" }, /runtime/],
    [{ runtime: "toString" as "docker" }, /runtime/],
    [{ guest: new URL("https://example.test/guest.wasm") }, /file: URL/],
    [{ deadlineMs: -1 }, /milliseconds from 1/],
    [{ deadlineMs: NaN }, /milliseconds from 1/],
  ];
  for (const [options, says] of refused) {
    assert.match(fails("invalid_request", () => simulated(options)).message, says);
  }
});

Deno.test("a guest can be given by path, by URL and by its bytes", async () => {
  const url = new URL("../../../../guest/selur.wasm", import.meta.url);
  for (const guest of [url, url.pathname, Deno.readFileSync(url)]) {
    await using bridge = simulated({ guest });
    assert.deepEqual(await bridge.ping("a"), new Uint8Array([0x61]));
  }
});

Deno.test("a deadline that cannot be is refused, and the longest is none", async () => {
  await using bridge = simulated();
  for (const deadlineMs of [0, -1, NaN, 2 ** 32 - 1, 2 ** 40]) {
    fails("invalid_request", () => bridge.pingSync("a", { deadlineMs }));
    await rejects("invalid_request", bridge.ping("a", { deadlineMs }));
  }
  for (const deadlineMs of [0.5, 1000, Infinity, 2 ** 32 - 2]) {
    assert.equal(bridge.pingSync("a", { deadlineMs }).length, 1);
  }
});

Deno.test("a field with a NUL character is refused: it would be two fields", async () => {
  await using bridge = simulated();
  assert.match((await rejects("invalid_request", bridge.createContainer("a\0b"))).message, /NUL/);
  assert.match(
    fails("invalid_request", () => bridge.createContainerSync("a", { name: "b\0c" })).message,
    /NUL/,
  );
  assert.deepEqual(bridge.pingSync("a\0b"), new Uint8Array([0x61, 0, 0x62]));
});

Deno.test("a command that is none is refused", async () => {
  await using bridge = simulated();
  for (const command of [-1, 256, 1.5, NaN, 0xF0]) await rejects("invalid_request", bridge.request(command));
  await rejects("invalid_request", bridge.request("explode" as "ping"));
});

Deno.test("a payload of the greatest length goes through, and one byte more is refused", async () => {
  await using bridge = simulated();
  const longest = "x".repeat(262_144);
  assert.equal((await bridge.ping(longest)).length, longest.length);
  assert.equal(bridge.pingSync(longest).length, longest.length);
  await rejects("invalid_request", bridge.ping(longest + "x"));
  await rejects("invalid_request", bridge.ping("x".repeat(5_000_000)));
});

Deno.test("what the library gives cannot be made without it", () => {
  assert.throws(() => new Slot({}, {}, 1, 0, new Set()), /bridge.reserve/);
  assert.throws(() => new ItemStream({}, () => undefined), /method of Bridge/);
  assert.throws(() => new ExecSession({}), /method of Bridge/);
});

Deno.test("an error has a status for programs and words for people", async () => {
  await using bridge = simulated();
  const error = await rejects("container_not_found", bridge.startContainer("nobody"));
  assert.equal(error.code, 2);
  assert.equal(error.name, "SelurError");
  assert(error instanceof Error && error instanceof SelurError);
  assert.match(error.message, /nobody|selur ps/);
  assert.match(error.stack ?? "", /misuse_test/);
});

Deno.test("two bridges share nothing", async () => {
  await using one = simulated();
  await using other = simulated();
  await one.createContainer("busybox", { name: "same" });
  await other.createContainer("busybox", { name: "same" });
  assert.notDeepEqual(await one.listContainers(), await other.listContainers());
  await one.close();
  assert.equal((await other.listContainers()).length, 1);
});
