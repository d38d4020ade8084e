/**
 * What the examples have in common: the bridge that they use.
 *
 *     deno run --allow-ffi EXAMPLE.ts                        containers that exist in memory only
 *     deno run --allow-ffi EXAMPLE.ts oci STATE_ROOT IMAGE   real ones; STATE_ROOT is a folder, IMAGE is in its store
 *
 * @module
 */

import { Bridge } from "../mod.ts";

/** The image that the examples run. */
export const image = Deno.args[2] ?? "busybox";

/** A bridge as the arguments say. */
export function exampleBridge(): Bridge {
  const [runtime, stateRoot] = Deno.args;
  if (runtime === undefined) return new Bridge({ runtime: "simulated" });
  if (runtime === "oci" && stateRoot !== undefined) return new Bridge({ runtime, stateRoot });
  console.error("usage: EXAMPLE.ts [oci STATE_ROOT IMAGE]");
  Deno.exit(2);
}
