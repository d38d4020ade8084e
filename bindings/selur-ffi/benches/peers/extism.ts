/**
 * The same ping by `@extism/extism`: a guest of its own that does what selur's does, called in this process.
 *
 * @module
 */
import { createPlugin } from "npm:@extism/extism@1.0.3";
import wabt from "npm:wabt@1.0.39";
import { expect, measureAsync, PAYLOADS, pingFrame } from "../../deno/benches/measure.ts";

const source = await Deno.readTextFile(new URL("extism_ping.wat", import.meta.url));
const module = (await wabt()).parseWat("extism_ping.wat", source).toBinary({}).buffer;
const plugin = await createPlugin({ wasm: [{ data: module }] }, { useWasi: false });
for (const bytes of PAYLOADS.filter((bytes) => bytes >= 3)) {
  const frame = pingFrame(bytes);
  await measureAsync("extism, from Deno", bytes, bytes > 10240 ? 1 : 10, 5000, async () => {
    const answer = await plugin.call("ping", frame);
    expect(answer?.bytes().length === frame.length, "its length");
    // Each call keeps its input until then.
    await plugin.reset();
  });
}
await plugin.close();
