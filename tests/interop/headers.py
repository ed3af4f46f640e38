"""Keys and values whose schemas stand in headers, as confluent-kafka writes them by its `header_schema_id_serializer`.

Arguments: `write` or `read`, the brokers, the URL of a registry that gives globally unique ids. What is read is what the
engine has written of it; what differs is told, and the exit status is 1.
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

KEY = {"type": "record", "name": "Key", "namespace": "interop", "fields": [{"name": "id", "type": "string"}]}
# Not as the engine reads it: the amount is narrower there, and the note is gone.
ORDER = {"type": "record", "name": "Order", "namespace": "interop", "fields": [
    {"name": "note", "type": ["null", "string"], "default": None}, {"name": "amount", "type": "int"}]}
VALUES = [("a", 1), ("b", -2), ("a", 300)]
EXPECTED = [({"id": key}, {"amount": amount, "unit": "EUR"}) for key, amount in VALUES for _ in ("header", "front")]


def write(producer, registry):
    """Each value twice: with both ids in headers, and with both in front."""
    in_headers = {"schema.id.serializer": header_schema_id_serializer}
    for key, amount in VALUES:
        for conf in (in_headers, {}):
            headers = [("kept", b"1")]
            parts = {}
            for field, schema, part in (
                (MessageField.KEY, KEY, {"id": key}),
                (MessageField.VALUE, ORDER, {"note": "n", "amount": amount}),
            ):
                serializer = AvroSerializer(registry, json.dumps(schema), conf=conf)
                parts[field] = serializer(part, SerializationContext("orders", field, headers))
            named = {name: len(value) for name, value in headers if name != "kept"}
            if named != ({"__key_schema_id": 17, "__value_schema_id": 17} if conf else {}):
                sys.exit(f"the serializer has written the headers {named}")
            producer.produce("orders", key=parts[MessageField.KEY], value=parts[MessageField.VALUE], headers=headers)
    if producer.flush(60):
        sys.exit("not everything was delivered")


def read(consumer, registry):
    consumer.assign([TopicPartition("copies", 0, 0)])
    for number, expected in enumerate(EXPECTED):
        message = consumer.poll(60)
        if message is None or message.error():
            sys.exit(f"record {number} did not come: {message and message.error()}")
        headers = message.headers()
        if headers != [("kept", b"1")]:
            sys.exit(f"record {number} has the headers {headers}")
        deserializer = AvroDeserializer(registry)
        found = (
            deserializer(message.key(), SerializationContext("copies", MessageField.KEY, headers)),
            deserializer(message.value(), SerializationContext("copies", MessageField.VALUE, headers)),
        )
        if found != expected:
            sys.exit(f"record {number}: expected {expected}, read {found}")
    consumer.close()


what, servers, url = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
if what == "write":
    write(Producer({"bootstrap.servers": servers, "linger.ms": 5}), registry)
else:
    settings = {"bootstrap.servers": servers, "group.id": "interop", "isolation.level": "read_committed"}
    read(Consumer(settings), registry)
