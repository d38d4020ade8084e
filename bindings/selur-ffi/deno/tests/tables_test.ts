import assert from "node:assert/strict";
import { parse, symbolsModule } from "../generate.ts";
import { ABI_VERSION, Command, openLibrary, SelurError, Status } from "../mod.ts";
import { statusName } from "../src/errors.ts";
import { symbols } from "../src/symbols.ts";
import { PACKAGE, ROOT, run } from "./support.ts";

interface Coded {
  code: number;
  name: string;
}

const protocol: { commands: Coded[]; statuses: Coded[] } = JSON.parse(
  Deno.readTextFileSync(new URL("conformance/protocol.json", ROOT)),
);

const table = (entries: Coded[]): Record<string, number> =>
  Object.fromEntries(entries.map(({ name, code }) => [name, code]));

Deno.test("the commands are those of protocol.json", () => {
  assert.deepEqual({ ...Command }, table(protocol.commands));
});

Deno.test("the statuses are those of protocol.json, and no other code has a name", () => {
  assert.deepEqual({ ...Status }, table(protocol.statuses));
  for (const { name, code } of protocol.statuses) {
    assert.equal(statusName(code), name);
    assert.equal(new SelurError(code, "words").status, name);
  }
  for (let code = protocol.statuses.length; code < 256; code++) {
    assert.equal(statusName(code), "unknown_error");
  }
});

Deno.test("the library's own version of the ABI is that of the header", () => {
  using library = openLibrary();
  assert.equal(library.abiVersion, ABI_VERSION);
  assert.match(library.version, /^\d+\.\d+\.\d+/);
  const recorded = Deno.readTextFileSync(new URL("guest/selur.wasm.sha256", ROOT)).split(/\s/)[0];
  assert.equal(library.guestSha256, recorded);
});

Deno.test("what is generated is what the header and the schemas say", async () => {
  const check = new URL("generate.ts", PACKAGE).pathname;
  const { code, stderr } = await run(Deno.execPath(), ["run", "-A", "--quiet", check, "--check"]);
  assert.equal(code, 0, stderr);
});

const header = Deno.readTextFileSync(new URL("../include/selur.h", PACKAGE));

Deno.test("every function of the header has a symbol", () => {
  const named = new Set([...header.matchAll(/^\S.*?\b(selur_\w+)\(/gm)].map((found) => found[1]));
  const made = Object.keys(symbols).filter((name) => !name.endsWith("_nonblocking"));
  assert.deepEqual(new Set(made), named);
  assert(made.length > 60, `${made.length} functions`);
});

Deno.test("a type that the generator does not know is an error", () => {
  for (
    const [odd, says] of [
      ["uint32_t selur_new_thing(float wide);", /float/],
      ["struct selur_odd_t { int x; };", /selur_odd_t/],
      ["typedef struct {\n    float wide;\n} selur_odd_t;", /odd field/],
      ["#include <stdbool.h>\nbool selur_is_new(void);", /bool/],
    ] as const
  ) {
    assert.throws(() => symbolsModule(parse(`${header}\n${odd}\n`)), says);
  }
});
