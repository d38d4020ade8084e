/** Real containers, which need root. */
import assert from "node:assert/strict";
import { Bridge } from "../mod.ts";
import { lives } from "./lives.ts";
import { image, store } from "./store.ts";
import { eventually, PACKAGE, rejects } from "./support.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Runs a test with a bridge of its own to real containers. */
function real(sentence: string, test: (bridge: Bridge, stateRoot: string) => Promise<void>): void {
  Deno.test(sentence, async () => {
    using place = await store();
    await using bridge = new Bridge({ runtime: "oci", stateRoot: place.path });
    await test(bridge, place.path);
  });
}

function sleeping(bridge: Bridge, name?: string): Promise<string> {
  return bridge.createContainer(image, { name, spec: { command: ["sleep", "600"] } });
}

if (Deno.uid() === 0) {
  real("a real container lives and ends", async (bridge) => {
    assert.equal(bridge.runtime, "oci");
    const id = await sleeping(bridge, "real");
    await bridge.startContainer(id);
    const { state, pid } = await bridge.inspectContainer("real");
    assert.equal(state, "running");
    assert(pid! > 1);
    const [process] = await bridge.topContainer(id);
    assert.equal(process!.pid, pid);
    assert.equal(typeof process!.cpu_ns, "bigint");
    await bridge.pauseContainer(id);
    assert.equal(bridge.inspectContainerSync(id).state, "paused");
    await bridge.resumeContainer(id);
    const wait = bridge.waitContainer(id);
    await bridge.stopContainer(id, { timeoutMs: 0 });
    assert.equal(await wait, 137);
    await bridge.deleteContainer(id);
    assert.deepEqual(await bridge.listContainers(), []);
  });

  real("a real exec has input, output, errors and an exit code", async (bridge) => {
    const id = await sleeping(bridge);
    await bridge.startContainer(id);
    const script = "cat; echo wrong >&2; exit 7";
    const session = await bridge.exec(id, { command: ["sh", "-c", script], stdin: true });
    const output = session.collect();
    const input = session.stdin.getWriter();
    const megabyte = new Uint8Array(1 << 20).fill(0x61);
    await input.write(megabyte);
    await input.close();
    const { stdout, stderr, exitCode } = await output;
    assert.deepEqual([stdout.length, text(stderr), exitCode], [megabyte.length, "wrong\n", 7]);
    assert(stdout.every((byte) => byte === 0x61));
  });

  real("the end of an input waits for a process that writes first", async (bridge) => {
    const id = await sleeping(bridge);
    await bridge.startContainer(id);
    const script = "head -c 1000000 /dev/zero; cat > /dev/null; exit 7";
    const session = await bridge.exec(id, { command: ["sh", "-c", script], stdin: true });
    const input = session.stdin.getWriter();
    // More than all that is kept on the way holds: it is not read before the output is.
    const written = (async () => {
      for (let piece = 0; piece < 64; piece++) await input.write(new Uint8Array(1 << 16));
      await input.close();
    })();
    const { stdout, exitCode } = await session.collect();
    await written;
    assert.deepEqual([stdout.length, exitCode], [1_000_000, 7]);
  });

  real("a real terminal has the size that it is told", async (bridge) => {
    const id = await sleeping(bridge);
    await bridge.startContainer(id);
    await using session = await bridge.exec(id, {
      command: ["sh"],
      stdin: true,
      terminal: true,
      size: { rows: 10, columns: 20 },
    });
    session.resize(33, 77);
    const input = session.stdin.getWriter();
    await input.write(new TextEncoder().encode("exec busybox stty size\n"));
    let said = "";
    for await (const { data } of session) said += text(data);
    assert.match(said, /33 77/);
    assert.equal(await session.exitCode, 0);
  });

  real("a real exec that is left half-way is killed", async (bridge) => {
    const id = await sleeping(bridge);
    await bridge.startContainer(id);
    for await (
      const { data } of await bridge.exec(id, { command: ["sh", "-c", "while :; do echo on; done"] })
    ) {
      assert.match(text(data), /on/);
      break;
    }
    await eventually("the process is gone", async () => (await bridge.topContainer(id)).length === 1);
  });

  real("a real create that is aborted leaves nothing", async (bridge) => {
    // What is done before the abort is heard of stands: on a busy machine that may be all of it.
    let rejected = 0;
    for (let round = 0; round < 10 && rejected === 0; round++) {
      const abort = new AbortController();
      const { signal } = abort;
      const creates = Array.from({ length: 8 }, () => bridge.createContainer(image, { signal }));
      const settled = Promise.allSettled(creates);
      abort.abort();
      for (const each of await settled) {
        if (each.status === "fulfilled") await bridge.deleteContainer(each.value);
        else rejected++;
      }
    }
    assert(rejected > 0);
    await eventually("no container is left", async () => (await bridge.listContainers()).length === 0);
  });

  real("a stream of real events sees what another bridge does", async (bridge, stateRoot) => {
    await using events = await bridge.events();
    await using other = new Bridge({ runtime: "oci", stateRoot });
    const id = await sleeping(other);
    for await (const item of events) {
      if ("event" in item && item.event.kind === "created" && item.event.subject === id) break;
    }
  });

  real("a shim that is not there is named", async (bridge, stateRoot) => {
    let error;
    try {
      await using other = new Bridge({ runtime: "oci", stateRoot, shim: "/nowhere/selur-shim" });
      const id = await sleeping(other);
      error = await rejects("unsupported", other.startContainer(id));
    } catch (refused) {
      error = refused as Error;
    }
    assert.match(error.message, /selur-shim/);
    assert.equal(bridge.pingSync("a").length, 1);
  });

  Deno.test("the event loop stalls no longer by 100 containers than by another process that makes them", async () => {
    // The longest stall is an extreme of a busy machine: the work itself is at fault only if it is so each time.
    const rounds: string[] = [];
    for (let round = 0; round < 5; round++) {
      using place = await store();
      await using bridge = new Bridge({ runtime: "oci", stateRoot: place.path });
      const here = await longestStall(() => lives(bridge));
      const control = await longestStall(() => livesElsewhere(place.path));
      rounds.push(`${here.toFixed(1)} ms, beside another process ${control.toFixed(1)} ms`);
      if (here <= 2 * control) {
        console.log(`the longest stall: ${rounds.at(-1)}`);
        return;
      }
    }
    assert.fail(`the longest stalls: ${rounds.join("; ")}`);
  });
}

/** The same in another process. */
async function livesElsewhere(stateRoot: string): Promise<void> {
  const program = new URL("tests/lives.ts", PACKAGE).pathname;
  const args = [
    "run",
    "--quiet",
    "--no-check",
    "--allow-ffi",
    "--allow-env",
    "--allow-read",
    program,
    stateRoot,
  ];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, stderr: "piped" }).output();
  assert.equal(code, 0, text(stderr));
}

/** The longest time between two turns of the event loop while something is done, in milliseconds. */
async function longestStall(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return longest;
}
