/** A worker that is terminated while answers are on their way: see promises_test.ts. */
import { Bridge } from "../mod.ts";

const bridge = new Bridge({ runtime: "simulated", deadlineMs: 20 });
for (let each = 0; each < 20; each++) bridge.createContainer("fault.test/hang:create").catch(() => {});
const slot = bridge.reserve(64);
slot.write("ping", "held");
(globalThis as unknown as Worker).postMessage("waiting");
