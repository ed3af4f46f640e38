//! Topologies in Rust, for those who outgrow YAML: Kafka Streams' `StreamsBuilder`, with typed closures.
//!
//! A builder makes the same plan that the planner makes of YAML, because it *is* a topology in YAML, whose expressions
//! call the closures: the same checks, repartition topics, stores and names. Everything after the plan is the same too:
//! it is driven in tests, run on an embedded log or on Kafka, and described.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//! use signalstream::builder::{Consumed, Emit, Materialized, Produced, Serdes, StreamsBuilder, Windows};
//! use signalstream::testing::TopologyTestDriver;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order {
//!     customer: String,
//!     amount: i64,
//! }
//!
//! let builder = StreamsBuilder::new("orders-per-customer");
//! builder
//!     .stream("shop.orders", Consumed::with(Serdes::string(), Serdes::json::<Order>()))
//!     .filter(|_, order| order.amount > 0)
//!     .group_by(|_, order| order.customer.clone())
//!     .windowed_by(Windows::tumbling(Duration::from_secs(3600)))
//!     .aggregate(Materialized::named("spent").emit(Emit::OnClose), || 0_i64, |_, order, sum| sum + order.amount)
//!     .to_stream()
//!     .map(|customer, sum| (customer.key, (customer.start, sum)))
//!     .to("shop.spent", Produced::with(Serdes::string(), Serdes::json()));
//! let topology = Arc::new(builder.build()?);
//!
//! let mut driver = TopologyTestDriver::new(&topology, builder.schemas())?;
//! driver.pipe("shop.orders", "o1", &Order { customer: "ada".to_owned(), amount: 3 }, 0)?;
//! driver.pipe("shop.orders", "o2", &Order { customer: "ada".to_owned(), amount: 4 }, 1_000)?;
//! driver.pipe("shop.orders", "o3", &Order { customer: "bob".to_owned(), amount: 1 }, 3_600_000)?;
//! let spent: Vec<(String, (i64, i64))> = driver.read("shop.spent")?;
//! assert_eq!(spent, [("ada".to_owned(), (0, 7))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Names
//!
//! What is kept, a store or an internal topic, is named after the table, join or step that it belongs to, and you name
//! those: so that a change of the topology takes no state away. All other names are optional.
//!
//! # Running it
//!
//! [`Application`](crate::runtime::Application) runs a plan: `Application::embedded` on a log in a directory,
//! `Application::kafka` on Kafka.

mod aggregates;
mod cogrouped;
mod context;
mod data;
mod draft;
mod error;
mod fold;
mod function;
mod grouped;
mod handle;
mod joined;
mod joins;
mod options;
mod process;
mod read;
mod serdes;
mod stream;
mod table;
mod topics;
mod trace;
mod windows;
mod write;
mod yaml;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use crate::agents::Agents;
use crate::serdes::SchemaRegistry;
use crate::topology::{self, PlanOptions, Topology};
use draft::{Draft, Shared};
use handle::Handle;
use yaml::Tree;

pub use aggregates::Aggregates;
pub use cogrouped::CogroupedKStream;
pub use context::{HeaderChanges, RecordContext};
pub use data::{Data, Windowed};
pub use error::{SchemaErrors, TopologyError};
pub use fold::Fold;
pub use grouped::{KGroupedStream, KGroupedTable, SessionWindowedKStream, TimeWindowedKStream, WindowedKStream};
pub use joined::JoinedTables;
pub use options::{Consumed, Emit, Materialized, OnError, Produced, Suppressed};
pub use process::{Outputs, StateStore};
pub use serdes::{Serde, Serdes};
pub use stream::{KStream, Split};
pub use table::{GlobalKTable, KTable};
pub use topics::{TopicSettings, Topics};
pub use windows::{JoinWindows, SessionWindows, Windows};

/// Builds a topology. See the [module](self).
///
/// ```
/// use signalstream::builder::{Consumed, OnError, Produced, Serdes, StreamsBuilder};
///
/// let builder = StreamsBuilder::new("greetings").description("Greets").dead_letters("dead").on_error(OnError::DeadLetter);
/// builder
///     .stream("names", Consumed::with(Serdes::string(), Serdes::string()))
///     .map_values(|name| format!("Hello {name}"))
///     .to("greetings", Produced::with(Serdes::string(), Serdes::string()));
/// assert!(builder.to_yaml().contains("map_values_names_unnamed_1(value)"));
/// assert_eq!(builder.build()?.name, "greetings");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StreamsBuilder {
    shared: Shared,
    schemas: SchemaRegistry,
}

impl StreamsBuilder {
    /// A topology without anything. The application id is its consumer group, the prefix of its internal topics and the
    /// name of its state directory.
    pub fn new(application_id: &str) -> Self {
        StreamsBuilder { shared: Rc::new(RefCell::new(Draft::new(application_id))), schemas: SchemaRegistry::new() }
    }

    /// Knows the Avro schemas of a directory, `*.avsc`, too.
    pub fn schemas_in(mut self, directory: &Path) -> Result<Self, TopologyError> {
        self.schemas.load_directory(directory).map_err(SchemaErrors)?;
        Ok(self)
    }

    /// Knows an Avro schema, too.
    pub fn schema(mut self, file_name: &str, json: &str) -> Result<Self, TopologyError> {
        self.schemas.add(file_name, json).map_err(|error| SchemaErrors(vec![error]))?;
        Ok(self)
    }

    /// The schemas that it knows, which a driver needs too.
    pub fn schemas(&self) -> &SchemaRegistry {
        &self.schemas
    }

    /// Sends records that fail to this topic, with the reason, where nothing else is said.
    pub fn dead_letters(self, topic: &str) -> Self {
        self.shared.borrow_mut().defaults.insert("dlq", Tree::text(topic));
        self
    }

    /// What happens to records on which a closure fails, where nothing else is said: dead letters where there is a topic
    /// for them, else the task stops.
    pub fn on_error(self, policy: OnError) -> Self {
        self.default_policy("process", policy)
    }

    /// What happens to records that cannot be read, where nothing else is said: dead letters where there is a topic for
    /// them, else the task stops.
    pub fn on_decode_error(self, policy: OnError) -> Self {
        self.default_policy("decode", policy)
    }

    /// What happens to records that cannot be written, where nothing else is said: the task stops.
    pub fn on_produce_error(self, policy: OnError) -> Self {
        self.default_policy("produce", policy)
    }

    fn default_policy(self, what: &str, policy: OnError) -> Self {
        self.shared.borrow_mut().default_policy(policy.tree(what));
        self
    }

    /// How many partitions topics get that nothing is said of; 1, if this is not said either.
    pub fn default_partitions(self, partitions: u16) -> Self {
        self.shared.borrow_mut().defaults.insert("partitions", Tree::number(partitions));
        self
    }

    /// What the topology does, for people.
    pub fn description(self, text: &str) -> Self {
        self.shared.borrow_mut().description = Some(text.to_owned());
        self
    }

    /// How a topic is created where it is missing.
    pub fn topic(&self, name: &str, settings: TopicSettings) {
        self.shared.borrow_mut().topics.insert(name.to_owned(), settings.tree());
    }

    /// The records of a topic, of several, or of those whose names match: see [`Topics`].
    pub fn stream<K: Data, V: Data>(&self, topics: impl Into<Topics>, how: Consumed<K, V>) -> KStream<K, V> {
        KStream::at(self.source(topics, &how, "stream", None))
    }

    /// The last value of each key of a topic; a null value deletes.
    pub fn table<K: Data, V: Data>(&self, topic: &str, how: Consumed<K, V>) -> KTable<K, V> {
        KTable::at(self.source(topic, &how, "table", None))
    }

    /// The same, kept as said, in a store of that name.
    pub fn table_kept<K: Data, V: Data>(&self, topic: &str, how: Consumed<K, V>, kept: Materialized) -> KTable<K, V> {
        let store = kept.store_tree().unwrap_or(Tree::map([]));
        let name = store.get("name").is_none().then(|| Tree::text(&kept.name));
        let store = store.with("name", name);
        KTable::at(self.source(topic, &how, "table", Some(store)))
    }

    /// The last value of each key of a topic, of which every process keeps all.
    pub fn global_table<K: Data, V: Data>(&self, topic: &str, how: Consumed<K, V>) -> GlobalKTable<K, V> {
        GlobalKTable::at(self.source(topic, &how, "global_table", None))
    }

    fn source<K: Data, V: Data>(
        &self,
        topics: impl Into<Topics>,
        how: &Consumed<K, V>,
        kind: &str,
        store: Option<Tree>,
    ) -> Handle {
        let topics = topics.into();
        // The node is made of its fields, whose functions are taken in by a handle of the builder.
        let fields = how.source(&topics, &Handle::new(&self.shared, 0)).with("store", store);
        let fields = fields.with("kind", (kind != "stream").then(|| Tree::text(kind)));
        let node = self.shared.borrow_mut().source(&how.name_of(&topics), fields);
        Handle::new(&self.shared, node)
    }

    /// The topology as YAML, whose expressions call the closures by names of their own: what messages point into.
    pub fn to_yaml(&self) -> String {
        self.shared.borrow().write().yaml
    }

    /// The plan. The builder may go on, and be asked again.
    ///
    /// # Errors
    /// [`TopologyError::Mistakes`] with all that makes no sense, such as a stream that nobody reads, or a join of topics
    /// with different numbers of partitions; [`TopologyError::Unnamed`] where a store would have no name of its own;
    /// [`TopologyError::Row`] where the type that was named for rows is not theirs.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        if let Some(draft::Misread { table, row, reason }) = self.shared.borrow().misread.first().cloned() {
            return Err(TopologyError::Row { table, row, reason });
        }
        let written = self.shared.borrow().write();
        let agents = Agents::local();
        let options = PlanOptions { registry: &self.schemas, agents: &agents, projection: true };
        let place = format!("{} (built)", self.shared.borrow().application);
        let (processors, functions) = (&written.processors, &written.functions);
        let topology = topology::load_calling(&place, &written.yaml, &options, processors, functions)?;
        for store in topology.subtopologies.iter().flat_map(|part| &part.stores) {
            let of = |name: &&String| store.name == **name || store.name.starts_with(&format!("{name}-"));
            if let Some(table) = written.unnamed.iter().find(of) {
                return Err(TopologyError::Unnamed { table: table.clone(), store: store.name.clone() });
            }
        }
        Ok(topology)
    }
}

/// The examples of the page on builders are run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/builder.md")]
struct Page;
