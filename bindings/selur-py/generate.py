#!/usr/bin/env python3
"""Writes what is generated: `python/selur/schemas.py` from docs/schemas, `python/selur/_names.py` from conformance/protocol.json.

generate.py --write    writes them anew
generate.py --check    fails if they are not what their sources say
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent.parent
HEAD = '"""{}\n\nMade by generate.py from {}: do not edit; `generate.py --write` makes it anew.\n"""\n'

#: The schemas that have a type: what is sent, and what is answered.
FILES = [
    *("container-spec", "exec-spec", "log-options", "attach-options", "stats-options", "event-options"),
    *("prune-options", "volume-options", "inspection", "process", "stats", "event", "image", "pushed"),
    *("pruned", "progress", "volume"),
]

Schema = dict[str, Any]


def schemas_module() -> str:
    """The types of the JSON that is sent and answered."""
    types: dict[str, str] = {}
    for file in FILES:
        schema: Schema = json.loads((ROOT / f"docs/schemas/{file}.schema.json").read_text())
        for name, definition in schema.get("$defs", {}).items():
            add(types, name, definition)
        add(types, schema["title"], schema)
    names = sorted(types)
    listed = "".join(f'    "{name}",\n' for name in names)
    head = HEAD.format("The JSON that is sent and answered, as types.", "docs/schemas")
    imports = "from __future__ import annotations\n\nfrom typing import Literal, NotRequired, TypeAlias, TypedDict, final\n"
    return f"{head}\n{imports}\n__all__ = [\n{listed}]\n" + "".join(types.values())


def add(types: dict[str, str], name: str, schema: Schema) -> None:
    """Adds a type. The first one of a name stays: a specification that is answered is the same type all the same."""
    if name in types:
        return
    description = schema.get("description", name)
    if "properties" in schema:
        text = record(types, name, schema, description)
        types[name] = "\n\n" + text
        return
    choices = schema.get("oneOf", [])
    if choices and all("properties" in choice for choice in choices):
        parts = []
        for choice in choices:
            part = part_name(name, choice)
            text = record(types, part, choice, choice.get("description", part))
            # Final, so that what a record has tells which one it is.
            types[part] = "\n\n@final\n" + text
            parts.append(part)
        union = " | ".join(parts)
    else:
        union = type_of(schema)
    types[name] = f"\n\n{name}: TypeAlias = {union}\n{docstring(description, 0)}\n"


def part_name(name: str, choice: Schema) -> str:
    """The name of one of several records: of what tells them apart."""
    for property in choice["properties"].values():
        if "const" in property:
            return str(property["const"]).title().replace("_", "") + name
    first: str = next(iter(choice["properties"]))
    return first.title().replace("_", "") + name


def record(types: dict[str, str], name: str, schema: Schema, description: str) -> str:
    """A TypedDict."""
    lines = [f"class {name}(TypedDict):", docstring(description, 4), ""]
    for field, property in schema["properties"].items():
        if "properties" in property:
            type = field.title().replace("_", "")
            add(types, type, property)
        else:
            type = type_of(property)
        required = field in schema.get("required", [])
        lines.append(f"    {field}: {type if required else f'NotRequired[{type}]'}")
        if "description" in property:
            lines.append(docstring(property["description"], 4))
    return "\n".join(lines) + "\n"


def docstring(text: str, indent: int) -> str:
    """A docstring of a text."""
    margin = " " * indent
    text = text.replace("\\", "\\\\")
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    wrapped = ("\n\n" + margin).join(
        ("\n" + margin).join(textwrap.wrap(part, 105 - indent, break_long_words=False)) for part in paragraphs
    )
    if "\n" in wrapped:
        return f'{margin}"""{wrapped}\n{margin}"""'
    return f'{margin}"""{wrapped}"""'


def type_of(schema: Schema) -> str:
    """The type of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix("#/$defs/")
    if "const" in schema:
        return f'Literal["{schema["const"]}"]'
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices:
        if all("const" in choice for choice in choices):
            return "Literal[" + ", ".join(f'"{choice["const"]}"' for choice in choices) + "]"
        return " | ".join(type_of(choice) for choice in choices)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_of({**schema, "type": each}) for each in kind)
    match kind:
        case "string":
            return "str"
        case "boolean":
            return "bool"
        case "null":
            return "None"
        case "integer":
            return "int"
        case "number":
            return "float"
        case "array" if "prefixItems" in schema:
            return "list[" + " | ".join(sorted({type_of(item) for item in schema["prefixItems"]})) + "]"
        case "array":
            return f"list[{type_of(schema['items'])}]"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"dict[str, {type_of(schema['additionalProperties'])}]"
    raise ValueError(f"a schema that generate.py does not know: {json.dumps(schema)[:200]}")


def names_module() -> str:
    """The names of commands and statuses, for type checkers."""
    protocol = json.loads((ROOT / "conformance/protocol.json").read_text())
    commands = "".join(f'    "{each["name"]}",\n' for each in protocol["commands"])
    statuses = "".join(f'    "{each["name"]}",\n' for each in protocol["statuses"])
    return (
        HEAD.format("The names of commands and statuses, for type checkers.", "conformance/protocol.json")
        + "\nfrom __future__ import annotations\n\nfrom typing import Literal, TypeAlias\n\n"
        + f"CommandName: TypeAlias = Literal[\n{commands}]\n"
        + '"""The name of a command. docs/API.md has the fields of each, and what it is answered with."""\n\n'
        + f'StatusName: TypeAlias = Literal[\n{statuses}    "unknown_error",\n]\n'
        + '"""The name of a status. `unknown_error` stands for a code that this version does not know."""\n'
    )


def main() -> int:
    """Writes or compares."""
    made = {"schemas.py": schemas_module(), "_names.py": names_module()}
    stale = []
    for name, text in made.items():
        text = re.sub(r"[ \t]+\n", "\n", text)
        path = PACKAGE / "python/selur" / name
        if sys.argv[1:] == ["--write"]:
            path.write_text(text)
        elif sys.argv[1:] != ["--check"]:
            print(__doc__, file=sys.stderr)
            return 2
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    for name in stale:
        print(f"python/selur/{name} is not what its sources say: run generate.py --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
