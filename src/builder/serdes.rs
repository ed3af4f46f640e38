//! How keys and values are written in topics.

use std::fmt;
use std::marker::PhantomData;

use super::data::{Data, Types, Windowed};
use super::yaml::Tree;
use crate::serdes::Format;

/// How keys or values of a type are written in a topic.
///
/// ```
/// use signalstream::builder::{Consumed, Serde, Serdes, Windowed};
///
/// let name: Serde<String> = Serdes::string();
/// let maybe: Serde<Option<String>> = name.clone().nullable();
/// let _of_windows: Serde<Windowed<String>> = name.windowed();
/// let _with_tombstones = Consumed::with(maybe, Serdes::json::<Option<Vec<i64>>>());
/// ```
pub struct Serde<T> {
    format: Format,
    types: Types<T>,
}

impl<T> Clone for Serde<T> {
    fn clone(&self) -> Self {
        Serde { format: self.format.clone(), types: PhantomData }
    }
}

impl<T> fmt::Debug for Serde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serde({})", self.format)
    }
}

impl<T> Serde<T> {
    fn of(format: Format) -> Self {
        Serde { format, types: PhantomData }
    }

    /// The same where there may be none: null keys, and tombstones.
    pub fn nullable(self) -> Serde<Option<T>> {
        Serde::of(self.format)
    }

    /// Writes keys with a window, without it.
    pub fn windowed(self) -> Serde<Windowed<T>> {
        Serde::of(self.format)
    }

    pub(super) fn tree(&self) -> Tree {
        match &self.format {
            Format::Avro(name) => Tree::map([("avro", Tree::text(name))]),
            Format::RawAvro(name) => Tree::map([("avro", Tree::text(name)), ("framing", Tree::text("none"))]),
            format => Tree::text(&format.to_string()),
        }
    }
}

/// The formats that there are.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
///
/// #[derive(Serialize, Deserialize)]
/// struct Total {
///     cents: i64,
/// }
///
/// let schema = r#"{"type": "record", "name": "Total", "fields": [{"name": "cents", "type": "long"}]}"#;
/// let builder = StreamsBuilder::new("totals").schema("Total.avsc", schema)?;
/// builder
///     .stream("totals", Consumed::with(Serdes::string().nullable(), Serdes::avro::<Total>("Total")))
///     .map(|key, total| (key.map_or(0, |key| key.len() as i64), total.cents as f64))
///     .to("lengths", Produced::with(Serdes::long(), Serdes::double()));
/// builder.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Serdes;

impl Serdes {
    /// UTF-8 text, as Kafka's `StringSerializer` writes it.
    pub fn string() -> Serde<String> {
        Serde::of(Format::String)
    }

    /// Eight bytes, big-endian, as Kafka's `LongSerializer` writes it.
    pub fn long() -> Serde<i64> {
        Serde::of(Format::Long)
    }

    /// Eight bytes, big-endian IEEE 754, as Kafka's `DoubleSerializer` writes it.
    pub fn double() -> Serde<f64> {
        Serde::of(Format::Double)
    }

    /// Bytes as they are. A type that writes itself as bytes to serde is written; what is only read may be a `Vec<u8>`.
    pub fn bytes<T: Data>() -> Serde<T> {
        Serde::of(Format::Bytes)
    }

    /// JSON without a schema.
    pub fn json<T: Data>() -> Serde<T> {
        Serde::of(Format::Json)
    }

    /// Avro of the schema of that name, which the builder's registry has.
    pub fn avro<T: Data>(schema: &str) -> Serde<T> {
        Serde::of(Format::Avro(schema.to_owned()))
    }

    /// As [`Serdes::avro`], with no schema id in front of the value: who reads it must know the very schema.
    pub fn raw_avro<T: Data>(schema: &str) -> Serde<T> {
        Serde::of(Format::RawAvro(schema.to_owned()))
    }
}
