/**
 * How long Deno's event loop stalls while 100 real containers are created, started and deleted from it; and, for control,
 * while another process does the same work: what then remains is the machine's doing.
 *
 *   stall.ts STATE_ROOT IMAGE           measures, and prints who, median, longest, all runs, in milliseconds
 *   stall.ts STATE_ROOT IMAGE --work    does the work once, and nothing else
 *
 * @module
 */
import { Bridge } from "../mod.ts";

const [CONTAINERS, AT_ONCE, RUNS] = [100, 8, 5];

const [stateRoot = "", image = "", mode] = Deno.args;
if (image === "") throw new Error("usage: stall.ts STATE_ROOT IMAGE [--work]");

/** The work, in this process. */
async function work(bridge: Bridge): Promise<void> {
  let left = CONTAINERS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const container = await bridge.createContainer(image, { spec: { command: ["sleep", "600"] } });
      await bridge.startContainer(container);
      await bridge.deleteContainer(container, { force: true });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The work, in a process of its own. */
async function workElsewhere(): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", new URL(import.meta.url).pathname, stateRoot, image, "--work"],
  }).spawn();
  const { success } = await child.status;
  if (!success) throw new Error("the process that does the work failed");
}

/** The longest time in milliseconds that the event loop did not come round while `during` went on. */
async function longestStall(during: () => Promise<void>): Promise<number> {
  let [longest, isOver] = [0, false];
  const watch = async (): Promise<void> => {
    let before = performance.now();
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const now = performance.now();
      // The timer's own millisecond is no stall.
      longest = Math.max(longest, now - before - 1);
      before = now;
    }
  };
  const watched = watch();
  try {
    await during();
  } finally {
    isOver = true;
    await watched;
  }
  return longest;
}

if (mode === "--work") {
  await using bridge = new Bridge({ runtime: "oci", stateRoot });
  await work(bridge);
} else {
  await using bridge = new Bridge({ runtime: "oci", stateRoot });
  const ways: [string, () => Promise<void>, number[]][] = [
    ["this process", () => work(bridge), []],
    ["another process, for control", workElsewhere, []],
  ];
  // The first round warms up: code is compiled, the image's files come into the cache.
  for (let run = -1; run < RUNS; run++) {
    for (const [, during, stalls] of ways) {
      const stall = await longestStall(during);
      if (run >= 0) stalls.push(stall);
    }
  }
  for (const [who, , stalls] of ways) {
    const all = stalls.map((stall) => stall.toFixed(1)).join(", ");
    stalls.sort((a, b) => a - b);
    console.log(`${who}\t${stalls.at(RUNS >> 1)?.toFixed(1)}\t${stalls.at(-1)?.toFixed(1)}\t${all}`);
  }
}
