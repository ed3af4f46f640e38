//! Where a record came from, and the headers it goes on with.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::data::{Data, Types};
use super::function::of_context;
use super::handle::Handle;
use super::yaml::Tree;
use crate::expression::NativeFunction;
use crate::time::Timestamp;

/// Where a record came from: Kafka Streams' `RecordContext`. All but the timestamp are those of the input record that it
/// derives from. It is put together for the closures that take one, and only for those.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("all-orders");
/// builder
///     .stream(["shop.orders", "shop.returns"], Consumed::with(Serdes::string(), Serdes::long()))
///     .map_values_with_context(|_, amount, from| format!("{amount} of {} at {}", from.topic, from.timestamp))
///     .to("shop.all", Produced::with(Serdes::string(), Serdes::string()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("shop.returns", "o1", &3, 1_000)?;
/// # let all: Vec<(String, String)> = driver.read("shop.all")?;
/// # assert_eq!(all, [("o1".to_owned(), "3 of shop.returns at 1000".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordContext {
    /// The topic; empty for what a processor forwards at a time.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset; -1 for what a processor forwards at a time.
    pub offset: i64,
    /// The record's own timestamp, in milliseconds since 1970.
    pub timestamp: Timestamp,
    /// The headers as text: of several of a name the last one. One without a value is not there.
    pub headers: BTreeMap<String, String>,
}

/// What becomes of the headers of records with keys of type `K` and values of type `V`, in order.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, HeaderChanges, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("traced");
/// let traced = HeaderChanges::new()
///     .set("trace", |key: &String, _: &i64, from| from.headers.get("trace").unwrap_or(key).clone())
///     .remove("secret");
/// builder
///     .stream("in", Consumed::with(Serdes::string(), Serdes::long()))
///     .set_headers(traced)
///     .to("out", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("in", "k1", &3, 0)?;
/// # assert_eq!(driver.driver().take_outputs()[0].headers["trace"], "k1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderChanges<K, V> {
    pub(super) changes: Changes,
    types: Types<(K, V)>,
}

/// Headers by name: what they become, or nothing where they go.
pub(super) type Changes = Vec<(String, Option<NativeFunction>)>;

impl<K: Data, V: Data> Default for HeaderChanges<K, V> {
    fn default() -> Self {
        HeaderChanges::new()
    }
}

impl<K: Data, V: Data> HeaderChanges<K, V> {
    /// Nothing changes yet.
    pub fn new() -> Self {
        HeaderChanges { changes: Vec::new(), types: PhantomData }
    }

    /// The header becomes text, or bytes, which take the place of all headers of this name. `None` removes them. The
    /// closure sees the headers as they came.
    pub fn set<R: Data>(
        mut self,
        name: &str,
        value: impl Fn(&K, &V, &RecordContext) -> R + Send + Sync + 'static,
    ) -> Self {
        let value = of_context::<K, V, R>(move |key, record, context| value(key, &record, context));
        self.changes.push((name.to_owned(), Some(value)));
        self
    }

    /// All headers of this name go.
    pub fn remove(mut self, name: &str) -> Self {
        self.changes.push((name.to_owned(), None));
        self
    }
}

/// The fields of `set_headers`.
pub(super) fn tree(changes: Changes, handle: &Handle) -> Tree {
    let mut fields = Tree::map([]);
    for (name, value) in changes {
        let value = match value {
            Some(value) => handle.call_with_context(&format!("header_{name}"), value),
            None => Tree::Plain("null".to_owned()),
        };
        fields.insert(&name, value);
    }
    fields
}
