/**
 * Work for the event loop's test: here in its own process.
 *
 *     deno run --allow-ffi --allow-read lives.ts STATE_ROOT
 *
 * @module
 */

import { Bridge } from "../mod.ts";
import { image } from "./store.ts";

/** 100 containers, created, started and deleted, eight at a time. */
export async function lives(bridge: Bridge): Promise<void> {
  let left = 100;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const id = await bridge.createContainer(image, { spec: { command: ["sleep", "600"] } });
      await bridge.startContainer(id);
      await bridge.deleteContainer(id, { force: true });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

if (import.meta.main) {
  await using bridge = new Bridge({ runtime: "oci", stateRoot: Deno.args[0]! });
  await lives(bridge);
}
