import assert from "node:assert/strict";
import { type Bridge, openLibrary } from "../mod.ts";
import { deno, eventually, rejects, simulated } from "./support.ts";

async function running(bridge: Bridge): Promise<string> {
  const id = await bridge.createContainer("busybox", { deadlineMs: Infinity });
  await bridge.startContainer(id, { deadlineMs: Infinity });
  return id;
}

Deno.test("1,000 promises at once are all kept", async () => {
  await using bridge = simulated();
  const names = Array.from({ length: 1_000 }, (_, index) => `c${index}`);
  const ids = await Promise.all(names.map((name) => bridge.createContainer("busybox", { name })));
  assert.equal(new Set(ids).size, 1_000);
  await Promise.all(ids.map((id) => bridge.startContainer(id)));
  const found = await Promise.all(ids.map((id) => bridge.inspectContainer(id)));
  assert.deepEqual(found.map(({ name, state }) => [name, state]), names.map((name) => [name, "running"]));
  const waits = ids.map((id) => bridge.waitContainer(id));
  await Promise.all(ids.map((id) => bridge.killContainer(id)));
  assert.deepEqual(new Set(await Promise.all(waits)), new Set([137]));
  await Promise.all(ids.map((id) => bridge.deleteContainer(id)));
  assert.deepEqual(await bridge.listContainers(), []);
});

Deno.test("1,000 pings at once give each its own answer", async () => {
  await using bridge = simulated();
  const texts = Array.from({ length: 1_000 }, (_, index) => `ping ${index}`);
  const answers = await Promise.all(texts.map((text) => bridge.ping(text)));
  assert.deepEqual(answers.map((answer) => new TextDecoder().decode(answer)), texts);
});

Deno.test("an effect does not block the event loop", async () => {
  await using bridge = simulated();
  const abort = new AbortController();
  const hanging = bridge.createContainer("fault.test/hang:create", { signal: abort.signal });
  let turns = 0;
  await eventually("the loop turns", () => ++turns > 10);
  assert.equal((await bridge.ping("a")).length, 1);
  abort.abort();
  await assert.rejects(hanging, { name: "AbortError" });
});

Deno.test("a deadline ends a request with timeout", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  await rejects("timeout", bridge.waitContainer(id, { deadlineMs: 10 }));
  await using hasty = simulated({ deadlineMs: 10 });
  const other = await running(hasty);
  await rejects("timeout", hasty.waitContainer(other));
  const patient = hasty.waitContainer(other, { deadlineMs: Infinity });
  await rejects("timeout", hasty.waitContainer(other));
  await hasty.killContainer(other, "SIGKILL", { deadlineMs: Infinity });
  assert.equal(await patient, 137);
});

Deno.test("an abort rejects with the signal's reason and ends the request", async () => {
  await using bridge = simulated();
  const abort = new AbortController();
  const reason = new Error("no longer wanted");
  const hanging = bridge.createContainer("fault.test/hang:create", { name: "held", signal: abort.signal });
  await rejects("container_already_exists", bridge.createContainer("busybox", { name: "held" }));
  abort.abort(reason);
  await assert.rejects(hanging, (error) => error === reason);
  // The create was undone: its name is free.
  await eventually("the name is free", () => {
    return bridge.createContainer("busybox", { name: "held" }).then(() => true, () => false);
  });
});

Deno.test("a signal that was aborted before begins nothing", async () => {
  await using bridge = simulated();
  const before = bridge.stateDigest;
  const signal = AbortSignal.abort("never");
  await assert.rejects(bridge.createContainer("busybox", { signal }), (error) => error === "never");
  assert.equal(bridge.stateDigest, before);
});

Deno.test("an abort after the answer changes nothing", async () => {
  await using bridge = simulated();
  const abort = new AbortController();
  const id = await bridge.createContainer("busybox", { signal: abort.signal });
  abort.abort();
  assert.deepEqual(await bridge.listContainers(), [id]);
});

Deno.test("an abort that comes too late for a create leaves its container, or none, but no rejection with one", async () => {
  await using bridge = simulated();
  for (let round = 0; round < 200; round++) {
    const abort = new AbortController();
    const created = bridge.createContainer("busybox", { name: "late", signal: abort.signal });
    // At another moment each time.
    for (let turn = 0; turn < round % 8; turn++) await null;
    abort.abort();
    const id = await created.catch(() => undefined);
    if (id !== undefined) await bridge.deleteContainer(id);
    await eventually("nothing is left", async () => (await bridge.listContainers()).length === 0);
  }
});

Deno.test("many aborts of one signal end all their requests", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const abort = new AbortController();
  const waits = Array.from({ length: 200 }, () => bridge.waitContainer(id, { signal: abort.signal }));
  abort.abort();
  const settled = await Promise.allSettled(waits);
  assert(settled.every((each) => each.status === "rejected" && each.reason === abort.signal.reason));
});

Deno.test("more bridges than Deno has threads wait at once, and close", async () => {
  using _library = openLibrary();
  const bridges = Array.from({ length: 40 }, () => simulated());
  const waits = await Promise.all(bridges.map(async (bridge) => {
    const id = await running(bridge);
    return { bridge, id, exit: bridge.waitContainer(id) };
  }));
  for (const { bridge, id } of waits) await bridge.killContainer(id);
  for (const { exit } of waits) assert.equal(await exit, 137);
  const open = bridges.map((bridge) =>
    rejects("cancelled", bridge.createContainer("fault.test/hang:create"))
  );
  await Promise.all(bridges.map((bridge) => bridge.close()));
  await Promise.all(open);
});

Deno.test("an idle bridge keeps no process alive", async () => {
  const source = `const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    const wait = bridge.waitContainer(id);
    await bridge.stopContainer(id);
    const events = await bridge.events();
    const slot = bridge.reserve(64);
    console.log(await wait);`;
  const before = Date.now();
  const { code, stdout, stderr } = await deno(source);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "143\n");
  assert(Date.now() - before < 20_000);
});

Deno.test("what is awaited keeps the process alive", async () => {
  const source = `const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    bridge.waitContainer(id, { deadlineMs: 300 }).catch((error) => console.log(error.status));`;
  const { stdout, stderr } = await deno(source);
  assert.equal(stdout, "timeout\n", stderr);
});

Deno.test("a process that ends in the middle of it all ends cleanly", async () => {
  const source = `const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    for (let each = 0; each < 50; each++) bridge.waitContainer(id).catch(() => {});
    setTimeout(() => { console.log("leaving"); Deno.exit(7); }, 20);`;
  const { code, stdout, stderr } = await deno(source);
  assert.deepEqual([code, stdout], [7, "leaving\n"], stderr);
});

Deno.test("workers that are terminated while answers are on their way harm nobody", async () => {
  await using bridge = simulated();
  for (let round = 0; round < 30; round++) {
    const worker = new Worker(new URL("waiting_worker.ts", import.meta.url), { type: "module" });
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.onmessage = () => resolve();
    await promise;
    worker.terminate();
    // As long as its answers take.
    await rejects("timeout", bridge.createContainer("fault.test/hang:create", { deadlineMs: 30 }));
  }
  assert.equal((await bridge.ping("a")).length, 1);
});

Deno.test("blocking calls and promises mix", async () => {
  await using bridge = simulated();
  const id = await running(bridge);
  const wait = bridge.waitContainer(id);
  assert.equal(bridge.inspectContainerSync(id).state, "running");
  bridge.killContainerSync(id);
  assert.equal(bridge.waitContainerSync(id), 137);
  assert.equal(await wait, 137);
});

Deno.test("a bridge whose last request is given up keeps no process alive", async () => {
  const source = `const bridge = new Bridge({ runtime: "simulated" });
    const id = await bridge.createContainer("busybox");
    await bridge.startContainer(id);
    const abort = new AbortController();
    const waited = bridge.waitContainer(id, { signal: abort.signal }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    bridge.killContainerSync(id);
    abort.abort();
    await waited;
    const begin = performance.now();
    globalThis.addEventListener("unload", () => console.log(performance.now() - begin < 500));`;
  for (let round = 0; round < 5; round++) assert.equal((await deno(source)).stdout, "true\n");
});
