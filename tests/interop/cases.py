"""The values of cases.json, as Python's Avro libraries have them."""

import datetime
import decimal
import json
import pathlib
import uuid

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def load():
    return json.loads((pathlib.Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))


def schema(case):
    """The record that a topic of the case holds: a value is its field `v`."""
    return {
        "type": "record",
        "name": record_name(case),
        "namespace": "interop",
        "fields": [{"name": "v", "type": case["type"]}],
    }


def record_name(case):
    return "R_" + case["name"]


def from_json(kind, value):
    """The value that stands for a JSON value of an Avro type: bytes are texts of characters up to 255."""
    if isinstance(kind, list):
        branches = [branch for branch in kind if fits(branch, value)]
        return from_json(branches[0], value)
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    if logical:
        return of_logical_type(logical, value)
    name = kind["type"] if isinstance(kind, dict) else kind
    if name in ("bytes", "fixed"):
        return value.encode("latin-1")
    if name == "array":
        return [from_json(kind["items"], item) for item in value]
    if name == "map":
        return {key: from_json(kind["values"], item) for key, item in value.items()}
    if name == "record":
        return {field["name"]: from_json(field["type"], value[field["name"]]) for field in kind["fields"]}
    return value


def of_logical_type(logical, value):
    if logical in ("timestamp-millis", "timestamp-micros"):
        unit = {"timestamp-millis": "milliseconds", "timestamp-micros": "microseconds"}[logical]
        return EPOCH + datetime.timedelta(**{unit: value})
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
