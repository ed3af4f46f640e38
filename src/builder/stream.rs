//! Streams of records, and what is done to each.

use std::fmt::Display;
use std::time::Duration;

use super::context::{self, HeaderChanges, RecordContext};
use super::data::Data;
use super::function::{Pair, of_context, of_keyed, of_record, of_value, try_of_pair, try_of_record, try_of_value};
use super::grouped::KGroupedStream;
use super::handle::{named, typed};
use super::options::{Materialized, Produced};
use super::table::KTable;
use super::topics::Topics;
use super::yaml::Tree;

typed! {
    /// A stream of records with keys of type `K` and values of type `V`. Each method gives a stream of its own; one that is
    /// used twice goes two ways.
    ///
    /// Closures are called for one record at a time and must give the same for the same arguments, because after a crash
    /// they are called again. What a closure takes is made anew for each call, and what it gives is turned back once: for a
    /// struct that costs an allocation for each text and list in it. What only moves fields about is cheaper as an expression
    /// in YAML. A value that cannot be read as the type is an error of its record, as is the `Err` of a `try_` method: see
    /// [`KStream::on_error`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use signalstream::builder::{Consumed, OnError, Produced, Serdes, StreamsBuilder};
    /// # use signalstream::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new("numbers");
    /// builder
    ///     .stream("texts", Consumed::with(Serdes::string(), Serdes::string()))
    ///     .filter(|_, text| !text.is_empty())
    ///     .flat_map_values(|text| text.split(' ').map(str::to_owned).collect())
    ///     .try_map_values(|word| word.parse::<i64>())
    ///     .on_error(OnError::Skip) // what is no number
    ///     .select_key(|_, number| number % 2)
    ///     .to("numbers", Produced::with(Serdes::long(), Serdes::long()));
    /// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
    /// # driver.pipe("texts", "k", "", 0)?;
    /// # driver.pipe("texts", "k", "1 two", 0)?;
    /// # driver.pipe("texts", "k", "3 4", 0)?;
    /// # assert_eq!(driver.read::<i64, i64>("numbers")?, [(1, 1), (1, 3), (0, 4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    KStream
}

named! {
    /// Names this point of the topology, for messages and pictures: what comes after is another stream. Without a name it
    /// has one that depends on its place. Nothing that is kept is named so.
    KStream
}

impl<K: Data, V: Data> KStream<K, V> {
    /// Keeps the records for which the condition holds.
    pub fn filter(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        KStream::at(self.handle.step_with_key("filter", of_record(condition)))
    }

    /// Keeps the records for which the condition does not hold.
    pub fn filter_not(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        KStream::at(self.handle.step_with_key("filter_not", of_record(condition)))
    }

    /// As [`KStream::filter`], with a condition that may fail.
    pub fn try_filter<E: Display>(
        &self,
        condition: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> Self {
        KStream::at(self.handle.step_with_key("filter", try_of_record(condition)))
    }

    /// A new value for each.
    pub fn map_values<R: Data>(&self, map: impl Fn(V) -> R + Send + Sync + 'static) -> KStream<K, R> {
        KStream::at(self.handle.step_of_value("map_values", of_value(map)))
    }

    /// As [`KStream::map_values`], with a closure that may fail.
    pub fn try_map_values<R: Data, E: Display>(
        &self,
        map: impl Fn(V) -> Result<R, E> + Send + Sync + 'static,
    ) -> KStream<K, R> {
        KStream::at(self.handle.step_of_value("map_values", try_of_value(map)))
    }

    /// A new value for each, which depends on the key too.
    pub fn map_values_with_key<R: Data>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KStream<K, R> {
        KStream::at(self.handle.step_with_key("map_values", of_keyed(map)))
    }

    /// A new value for each, which depends also on where the record came from: its topic, its headers.
    pub fn map_values_with_context<R: Data>(
        &self,
        map: impl Fn(&K, V, &RecordContext) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let call = self.handle.call_with_context("map_values", of_context(map));
        KStream::at(self.handle.step("map_values", call))
    }

    /// A new key and value for each. What groups or joins by the new key first sends records to the tasks of their keys.
    pub fn map<K2: Data, R: Data>(&self, map: impl Fn(K, V) -> (K2, R) + Send + Sync + 'static) -> KStream<K2, R> {
        self.try_map(move |key, value| Ok::<_, String>(map(key, value)))
    }

    /// As [`KStream::map`], with a closure that may fail.
    pub fn try_map<K2: Data, R: Data, E: Display>(
        &self,
        map: impl Fn(K, V) -> Result<(K2, R), E> + Send + Sync + 'static,
    ) -> KStream<K2, R> {
        let function = try_of_pair(move |key, value| map(key, value).map(Pair::from));
        // Called once for both.
        let both = self.handle.half_step("map_values", self.handle.call_with_key("map", function));
        let parts = Tree::map([("key", Tree::text("value.key")), ("value", Tree::text("value.value"))]);
        KStream::at(both.step("map", parts).rekeyed())
    }

    /// A new key for each.
    pub fn select_key<K2: Data>(&self, key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KStream<K2, V> {
        KStream::at(self.handle.step_with_key("select_key", of_record(key)).rekeyed())
    }

    /// Any number of records for each. One that fails hands on none.
    pub fn flat_map<K2: Data, R: Data>(
        &self,
        map: impl Fn(K, V) -> Vec<(K2, R)> + Send + Sync + 'static,
    ) -> KStream<K2, R> {
        self.try_flat_map(move |key, value| Ok::<_, String>(map(key, value)))
    }

    /// As [`KStream::flat_map`], with a closure that may fail.
    pub fn try_flat_map<K2: Data, R: Data, E: Display>(
        &self,
        map: impl Fn(K, V) -> Result<Vec<(K2, R)>, E> + Send + Sync + 'static,
    ) -> KStream<K2, R> {
        let pairs = |parts: Vec<(K2, R)>| parts.into_iter().map(Pair::from).collect::<Vec<_>>();
        let function = try_of_pair(move |key, value| map(key, value).map(pairs));
        KStream::at(self.handle.step_with_key("flat_map", function).rekeyed())
    }

    /// Any number of values for each, under its key.
    pub fn flat_map_values<R: Data>(&self, map: impl Fn(V) -> Vec<R> + Send + Sync + 'static) -> KStream<K, R> {
        KStream::at(self.handle.step_of_value("flat_map_values", of_value(map)))
    }

    /// As [`KStream::flat_map_values`], with a closure that may fail.
    pub fn try_flat_map_values<R: Data, E: Display>(
        &self,
        map: impl Fn(V) -> Result<Vec<R>, E> + Send + Sync + 'static,
    ) -> KStream<K, R> {
        KStream::at(self.handle.step_of_value("flat_map_values", try_of_value(map)))
    }

    /// Shows each record to a closure, and passes it on. It is called again for records that a crash takes back.
    pub fn peek(&self, look: impl Fn(&K, &V) + Send + Sync + 'static) -> Self {
        self.filter(move |key, value| {
            look(key, value);
            true
        })
    }

    /// Writes what a closure says of each record to the log of the process, at level `info` under the target
    /// `signalstream::peek`, and passes the record on: the verb `peek`. Not for personal data: the log is no topic.
    pub fn print(&self, message: impl Fn(&K, &V) -> String + Send + Sync + 'static) -> Self {
        let message = self.handle.call_with_key("peek", of_record(message));
        KStream::at(self.handle.step("peek", Tree::map([("message", message)])))
    }

    /// Sets headers of each record, or removes them.
    pub fn set_headers(&self, changes: HeaderChanges<K, V>) -> Self {
        KStream::at(self.handle.step("set_headers", context::tree(changes.changes, &self.handle)))
    }

    /// Asks an agent about each record; its answer is the new value. What is asked must be a struct of what the agent
    /// reads; the name is the call's, for messages.
    pub fn call<R: Data, Q: Data>(
        &self,
        name: &str,
        agent: &str,
        question: impl Fn(&K, &V) -> Q + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.asked(name, agent, None, of_record(question))
    }

    /// As [`KStream::call`], with the answer in a field of the value, which must be a struct or map: the new value has
    /// it besides, or in the place of what it had there.
    pub fn call_into<R: Data, Q: Data>(
        &self,
        name: &str,
        agent: &str,
        field: &str,
        question: impl Fn(&K, &V) -> Q + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.asked(name, agent, Some(field), of_record(question))
    }

    fn asked<R: Data>(
        &self,
        name: &str,
        agent: &str,
        into: Option<&str>,
        question: crate::expression::NativeFunction,
    ) -> KStream<K, R> {
        let input = self.handle.call_with_key("call", question);
        let call = Tree::map([("name", Tree::text(name)), ("agent", Tree::text(agent)), ("input", input)]);
        KStream::at(self.handle.step("call", call.with("into", into.map(Tree::text))))
    }

    /// The records of both, as they come.
    pub fn merge(&self, other: &KStream<K, V>) -> Self {
        let both = Tree::List(vec![self.handle.reference(), other.handle.reference()]);
        KStream::at(self.handle.stream(None, Tree::map([("merge", both)])))
    }

    /// Sends each record to the first branch whose condition holds.
    pub fn split(&self) -> Split<K, V> {
        Split { step: KStream::at(self.handle.step("branch", Tree::map([]))) }
    }

    /// Sends the records through an internal topic of this name, with as many partitions as they come from.
    pub fn repartition(&self, name: &str) -> Self {
        KStream::at(self.handle.step("repartition", Tree::map([("name", Tree::text(name))])))
    }

    /// Sends the records through an internal topic of this name, with so many partitions.
    pub fn repartition_to(&self, name: &str, partitions: u16) -> Self {
        let fields = Tree::map([("name", Tree::text(name)), ("partitions", Tree::number(partitions))]);
        KStream::at(self.handle.step("repartition", fields))
    }

    /// Keeps the first record of each key within a time; its store has this name.
    pub fn deduplicate(&self, name: &str, within: Duration) -> Self {
        let fields = Tree::map([("within", Tree::duration(within)), ("name", Tree::text(name))]);
        KStream::at(self.handle.step("deduplicate", fields))
    }

    /// Keeps the first of the records of a task for which `by` gives the same, within a time.
    pub fn deduplicate_by<R: Data>(
        &self,
        name: &str,
        within: Duration,
        by: impl Fn(&K, &V) -> R + Send + Sync + 'static,
    ) -> Self {
        let by = self.handle.call_with_key("deduplicate", of_record(by));
        let fields = Tree::map([("by", by), ("within", Tree::duration(within)), ("name", Tree::text(name))]);
        KStream::at(self.handle.step("deduplicate", fields))
    }

    /// The last value of each key.
    pub fn to_table(&self, table: impl Into<Materialized>) -> KTable<K, V> {
        let table = table.into();
        let fields = Tree::map([("from", self.handle.reference()), ("to_table", Tree::map([]))]);
        KTable::at(self.handle.table(Some(&table.name), table.add_to(fields)))
    }

    /// Groups records by their keys.
    pub fn group_by_key(&self) -> KGroupedStream<K, V> {
        KGroupedStream::new(self.handle.clone(), None)
    }

    /// Groups records by a new key.
    pub fn group_by<K2: Data>(&self, key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KGroupedStream<K2, V> {
        let call = self.handle.call_with_key("group_by", of_record(key));
        KGroupedStream::new(self.handle.clone().rekeyed(), Some(call))
    }

    /// Writes the records to a topic.
    pub fn to(&self, topic: &str, how: Produced<K, V>) {
        self.handle.sink(how.sink(Tree::text(topic), &self.handle));
    }

    /// Writes each record to the topic that a closure names, of those that it may name. Another one is an error of the
    /// record: a `produce` error.
    pub fn to_chosen(
        &self,
        topics: impl Into<Topics>,
        choose: impl Fn(&K, &V, &RecordContext) -> String + Send + Sync + 'static,
        how: Produced<K, V>,
    ) {
        let choose = of_context::<K, V, _>(move |key, value, context| choose(key, &value, context));
        let topic = topics.into().of_a_sink(self.handle.call_with_context("topic", choose));
        self.handle.sink(how.sink(topic, &self.handle));
    }
}

/// A stream that ends in branches.
///
/// ```
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
///
/// let builder = StreamsBuilder::new("sizes");
/// let mut sizes = builder.stream("in", Consumed::with(Serdes::string(), Serdes::long())).split().named("sizes");
/// let small = sizes.branch("small", |_, size| *size < 10);
/// let large = sizes.branch("large", |_, size| *size > 1_000);
/// let others = sizes.default_branch("others");
/// for (topic, stream) in [("small", small), ("large", large), ("others", others)] {
///     stream.to(topic, Produced::with(Serdes::string(), Serdes::long()));
/// }
/// builder.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Split<K, V> {
    step: KStream<K, V>,
}

impl<K: Data, V: Data> Split<K, V> {
    /// Names the point where the stream parts.
    pub fn named(self, name: &str) -> Self {
        Split { step: self.step.named(name) }
    }

    /// The records for which the condition holds, and none of those of the branches before.
    pub fn branch(&mut self, name: &str, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        let handle = &self.step.handle;
        let call = handle.call_with_key("branch", of_record(condition));
        KStream::at(handle.at(handle.shared.borrow_mut().branch(handle.node, name, Some(call))))
    }

    /// The records that no branch takes. Without it they are dropped and counted.
    pub fn default_branch(self, name: &str) -> KStream<K, V> {
        let handle = &self.step.handle;
        KStream::at(handle.at(handle.shared.borrow_mut().branch(handle.node, name, None)))
    }
}
