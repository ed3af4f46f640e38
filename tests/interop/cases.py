"""The values of cases.json, as Python's Avro libraries have them.

A case has a `type` and its `values`, and, where JSON shows them otherwise, their `json`. A value is a field of a record,
or, with `whole`, all that a record of Kafka holds. `unknown_to` names the library that does not know the logical type, and
has what is under it; `not_by` says which serializer does not take part, and why; `digits_for` which takes and gives the
digits of a decimal for the decimal.
"""

import datetime
import decimal
import importlib.metadata
import io
import json
import pathlib
import sys
import uuid

import fastavro
from fastavro.write import LOGICAL_WRITERS

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


BYTES = {"type": "bytes"}


def load():
    cases = json.loads((pathlib.Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))
    for case in cases:
        check(case)
    return cases


def check(case):
    """Whether what a case says of the libraries is so."""
    kind, said = case["type"], case.get("unknown_to")
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    knows = logical is None or f"{kind['type']}-{logical}" in LOGICAL_WRITERS
    if said != (None if knows else f"fastavro {fastavro.__version__}"):
        knowledge = "knows" if knows else "does not know"
        sys.exit(f"{case['name']}: fastavro {fastavro.__version__} {knowledge} this type; mend its `unknown_to`")
    client = f"confluent-kafka {importlib.metadata.version('confluent-kafka')}"
    if case.get("digits_for") not in (None, client):
        sys.exit(f"{case['name']}: {client} is here; look whether its `digits_for` still holds")


def schema(case):
    """What a topic of the case holds: the type itself, or a record with a value as its field `v`."""
    if case.get("whole"):
        return case["type"]
    return {
        "type": "record",
        "name": record_name(case),
        "namespace": "interop",
        "fields": [{"name": "v", "type": case["type"]}],
    }


def record_name(case):
    return "R_" + case["name"]


def value_of(case, value):
    """A value as fastavro has it."""
    value = from_json(case["type"], value)
    return value if case.get("whole") else {"v": value}


def for_confluent(case, value):
    """A value as confluent-kafka has it: a decimal that is the whole value is its digits there."""
    value = value_of(case, value)
    if "digits_for" not in case:
        return value
    number = int(value.scaleb(case["type"]["scale"]))
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def is_bare(case):
    """Whether a value stands behind an id without its length: bytes that are the whole value."""
    kind = case["type"]
    return bool(case.get("whole")) and "bytes" in (kind, kind.get("type") if isinstance(kind, dict) else None)


def written(case, parsed, value):
    """What stands behind an id, or by itself where a header has that."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed, value)
    return read(body.getvalue(), BYTES) if is_bare(case) else body.getvalue()


def read_behind_id(case, payload, parsed):
    """The value of what stands behind an id."""
    if is_bare(case):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, BYTES, payload)
        payload = body.getvalue()
    return read(payload, parsed)


def read(payload, parsed):
    """A value by itself."""
    body = io.BytesIO(payload)
    value = fastavro.schemaless_reader(body, parsed, None)
    assert not body.read(), "bytes are left over"
    return value


def from_json(kind, value, named=None):
    """The value that stands for a JSON value of an Avro type: bytes are texts of characters up to 255."""
    named = {} if named is None else named
    if isinstance(kind, dict) and "name" in kind:
        named[kind["name"]] = kind
    kind = named.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, list):
        branches = [branch for branch in kind if fits(named.get(branch, branch) if isinstance(branch, str) else branch, value)]
        return from_json(branches[0], value, named)
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    name = kind["type"] if isinstance(kind, dict) else kind
    if (name, logical) == ("fixed", "uuid"):
        return uuid.UUID(value).bytes
    if logical and logical != "duration":
        return of_logical_type(logical, value)
    if name in ("bytes", "fixed"):
        return value.encode("latin-1")
    if name == "array":
        return [from_json(kind["items"], item, named) for item in value]
    if name == "map":
        return {key: from_json(kind["values"], item, named) for key, item in value.items()}
    if name == "record":
        return {field["name"]: from_json(field["type"], value[field["name"]], named) for field in kind["fields"]}
    return value


def of_logical_type(logical, value):
    if logical in ("timestamp-millis", "timestamp-micros"):
        unit = {"timestamp-millis": "milliseconds", "timestamp-micros": "microseconds"}[logical]
        return EPOCH + datetime.timedelta(**{unit: value})
    if logical in ("local-timestamp-millis", "local-timestamp-micros"):
        unit = {"local-timestamp-millis": "milliseconds", "local-timestamp-micros": "microseconds"}[logical]
        return EPOCH.replace(tzinfo=None) + datetime.timedelta(**{unit: value})
    if logical == "date":
        return (EPOCH + datetime.timedelta(days=value)).date()
    if logical in ("time-millis", "time-micros"):
        unit = {"time-millis": "milliseconds", "time-micros": "microseconds"}[logical]
        return (EPOCH + datetime.timedelta(**{unit: value})).time()
    if logical == "decimal":
        return decimal.Decimal(value)
    if logical == "uuid":
        return uuid.UUID(value)
    return value


def fits(kind, value):
    name = kind["type"] if isinstance(kind, dict) else kind
    expected = {
        "null": type(None), "boolean": bool, "int": int, "long": int, "float": float, "double": float,
        "array": list, "map": dict, "record": dict,
    }.get(name, str)
    return isinstance(value, expected) and isinstance(value, bool) == (name == "boolean")
