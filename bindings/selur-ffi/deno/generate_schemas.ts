/**
 * TypeScript types for the JSON of docs/schemas.
 *
 * @module
 */

/** The part of JSON Schema that docs/schemas uses. */
interface Schema {
  title?: string;
  description?: string;
  type?: string | string[];
  const?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  prefixItems?: Schema[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
}

/** The schemas that have a type: what is sent, and what is answered. */
const FILES = [
  "container-spec",
  "exec-spec",
  "log-options",
  "attach-options",
  "stats-options",
  "event-options",
  "prune-options",
  "volume-options",
  "inspection",
  "process",
  "stats",
  "event",
  "image",
  "pushed",
  "pruned",
  "progress",
  "volume",
];

/** src/schemas.ts for the folder of the schemas. */
export async function schemasModule(folder: URL): Promise<string> {
  const types = new Map<string, string>();
  for (const file of FILES) {
    const schema: Schema = JSON.parse(await Deno.readTextFile(new URL(`${file}.schema.json`, folder)));
    const answered = !/-(spec|options)$/.test(file);
    for (const [name, definition] of Object.entries(schema.$defs ?? {})) {
      add(types, name, definition, answered);
    }
    if (schema.title === undefined) throw new Error(`${file} has no title`);
    add(types, schema.title, schema, answered);
  }
  const head = [
    "// Made by generate.ts from docs/schemas: do not edit; `deno task generate` makes it anew.",
    "",
    "// Moments and durations whose names end in _ns are bigints: a number cannot hold them.",
  ];
  return [...head, ...types.values()].join("\n") + "\n";
}

function add(types: Map<string, string>, name: string, schema: Schema, answered: boolean): void {
  // The first one stays: a specification that is answered has fewer optional fields, and is the same type all the same.
  if (types.has(name)) return;
  const isObject = schema.properties !== undefined;
  const type = typeOf(schema, answered);
  const declaration = isObject ? `export interface ${name} ${type}` : `export type ${name} = ${type};`;
  types.set(name, `\n${comment(schema.description ?? name)}\n${declaration}`);
}

function comment(text: string): string {
  const lines = text.split("\n");
  return lines.length === 1
    ? `/** ${text} */`
    : ["/**", ...lines.map((line) => ` * ${line}`.trimEnd()), " */"].join("\n");
}

function typeOf(schema: Schema, answered: boolean, field = ""): string {
  if (schema.$ref !== undefined) return schema.$ref.replace("#/$defs/", "");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) return choices.map((choice) => typeOf(choice, answered, field)).join(" | ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type }, answered, field)).join(" | ");
  }
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return field.endsWith("_ns") ? "bigint" : "number";
    case "array": {
      if (schema.prefixItems) {
        return `[${schema.prefixItems.map((item) => typeOf(item, answered)).join(", ")}]`;
      }
      if (schema.items === undefined) break;
      const item = typeOf(schema.items, answered);
      return /^\w+$/.test(item) ? `${item}[]` : `(${item})[]`;
    }
    case "object": {
      if (schema.properties === undefined) {
        if (typeof schema.additionalProperties !== "object") break;
        return `Record<string, ${typeOf(schema.additionalProperties, answered)}>`;
      }
      const fields = Object.entries(schema.properties).map(([name, property]) => {
        const must = schema.required?.includes(name);
        return `${comment(property.description ?? name)}\n${name}${must ? "" : "?"}: ${
          typeOf(property, answered, name)
        };`;
      });
      return `{\n${fields.join("\n")}\n}`;
    }
  }
  throw new Error(`a schema that generate_schemas.ts does not know: ${JSON.stringify(schema).slice(0, 200)}`);
}
