/**
 * Writes src/symbols.ts from include/selur.h and src/schemas.ts from docs/schemas: what the header and the schemas say,
 * in TypeScript. With `--check` nothing is written, and a file that is not current fails.
 *
 * A type, a line or a schema that this does not know is an error: nothing is left out silently.
 *
 * @module
 */

import { schemasModule } from "./generate_schemas.ts";

/**
 * Functions that also run on a thread of Deno's pool, under their name with `_nonblocking` behind it. They must write to no
 * memory of ours: a worker that is terminated takes it with it.
 */
const NONBLOCKING = ["selur_completions_ready", "selur_bridge_close"];

const HANDLES = ["error", "bytes", "options", "bridge", "arena", "slot", "stream"];

/** What a field of a struct takes, in bytes, and the type that Deno's FFI has for it. */
const NUMBERS: Record<string, [bytes: number, ffi: string]> = {
  uint16_t: [2, "u16"],
  uint32_t: [4, "u32"],
  int32_t: [4, "i32"],
  uint64_t: [8, "u64"],
  int64_t: [8, "i64"],
};

function numberOf(type: string): [number, string] | undefined {
  if (HANDLES.some((handle) => type === `selur_${handle}_t`)) return [8, "u64"];
  return type === "selur_status_t" ? [4, "u32"] : NUMBERS[type];
}

/** What Deno's FFI calls the type of a parameter or a result. */
function ffiType(type: string): string {
  if (type === "void") return "void";
  // Bytes and texts are given as they are. What a result is written to lives as long as the module: a pointer to it is made
  // once, and costs a call less than bytes do.
  if (type.endsWith("*")) return type.startsWith("const ") || type === "uint8_t *" ? "buffer" : "pointer";
  const number = numberOf(type);
  if (number === undefined) throw new Error(`selur.h has a type that generate.ts does not know: ${type}`);
  return number[1];
}

interface Enum {
  name: string;
  members: [name: string, code: number][];
}

interface Struct {
  name: string;
  fields: [name: string, offset: number][];
  size: number;
}

interface Function {
  name: string;
  parameters: string[];
  result: string;
}

interface Header {
  constants: [name: string, value: string][];
  enums: Enum[];
  structs: Struct[];
  functions: Function[];
}

/** Reads the header, which is as regular as cbindgen makes it. */
export function parse(header: string): Header {
  const lines = header.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\/\/.*/g, "");
  const constants = [...lines.matchAll(/^#define (\w+) (-?\d+)$/gm)]
    .map((found): [string, string] => [found[1]!, found[2]!]);
  let rest = lines.replaceAll(/^#.*$/gm, "").replace('extern "C" {', "").replace(/^}\s*$/m, "");
  const take = <T>(pattern: RegExp, each: (found: RegExpMatchArray) => T): T[] => {
    const found = [...rest.matchAll(pattern)].map(each);
    rest = rest.replaceAll(pattern, "");
    return found;
  };
  const enums = take(
    /enum selur_(\w+)_t\s*:\s*uint32_t\s*\{([^}]*)\};/g,
    (found) => enumOf(found[1]!, found[2]!),
  );
  take(/typedef (?:enum )?(?:selur_\w+_t|uint32_t|uint64_t) selur_\w+_t;/g, () => undefined);
  const structs = take(
    /typedef struct \{([^}]*)\} selur_(\w+)_t;/g,
    (found) => structOf(found[2]!, found[1]!, new Map(constants)),
  );
  const functions = take(/^((?:const )?\w+ \**)(selur_\w+)\(([^)]*)\);/gm, functionOf);
  if (/\S/.test(rest.replaceAll(/^\s*: uint32_t\s*$/gm, ""))) {
    throw new Error(`selur.h has what generate.ts does not know: ${rest.trim().slice(0, 200)}`);
  }
  return { constants, enums, structs, functions };
}

function enumOf(name: string, body: string): Enum {
  const prefix = `SELUR_${name.toUpperCase()}_`;
  const members = body.split(",").map((line) => line.trim()).filter(Boolean).map((line): [string, number] => {
    const [member, code] = line.split(" = ");
    if (!member?.startsWith(prefix) || !/^\d+$/.test(code ?? "")) {
      throw new Error(`an odd member of ${name}: ${line}`);
    }
    return [member.slice(prefix.length).toLowerCase(), Number(code)];
  });
  return { name, members };
}

/** The places of a struct's fields, as the ABI of every 64-bit machine lays them out. */
function structOf(name: string, body: string, constants: Map<string, string>): Struct {
  const fields: [string, number][] = [];
  let size = 0;
  let alignment = 1;
  for (const line of body.split(";").map((line) => line.trim()).filter(Boolean)) {
    const [, type, field, count] = /^(.+?[ *])(\w+)(?:\[(\w+)\])?$/.exec(line) ?? [];
    const kind = type?.trim() ?? "";
    const bytes = kind.endsWith("*") ? 8 : kind === "char" && count ? 1 : numberOf(kind)?.[0];
    if (bytes === undefined || field === undefined) throw new Error(`an odd field of ${name}: ${line}`);
    size = Math.ceil(size / bytes) * bytes;
    fields.push([field, size]);
    size += bytes * (count === undefined ? 1 : Number(constants.get(count)));
    alignment = Math.max(alignment, bytes);
  }
  return { name, fields, size: Math.ceil(size / alignment) * alignment };
}

function functionOf(found: RegExpMatchArray): Function {
  const [, result, name, list] = found;
  const parameters = list!.trim() === "void" ? [] : list!.split(",").map((parameter) => {
    const [, type] = /^(.+[ *])\w+$/.exec(parameter.trim().replaceAll(/\s+/g, " ")) ?? [];
    if (type === undefined) throw new Error(`an odd parameter of ${name}: ${parameter}`);
    return ffiType(type.trim());
  });
  const returned = result!.trim();
  return { name: name!, parameters, result: returned.endsWith("*") ? "pointer" : ffiType(returned) };
}

function pascal(name: string): string {
  return name.split("_").map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

/** src/symbols.ts for a header. */
export function symbolsModule(header: Header): string {
  const out = [
    "// Made by generate.ts from include/selur.h: do not edit; `deno task generate` makes it anew.",
    "",
    ...header.constants.filter(([name]) => name !== "SELUR_CONTAINER_ID_BYTES").flatMap(([name, value]) => [
      `/** \`${name}\` of selur.h. */`,
      `export const ${name.replace("SELUR_", "")} = ${value};`,
    ]),
  ];
  for (const { name, members } of header.enums) {
    out.push(
      "",
      `/** The codes of \`selur_${name}_t\` by their names. */`,
      `export const ${pascal(name)} = {`,
    );
    out.push(...members.map(([member, code]) => `${member}: ${code},`), "} as const;");
  }
  for (const { name, fields, size } of header.structs) {
    out.push("", `/** Where the fields of \`selur_${name}_t\` lie, and how many bytes it has. */`);
    out.push(`export const ${name.toUpperCase()}_LAYOUT = {`);
    out.push(...fields.map(([field, offset]) => `${field}: ${offset},`), `SIZE: ${size},`, "} as const;");
  }
  out.push("", "/** Every function of selur.h as `Deno.dlopen` wants it. */", "export const symbols = {");
  for (const { name, parameters, result } of header.functions) {
    const signature = `parameters: ${JSON.stringify(parameters)}, result: "${result}"`;
    out.push(`${name}: { ${signature} },`);
    if (NONBLOCKING.includes(name)) {
      out.push(`${name}_nonblocking: { name: "${name}", ${signature}, nonblocking: true },`);
    }
  }
  out.push("} as const;");
  for (const name of NONBLOCKING) {
    if (!header.functions.some((each) => each.name === name)) throw new Error(`selur.h lacks ${name}`);
  }
  return out.join("\n") + "\n";
}

/** What `deno fmt` makes of a source. */
async function formatted(source: string): Promise<string> {
  const format = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--config", new URL("deno.json", import.meta.url).pathname, "--ext", "ts", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = format.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stdout } = await format.output();
  if (!success) throw new Error("deno fmt refuses what was generated");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  const header = await Deno.readTextFile(new URL("../include/selur.h", import.meta.url));
  const schemas = new URL("../../../docs/schemas/", import.meta.url);
  const files: [string, string][] = [
    ["src/symbols.ts", symbolsModule(parse(header))],
    ["src/schemas.ts", await schemasModule(schemas)],
  ];
  let current = true;
  for (const [file, source] of files) {
    const place = new URL(file, import.meta.url);
    const wanted = await formatted(source);
    if (!Deno.args.includes("--check")) await Deno.writeTextFile(place, wanted);
    else if (await Deno.readTextFile(place).catch(() => "") !== wanted) {
      console.error(`${file} is not what the sources say: run \`deno task generate\``);
      current = false;
    }
  }
  Deno.exit(current ? 0 : 1);
}
