import assert from "node:assert/strict";
import { type Bridge, ItemStream, type Output } from "../mod.ts";
import { deno, eventually, fails, PACKAGE, rejects, simulated } from "./support.ts";

const encoder = new TextEncoder();
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function running(bridge: Bridge, image = "busybox"): Promise<string> {
  const id = await bridge.createContainer(image);
  await bridge.startContainer(id);
  return id;
}

async function collected<T>(stream: ReadableStream<T>): Promise<T[]> {
  return await Array.fromAsync(stream);
}

Deno.test("a log is read to its end", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const entries = await collected(await bridge.logs(id));
  assert.equal(entries.length, 1);
  assert.equal(entries[0]!.from, "stdout");
  assert.match(text(entries[0]!.data), /started/);
  assert.equal(typeof entries[0]!.time_ns, "bigint");
  assert.deepEqual(await collected(await bridge.logs(id, { stdout: false })), []);
  const later = { since_ns: entries[0]!.time_ns + 1n };
  assert.deepEqual(await collected(await bridge.logs(id, later)), []);
});

Deno.test("a followed log ends with its container", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const entries = collected(await bridge.logs(id, { follow: true }));
  await bridge.killContainer(id);
  assert.equal((await entries).length, 1);
});

Deno.test("a stream is a ReadableStream: it pipes, and its reader is held to one", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const stream = await bridge.logs(id);
  assert(stream instanceof ReadableStream && stream instanceof ItemStream);
  const lines: string[] = [];
  await stream.pipeTo(new WritableStream({ write: ({ data }) => void lines.push(text(data)) }));
  assert.equal(lines.length, 1);
});

Deno.test("a stream that is left half-way is freed, and the bridge goes on", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  for (let round = 0; round < 50; round++) {
    for await (const sample of await bridge.stats(id, { interval_ms: 10 })) {
      assert.equal(typeof sample.cpu_ns, "bigint");
      break;
    }
  }
  const followed = await bridge.logs(id, { follow: true });
  const reader = followed.getReader();
  await reader.read();
  const pending = reader.read();
  await reader.cancel();
  assert.deepEqual(await pending, { done: true, value: undefined });
  assert.equal((await bridge.ping("a")).length, 1);
});

Deno.test("disposing a stream ends it, also while it is read", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  {
    await using stream = await bridge.logs(id, { follow: true });
    await stream.getReader().read();
  }
  const stream = await bridge.events();
  const read = rejects("cancelled", stream.getReader().read());
  await stream[Symbol.asyncDispose]();
  await read;
});

Deno.test("streams that are dropped are freed by and by", async () => {
  const source = `import { Session } from ${JSON.stringify(new URL("src/session.ts", PACKAGE).href)};
    const free = Session.prototype.freeStream;
    let freed = 0;
    Session.prototype.freeStream = function (stream) { freed++; free.call(this, stream); };
    const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    for (let each = 0; each < 200; each++) await bridge.logs(id, { follow: true });
    const until = Date.now() + 20_000;
    while (freed < 150 && Date.now() < until) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    console.log("freed", freed >= 150);`;
  const { stdout, stderr } = await deno(source, ["--allow-ffi", "--allow-env", "--v8-flags=--expose-gc"]);
  assert.equal(stdout, "freed true\n", stderr);
});

Deno.test("the signal that a stream was opened with ends it", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const abort = new AbortController();
  const stream = await bridge.logs(id, { follow: true }, { signal: abort.signal });
  const reader = stream.getReader();
  await reader.read();
  const pending = reader.read();
  const reason = new Error("enough");
  abort.abort(reason);
  await assert.rejects(pending, (error) => error === reason);
  const idle = new AbortController();
  const unread = await bridge.logs(id, { follow: true }, { signal: idle.signal });
  idle.abort(reason);
  await assert.rejects(unread.getReader().read(), (error) => error === reason);
});

Deno.test("an exec that cannot be opened rejects", async () => {
  await using bridge = simulated();
  const id = await bridge.createContainer("busybox");
  await rejects("invalid_state", bridge.exec(id, { command: ["cat"] }));
  await rejects("container_not_found", bridge.exec("nobody", { command: ["cat"] }));
  await bridge.startContainer(id);
  await rejects("invalid_request", bridge.exec(id, { command: [] }));
  await rejects(
    "invalid_request",
    bridge.exec(id, { command: ["cat"], colour: "red" } as { command: string[] }),
  );
});

Deno.test("a process gets its input and gives its output and its exit code", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const session = await bridge.exec(id, { command: ["cat"], stdin: true });
  const output = session.collect();
  const input = session.stdin.getWriter();
  const sent = Array.from({ length: 20 }, (_, line) => `line ${line}\n`);
  for (const line of sent) await input.write(encoder.encode(line));
  await input.close();
  const { stdout, stderr, exitCode } = await output;
  assert.deepEqual([text(stdout), text(stderr), exitCode], [sent.join(""), "", 0]);
  assert.equal(await session.exitCode, 0);
});

Deno.test("a process without input refuses it", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  await using session = await bridge.exec(id, { command: ["cat"] });
  await rejects("invalid_state", session.stdin.getWriter().write(encoder.encode("a")));
});

Deno.test("a terminal takes sizes, and refuses what is none", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  await using session = await bridge.exec(id, { command: ["cat"], stdin: true, terminal: true });
  session.resize(24, 80);
  for (const [rows, columns] of [[-1, 80], [24, 65_536], [1.5, 2]] as const) {
    assert.throws(() => session.resize(rows, columns), { status: "invalid_request" });
  }
});

Deno.test("a session that is ended before its process has no exit code", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const session = await bridge.exec(id, { command: ["cat"], stdin: true });
  await session.cancel();
  await rejects("cancelled", session.exitCode);
  assert.throws(() => session.resize(1, 1), { status: "invalid_request" });
  await rejects("invalid_request", session.stdin.getWriter().write(encoder.encode("a")));
});

Deno.test("an attachment reads a container's process, and leaves it as it is", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const attached = await bridge.attach(id, { replay: true });
  const pieces: Output[] = [];
  for await (const piece of attached) {
    pieces.push(piece);
    break;
  }
  assert.match(text(pieces[0]!.data), /started/);
  assert.equal((await bridge.inspectContainer(id)).state, "running");
});

Deno.test("events tell what happens, with moments as bigints", async () => {
  await using bridge = simulated();
  await using events = await bridge.events();
  const id = await bridge.createContainer("busybox", { name: "seen" });
  await bridge.startContainer(id);
  const kinds: string[] = [];
  for await (const item of events) {
    assert("event" in item);
    assert.equal(typeof item.event.time_ns, "bigint");
    kinds.push(item.event.kind);
    if (item.event.kind === "started") break;
  }
  assert.deepEqual(kinds.slice(-2), ["created", "started"]);
});

Deno.test("a pull tells how far it is and ends with its image", async () => {
  await using bridge = simulated();
  const items = await collected(await bridge.pullImageWithProgress("busybox"));
  assert(items.length >= 2);
  const last = items.at(-1)!;
  assert("pulled" in last);
  assert.equal(last.pulled.reference, "docker.io/library/busybox:latest");
  assert(items.slice(0, -1).every((item) => "progress" in item));
  const failing = await bridge.pullImageWithProgress("fault.test/pull:network_error");
  await rejects("network_error", collected(failing));
});

Deno.test("images and volumes are kept, told and removed", async () => {
  await using bridge = simulated();
  const image = await bridge.pullImage("busybox");
  assert.deepEqual(await bridge.listImages(), bridge.listImagesSync());
  assert.equal(image.reference, "docker.io/library/busybox:latest");
  await bridge.tagImage("busybox", "mine:1");
  assert.equal((await bridge.listImages()).length, 2);
  await bridge.deleteImage("mine:1");
  assert.deepEqual((await bridge.pruneImages({ all: true })).references, [image.reference]);
  const volume = await bridge.createVolume("data", { labels: { of: "test" } });
  assert.deepEqual([volume.name, volume.labels], ["data", { of: "test" }]);
  assert.deepEqual(await bridge.inspectVolume("data"), bridge.inspectVolumeSync("data"));
  await bridge.deleteVolume("data");
  await rejects("volume_not_found", bridge.inspectVolume("data"));
  assert.deepEqual(await bridge.listVolumes(), []);
});

Deno.test("streams of a bridge that is closed end", async () => {
  const bridge = simulated();
  const id = await running(bridge);
  const events = await bridge.events();
  const session = await bridge.exec(id, { command: ["cat"], stdin: true });
  const read = rejects("cancelled", events.getReader().read());
  await bridge.close();
  await read;
  await rejects("invalid_request", session.getReader().read());
  await eventually("the exit code is told", () => session.exitCode.then(() => false, () => true));
});

Deno.test("a session that is not read ends with its bridge, and lets go of its signal", async () => {
  for (const end of [(bridge: Bridge) => bridge.free(), (bridge: Bridge) => bridge.close()]) {
    const bridge = simulated();
    const id = await running(bridge);
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    };
    const session = await bridge.exec(id, { command: ["cat"], stdin: true }, { signal });
    assert.equal(listeners.size, 1);
    await end(bridge);
    await rejects("cancelled", session.exitCode);
    assert.equal(listeners.size, 0);
  }
});

Deno.test("a signal that is aborted while the answer is on its way ends the stream", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const reason = new Error("enough");
  for (let round = 0; round < 20; round++) {
    const abort = new AbortController();
    const stream = bridge.logs(id, { follow: true }, { signal: abort.signal });
    // Between the answer and the stream there are some turns of the queue of microtasks: one round for each of them.
    let turns = Promise.resolve();
    for (let turn = 0; turn < round; turn++) turns = turns.then(() => {});
    void turns.then(() => abort.abort(reason));
    await assert.rejects(
      (async () => {
        for await (const _ of await stream);
      })(),
      (error) => error === reason,
    );
  }
});

Deno.test("only bytes are written to a process", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const wrong = ["42", new Uint16Array([65, 66]), new ArrayBuffer(4), { length: 64 }, undefined];
  for (const chunk of wrong) {
    await using session = await bridge.exec(id, { command: ["cat"], stdin: true });
    const error = await rejects("invalid_request", session.stdin.getWriter().write(chunk as Uint8Array));
    assert.match(error.message, /TextEncoder/);
  }
});

Deno.test("who holds a process's input holds the process", async () => {
  const source = `const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    const open = async () => (await bridge.exec(id, { command: ["cat"], stdin: true })).stdin.getWriter();
    const input = await open();
    for (let round = 0; round < 20; round++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await input.write(new Uint8Array(1));
    console.log("written");
    bridge.free();`;
  const { stdout, stderr } = await deno(source, ["--allow-ffi", "--allow-env", "--v8-flags=--expose-gc"]);
  assert.equal(stdout, "written\n", stderr);
});

Deno.test("a stream that a frame opened is taken by its number, once", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const number = Number(text(await bridge.request("logs", [id])));
  const [item, ...more] = await collected(bridge.takeStream(number));
  assert.equal(item!.kind, "stdout");
  assert.match(text(item!.data), /started/);
  assert(item!.value > 0n && more.length === 0);
  for (const wrong of [number, -1, NaN, 2 ** 60]) fails("invalid_request", () => bridge.takeStream(wrong));
});
