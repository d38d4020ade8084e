/**
 * A store of real containers, for tests that root runs.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Bridge } from "../mod.ts";
import { folder, ROOT, run } from "./support.ts";

/** The image that is in the store: busybox alone. */
export const image = "example.test/busybox:1";

/** A state root with the image in it, which is gone when it is disposed, and its containers with it. */
export async function store(): Promise<{ path: string } & Disposable> {
  const place = folder();
  try {
    const archive = `${place.path}/image.tar`;
    const { code, stderr } = await run(new URL("scripts/busybox-image", ROOT).pathname, [archive, image]);
    assert.equal(code, 0, stderr);
    const path = `${place.path}/state`;
    using bridge = new Bridge({ runtime: "oci", stateRoot: path });
    const [loaded] = await bridge.loadImage(archive);
    assert.equal(loaded?.reference, image);
    return { path, [Symbol.dispose]: () => clear(path, place) };
  } catch (error) {
    place[Symbol.dispose]();
    throw error;
  }
}

/** Removes what a test has left running, also when it failed. */
function clear(path: string, place: Disposable): void {
  {
    using bridge = new Bridge({ runtime: "oci", stateRoot: path });
    for (const id of bridge.listContainersSync()) bridge.deleteContainerSync(id, { force: true });
  }
  place[Symbol.dispose]();
}
