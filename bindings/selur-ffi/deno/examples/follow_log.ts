/** Follows what a container writes until it has ended. */
import { exampleBridge, image } from "./support.ts";

await using bridge = exampleBridge();
const script = "echo one; echo two; sleep 0.3; echo three; sleep 0.3; exit 3";
const id = await bridge.createContainer(image, { spec: { command: ["sh", "-c", script] } });
const log = await bridge.logs(id, { follow: true });
await bridge.startContainer(id);
// A simulated container would run for ever.
if (bridge.runtime === "simulated") await bridge.killContainer(id);

const decoder = new TextDecoder();
for await (const { from, data } of log) console.log(`${from}   ${decoder.decode(data).trimEnd()}`);
console.log(`ended    exit code ${await bridge.waitContainer(id)}`);
await bridge.deleteContainer(id);
