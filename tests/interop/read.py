"""Reads what the engine has written, by confluent-kafka's deserializer and by fastavro, and compares.

Arguments: the brokers, the URL of the registry. Prints how many values are the same; what differs is told and the exit
status is 1.
"""

import json
import struct
import sys
import time

import fastavro
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

import cases

servers, url = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
deserializer = AvroDeserializer(registry)
consumer = Consumer({
    "bootstrap.servers": servers, "group.id": "interop", "isolation.level": "read_committed", "enable.auto.commit": False,
    "enable.partition.eof": False,
})


def records(counts):
    """The first records of topics, of each as many as said, by key."""
    consumer.assign([TopicPartition(topic, 0, 0) for topic in counts])
    found, deadline = {topic: {} for topic in counts}, time.monotonic() + 120
    while any(len(found[topic]) < count for topic, count in counts.items()) and time.monotonic() < deadline:
        for message in consumer.consume(1000, 1):
            if message.error():
                sys.exit(f"{message.topic()}: {message.error()}")
            found[message.topic()][message.key().decode()] = message
    return found


def keys(case):
    """The values of a case by the keys of their records, which say who has written them."""
    writers = [name for name in ("confluent", "fastavro", "header", "apicurio") if name not in case.get("not_by", {})]
    return {f"{writer}-{number}": value for writer in writers for number, value in enumerate(case["values"])}


def framed(case, message):
    """The value as fastavro reads it with the schema that the registry has for its id."""
    magic, identifier = struct.unpack(">BI", message.value()[:5])
    assert magic == 0, message.value()
    schema = fastavro.parse_schema(json.loads(registry.get_schema(identifier).schema_str))
    return cases.read_behind_id(case, message.value()[5:], schema)


compared, problems = 0, []
# All at once: to begin with a topic takes longer than to read it.
all_found = records({f"{kind}-{case['name']}": len(keys(case)) for case in cases.load() for kind in ("out", "raw")})
for case in cases.load():
    expected = keys(case)
    out, raw = "out-" + case["name"], "raw-" + case["name"]
    context = SerializationContext(out, MessageField.VALUE)
    schema = fastavro.parse_schema(cases.schema(case))
    for topic, readers in (
        (out, [
            (cases.for_confluent, lambda message: deserializer(message.value(), context)),
            (cases.value_of, lambda message: framed(case, message)),
        ]),
        (raw, [(cases.value_of, lambda message: cases.read(message.value(), schema))]),
    ):
        found = all_found[topic]
        for key, value in expected.items():
            for meant, reader in readers:
                read, value_meant = reader(found[key]) if key in found else "nothing", meant(case, value)
                compared += 1
                if read != value_meant:
                    problems.append(f"{topic} {key}: expected {value_meant!r}, read {read!r}")
                if key in found and any(name == "__value_schema_id" for name, _ in found[key].headers() or []):
                    problems.append(f"{topic} {key}: a header names the schema of the input")
consumer.close()
print(f"{compared} values are the same" if not problems else "\n".join(problems))
sys.exit(1 if problems else 0)
