/** One container's whole life. */
import { SelurError } from "../mod.ts";
import { exampleBridge, image } from "./support.ts";

await using bridge = exampleBridge();
const id = await bridge.createContainer(image, {
  name: "example-lifecycle",
  spec: { command: ["sleep", "60"], pull: "missing" },
});
console.log(`created  an id of ${id.length} digits`);
await bridge.startContainer(id);
console.log(`inspect  ${(await bridge.inspectContainer("example-lifecycle")).state}`);

// Starting once more is no failure; deleting what runs is one, with a message for people.
await bridge.startContainer(id);
try {
  await bridge.deleteContainer("example-lifecycle");
} catch (error) {
  if (!(error instanceof SelurError)) throw error;
  console.log(`delete   ${error.status}: ${error.message}`);
}

// A request can be given up. What it waited for goes on.
const waited = bridge.waitContainer(id, { signal: AbortSignal.timeout(50) });
console.log(`wait     ${await waited.catch((reason) => reason.name)}`);

await bridge.killContainer(id);
console.log(`ended    exit code ${await bridge.waitContainer(id)}`);
await bridge.deleteContainer(id);
console.log(`list     ${(await bridge.listContainers()).length} containers are left`);
