import assert from "node:assert/strict";
import { folder, PACKAGE, PATIENCE_MS, ROOT, run } from "./support.ts";

const EXAMPLES = new URL("examples/", PACKAGE);

async function says(name: string, args: string[] = []): Promise<void> {
  const special = new URL(`${name}.${args[0]}.out`, EXAMPLES);
  const expected = await Deno.readTextFile(special)
    .catch(() => Deno.readTextFile(new URL(`${name}.out`, EXAMPLES)));
  const program = new URL(`${name}.ts`, EXAMPLES).pathname;
  const { code, stdout, stderr } = await run(
    Deno.execPath(),
    ["run", "--quiet", "--no-prompt", "--allow-ffi", "--allow-env=SELUR_LIBRARY", program, ...args],
    { env: { NO_COLOR: "1" } },
  );
  assert.equal(stdout, expected, stderr);
  assert.equal(code, 0, stderr);
}

for (const name of ["lifecycle", "follow_log", "zero_copy"]) {
  Deno.test(`the example ${name} says what it should`, () => says(name));
}

if (Deno.uid() === 0) {
  for (const name of ["lifecycle", "follow_log"]) {
    Deno.test(`the example ${name} says the same of real containers`, async () => {
      const { store, image } = await import("./store.ts");
      using place = await store();
      await says(name, ["oci", place.path, image]);
    });
  }
}

/** The programs in the documents: what stands between marks of TypeScript. */
function programs(document: string): string[] {
  return [...document.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((found) => found[1]!);
}

/** Checks and runs programs that are written as if they stood beside mod.ts. */
async function runAsTheyStand(found: string[]): Promise<void> {
  using place = folder();
  const files = found.map((program, index) => {
    const file = `${place.path}/program${index}.ts`;
    // Users have real containers; here they live in memory.
    const module = JSON.stringify(new URL("mod.ts", PACKAGE).href);
    const source = program.replace(/from "\.\/(bindings\/selur-ffi\/deno\/)?mod\.ts"/, `from ${module}`)
      .replaceAll("new Bridge()", 'new Bridge({ runtime: "simulated" })');
    assert.notEqual(source, program, program);
    Deno.writeTextFileSync(file, source);
    return file;
  });
  const check = await run(Deno.execPath(), ["check", "--quiet", ...files], { env: { NO_COLOR: "1" } });
  assert.equal(check.code, 0, check.stderr);
  for (const file of files) {
    const args = [
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      "--allow-ffi",
      "--allow-env=SELUR_LIBRARY",
      file,
    ];
    const { code, stderr } = await run(Deno.execPath(), args, {
      signal: AbortSignal.timeout(4 * PATIENCE_MS),
    });
    assert.equal(code, 0, `${Deno.readTextFileSync(file)}\n${stderr}`);
  }
}

Deno.test("the program of the repository's README runs as it stands", async () => {
  const found = programs(await Deno.readTextFile(new URL("README.md", ROOT)));
  assert.equal(found.length, 1);
  await runAsTheyStand(found);
});

Deno.test("the programs of the README run as they stand", async () => {
  const found = programs(await Deno.readTextFile(new URL("README.md", PACKAGE)));
  assert.equal(found.length, 3);
  await runAsTheyStand(found);
});

Deno.test("the programs of the documentation run as they stand", async () => {
  const sources = [
    "mod.ts",
    "src/bridge.ts",
    "src/errors.ts",
    "src/library.ts",
    "src/slots.ts",
    "src/streams.ts",
  ];
  const texts = await Promise.all(sources.map((source) => Deno.readTextFile(new URL(source, PACKAGE))));
  const found = texts.flatMap((text) => programs(text.replaceAll(/^ \* ?/gm, "")));
  assert.equal(found.length, 6);
  await runAsTheyStand(found);
});
