//! Bytes ↔ values: Avro, JSON and the primitive types of Kafka's own serializers.
//!
//! A [`Deserializer`] is compiled once for a schema and the [`Fields`] that a plan uses, a [`Serializer`] once
//! for a schema and the [`Shape`] of what it will be given; per record they only run.
