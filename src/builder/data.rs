//! What keys and values are to a builder.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::trace;
use crate::record::Shape;
use crate::time::Timestamp;

/// Types that something is of, without having values of them.
pub(super) type Types<T> = PhantomData<fn() -> T>;

/// A type of keys or values: whatever serde can write and read.
///
/// What the engine knows of it before anything runs, its *shape*, is what its `Deserialize` asks for: fields and their
/// kinds, enums without content, lists, maps. It is what a state store holds, what decides how a new key is written
/// (text as `string`, integers as `long`, floats as `double`, everything else as `json`), and what is checked against
/// the Avro schema of a topic that is written.
///
/// - Integers are the engine's `int`, of 64 bits; a `u64` beyond that is an error of its record.
/// - `Option` is what may be null: as a value a tombstone, as a key the null key. A type that is no `Option` cannot be
///   read from null, which is an error of the record then.
/// - A struct's fields are written under the names by which they are read.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use signalstream::builder::Data;
/// use signalstream::record::Shape;
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     #[serde(rename = "amount")]
///     cents: u32,
///     note: Option<String>,
/// }
///
/// let fields = [("amount", Shape::Int), ("note", Shape::String.optional())];
/// assert_eq!(Order::shape(), Shape::structure("Order", fields));
/// ```
pub trait Data: Serialize + DeserializeOwned + 'static {
    /// Its shape.
    fn shape() -> Shape {
        trace::shape_of::<Self>()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Data for T {}

/// A key of a windowed table: Kafka Streams' `Windowed`.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, Windowed, Windows};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("app");
/// builder
///     .stream("in", Consumed::with(Serdes::string(), Serdes::long()))
///     .group_by_key()
///     .windowed_by(Windows::tumbling(Duration::from_secs(60)))
///     .count("counts")
///     .to_stream()
///     .select_key(|Windowed { key, start, end }, _| format!("{key} from {start} to {end}"))
///     .to("out", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("in", "k", &7, 60_001)?;
/// # assert_eq!(driver.read::<String, i64>("out")?, [("k from 60000 to 120000".to_owned(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windowed<K> {
    /// The key without its window.
    pub key: K,
    /// The first millisecond of the window, since 1970.
    pub start: Timestamp,
    /// The end of the window: of a tumbling or hopping one the first millisecond after it, else the last one of it.
    pub end: Timestamp,
}
