/**
 * The server that fetch.ts asks: a request is JSON, so is the answer, and the payload is checked by being decoded. A process
 * of its own, as a daemon is. Prints its port.
 *
 * @module
 */
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(port),
}, async (request) => {
  const { command, payload } = await request.json();
  return command === "ping"
    ? Response.json({ status: "success", data: payload })
    : Response.json({ status: "invalid_request" }, { status: 400 });
});
