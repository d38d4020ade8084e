import assert from "node:assert/strict";
import { ABI_VERSION, Bridge, LibraryError, openLibrary } from "../mod.ts";
import { deno, folder, PACKAGE, run } from "./support.ts";

function refused(path: string | URL): string {
  let message = "";
  assert.throws(() => openLibrary(path), (error) => {
    assert(error instanceof LibraryError);
    message = error.message;
    return true;
  });
  assert.match(message, /^Library not loaded/);
  assert.throws(() => new Bridge({ library: path }), LibraryError);
  return message;
}

/** A library whose functions say what they are told to. */
async function library(place: string, source: string): Promise<string> {
  const path = `${place}/stub.so`;
  Deno.writeTextFileSync(`${place}/stub.c`, source);
  const { code, stderr } = await run("gcc", ["-shared", "-fPIC", "-o", path, `${place}/stub.c`]);
  assert.equal(code, 0, stderr);
  return path;
}

Deno.test("a wrong path is refused by its name, and nothing else is tried", () => {
  const message = refused("/nowhere/libselur.so");
  assert.match(message, /\/nowhere\/libselur.so \(the path that was given\): no such file/);
  assert.doesNotMatch(message, /target/);
  assert.match(refused(new URL("file:///nowhere/else.so")), /\/nowhere\/else.so/);
});

Deno.test("a file that is no library is refused", () => {
  assert.match(refused(new URL("mod.ts", PACKAGE)), /mod\.ts/);
});

Deno.test("a library that is not selur is refused", async () => {
  using place = folder();
  assert.match(
    refused(await library(place.path, "int unrelated(void) { return 1; }")),
    /undefined symbol: selur_/,
  );
});

Deno.test("a library of another version of the ABI is refused with both versions", async () => {
  using place = folder();
  const other = ABI_VERSION + 41;
  const path = await library(
    place.path,
    `unsigned selur_abi_version(void) { return ${other}; } const char *selur_version(void) { return "7.8.9"; }`,
  );
  const message = refused(path);
  assert.match(message, /7\.8\.9/);
  assert.match(message, new RegExp(`version ${other} of the ABI`));
  assert.match(message, new RegExp(`needs version ${ABI_VERSION}\\b`));
});

Deno.test("a library that lacks functions is refused", async () => {
  using place = folder();
  const path = await library(
    place.path,
    `unsigned selur_abi_version(void) { return ${ABI_VERSION}; } const char *selur_version(void) { return "0"; }`,
  );
  assert.match(refused(path), /lacks what this module needs.*selur_/);
});

Deno.test("a library is used by its path, by its URL, by what was opened", async () => {
  using opened = openLibrary();
  const path = Deno.realPathSync(opened.path);
  for (const library of [path, new URL(`file://${path}`), opened]) {
    await using bridge = new Bridge({ runtime: "simulated", library });
    assert.equal(bridge.pingSync("a").length, 1);
  }
  opened.close();
  opened.close();
});

Deno.test("a library that is closed stays open for its bridges", () => {
  const library = openLibrary();
  using bridge = new Bridge({ runtime: "simulated", library });
  library.close();
  assert.equal(bridge.pingSync("a").length, 1);
});

Deno.test("without --allow-ffi the flag is named, and every place", async () => {
  const source = `try { new Bridge({ runtime: "simulated" }); }
    catch (error) { console.log(error instanceof LibraryError, error.message); }`;
  const { stdout, stderr } = await deno(source, []);
  assert.equal(stderr, "");
  assert.match(stdout, /^true Library not loaded: .*--allow-ffi/);
  assert.match(stdout, /\.\/libselur\.so \(the current directory\)/);
  assert.match(stdout, /beside the module/);
  assert.match(stdout, /target\/release\/libselur\.so/);
});

Deno.test("the right to one library alone is refused in words", async () => {
  using opened = openLibrary();
  const path = Deno.realPathSync(opened.path);
  const source = `try { new Bridge({ library: ${JSON.stringify(path)} }); }
    catch (error) { console.log(error instanceof LibraryError, error.message); }`;
  const { stdout, stderr } = await deno(source, [`--allow-ffi=${path}`]);
  assert.match(stdout, /^true Library not loaded: .*--allow-ffi; with a path/, stderr);
});

Deno.test("where nothing is found every place that was tried is listed", async () => {
  using place = folder();
  // A copy of the module, far from any checkout.
  const copied = `${place.path}/package`;
  const { code, stderr: copying } = await run("cp", ["-r", PACKAGE.pathname, copied]);
  assert.equal(code, 0, copying);
  Deno.writeTextFileSync(
    `${place.path}/main.ts`,
    `import { Bridge } from "./package/mod.ts";
    try { new Bridge(); } catch (error) { console.log(error.name, error.message); }`,
  );
  const args = ["run", "--quiet", "--no-check", "--no-prompt", "--allow-ffi", `${place.path}/main.ts`];
  const { stdout, stderr } = await run(Deno.execPath(), args, { cwd: place.path, env: { NO_COLOR: "1" } });
  assert.match(stdout, /^LibraryError Library not loaded/, stderr);
  for (const what of ["beside the module", "the current directory", "the checkout"]) {
    assert.match(stdout, new RegExp(`libselur\\.so \\(${what}\\): no such file`));
  }
  assert.match(stdout, /cargo build --release/);
});

Deno.test("the environment names the library, if it may be read", async () => {
  const source = `try { new Bridge({ runtime: "simulated" }).free(); console.log("made"); }
    catch (error) { console.log(error.message); }`;
  const env = { SELUR_LIBRARY: "/nowhere/named.so", NO_COLOR: "1" };
  const url = new URL("mod.ts", PACKAGE).href;
  const program = `data:application/typescript,${
    encodeURIComponent(`import { Bridge } from ${JSON.stringify(url)};\n${source}`)
  }`;
  const args = ["run", "--quiet", "--no-check", "--no-prompt", "--allow-ffi"];
  const allowed = await run(Deno.execPath(), [...args, "--allow-env=SELUR_LIBRARY", program], { env });
  assert.match(allowed.stdout, /\/nowhere\/named.so \(\$SELUR_LIBRARY\): no such file/, allowed.stderr);
  const without = await run(Deno.execPath(), [...args, program], { env });
  assert.equal(without.code, 0, without.stderr);
  assert.doesNotMatch(without.stdout, /named\.so/);
});
