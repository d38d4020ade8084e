/**
 * The same ping as JSON over HTTP: Deno's `fetch` to a `Deno.serve` in another process, over one connection that is kept
 * open.
 *
 * @module
 */
import { expect, measureAsync, PAYLOADS } from "../../deno/benches/measure.ts";

const server = new Deno.Command(Deno.execPath(), {
  args: ["run", "--quiet", "--allow-net=127.0.0.1", new URL("http_server.ts", import.meta.url).pathname],
  stdout: "piped",
}).spawn();
try {
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await reader.read()).value);
  for (const bytes of PAYLOADS) {
    const payload = "x".repeat(bytes);
    await measureAsync("fetch, JSON over HTTP, from Deno", bytes, 1, 3000, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: "POST",
        body: JSON.stringify({ command: "ping", payload }),
      });
      const answer = await response.json();
      expect(answer.data.length === bytes, "its length");
    });
  }
  await reader.cancel();
} finally {
  server.kill();
  await server.status;
}
