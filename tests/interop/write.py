"""Writes every value of cases.json to Kafka, by confluent-kafka's serializer and by fastavro.

Arguments: the brokers, the URL of the registry. Each case has a topic, `in-NAME`; each value is in it three times: as
confluent-kafka writes it, as fastavro does with the schema's id in front, and with the id in a header.
"""

import json
import struct
import sys

import fastavro
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import cases

servers, url = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
topics = [NewTopic("in-" + case["name"], num_partitions=1, replication_factor=1) for case in cases.load()]
admin = AdminClient({"bootstrap.servers": servers})
for created in admin.create_topics(topics).values():
    created.result(60)
producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})
for case in cases.load():
    topic, schema = "in-" + case["name"], cases.schema(case)
    serializer = AvroSerializer(registry, json.dumps(schema))
    parsed = fastavro.parse_schema(schema)
    for number, value in enumerate(case["values"]):
        context = SerializationContext(topic, MessageField.VALUE)
        producer.produce(topic, key=f"confluent-{number}", value=serializer(cases.for_confluent(case, value), context))
        identifier = struct.pack(">BI", 0, registry.get_latest_version(topic + "-value").schema_id)
        body = cases.written(case, parsed, cases.value_of(case, value))
        producer.produce(topic, key=f"fastavro-{number}", value=identifier + body)
        headers = [("__value_schema_id", identifier), ("kept", b"1")]
        producer.produce(topic, key=f"header-{number}", value=body, headers=headers)
if producer.flush(60):
    sys.exit("not everything was delivered")
