"""Reads values as fastavro does, for who compares: the engine's own tests of resolution.

Each line of the input is a case: the writer's schema, the reader's, and values as the one wrote them, in hexadecimal. Each
line of the output has what the other reads of them, in their order: ["value", …] or ["error", …].
"""

import io
import json
import struct
import sys

import fastavro

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


class BytesAsText(str):
    """The default of bytes, which is text in a schema; fastavro looks at schemas anew while it reads."""


def answers(case):
    try:
        writer = fastavro.parse_schema(case["writer"])
        reader = fastavro.parse_schema(case["reader"])
        if case["prepared"]:
            prepare(reader, {})
    except Exception as error:
        return [told(error)] * len(case["values"])
    return [answer(bytes.fromhex(value), writer, reader) for value in case["values"]]


def answer(value, writer, reader):
    body = io.BytesIO(value)
    try:
        read = fastavro.schemaless_reader(body, writer, reader)
        return ["value", shown(read)]
    except Exception as error:
        return told(error)


def told(error):
    return ["error", f"{type(error).__name__}: {error}"[:500]]


def shown(value):
    """A value as JSON that keeps apart what Python does: floats by their bits, bytes in hexadecimal, maps in an object."""
    if isinstance(value, float):
        return {"float": struct.unpack(">Q", struct.pack(">d", value))[0]}
    if isinstance(value, BytesAsText):
        value = value.encode("latin-1")
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {"map": {key: shown(item) for key, item in value.items()}}
    return value


def prepare(schema, named):
    """Replaces the defaults of fields, which fastavro hands out as the schema's JSON has them, by what they stand for."""
    if isinstance(schema, list):
        for branch in schema:
            prepare(branch, named)
    elif isinstance(schema, dict):
        if "name" in schema:
            named[schema["name"]] = schema
        prepare(schema.get("items"), named)
        prepare(schema.get("values"), named)
        for field in schema.get("fields", []):
            prepare(field["type"], named)
            if "default" in field:
                field["default"] = default(field["type"], field["default"], named)


def default(kind, value, named):
    """The value of a default ("Complex Types", "Records": a table says how JSON stands for each type)."""
    if isinstance(kind, str) and kind not in PRIMITIVES:
        kind = named[kind]
    if isinstance(kind, list):
        return default(kind[0], value, named)
    name = kind["type"] if isinstance(kind, dict) else kind
    if name in ("bytes", "fixed"):
        return BytesAsText(value)
    if name in ("float", "double"):
        return float(value)
    if name == "array":
        return [default(kind["items"], item, named) for item in value]
    if name == "map":
        return {key: default(kind["values"], item, named) for key, item in value.items()}
    if name == "record":
        # The defaults of its own fields are values already.
        return {
            field["name"]: default(field["type"], value[field["name"]], named)
            if field["name"] in value
            else field["default"]
            for field in kind["fields"]
        }
    return value


for line in sys.stdin:
    print(json.dumps(answers(json.loads(line))), flush=True)
