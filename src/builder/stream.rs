//! Streams of records, and what is done to each.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use super::data::Data;
use super::function::{Pair, native_of};
use super::grouped::KGroupedStream;
use super::handle::Handle;
use super::options::{Materialized, OnError, Produced};
use super::table::KTable;
use super::yaml::Tree;

/// A stream of records with keys of type `K` and values of type `V`. Each method gives a stream of its own; one that is
/// used twice goes two ways.
///
/// Closures are called for one record at a time and must give the same for the same arguments, because after a crash
/// they are called again. What a closure takes is made anew for each call, and what it gives is turned back once: for a
/// struct that costs an allocation for each text and list in it. What only moves fields about is cheaper as an expression
/// in YAML. A value that cannot be read as the type is an error of its record, as is the `Err` of a `try_` method: see
/// [`KStream::on_error`].
pub struct KStream<K, V> {
    pub(super) handle: Handle,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        KStream::at(self.handle.clone())
    }
}

impl<K, V> KStream<K, V> {
    pub(super) fn at(handle: Handle) -> Self {
        KStream { handle, types: PhantomData }
    }
}

impl<K: Data, V: Data> KStream<K, V> {
    /// Names this point of the topology, for messages and pictures: what comes after is another stream. Without a name it
    /// has one that depends on its place. Nothing that is kept is named so.
    pub fn named(self, name: &str) -> Self {
        self.handle.name(name);
        self
    }

    /// Says what happens to records on which the step before fails; the builder's defaults, if nothing is said.
    pub fn on_error(self, policy: OnError) -> Self {
        self.handle.shared.borrow_mut().on_error(self.handle.node, policy.tree("process"));
        self
    }

    /// Keeps the records for which the condition holds.
    pub fn filter(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.try_filter(move |key, value| Ok::<_, String>(condition(key, value)))
    }

    /// Keeps the records for which the condition does not hold.
    pub fn filter_not(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        let function = native_of::<V, _>(2, 1, move |given| Ok(condition(&given.get(0)?, &given.get(1)?)));
        let call = self.handle.call_with_key("filter_not", function);
        KStream::at(self.handle.step("filter_not", call))
    }

    /// As [`KStream::filter`], with a condition that may fail.
    pub fn try_filter<E: Display>(
        &self,
        condition: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> Self {
        let function =
            native_of::<V, _>(2, 1, move |given| condition(&given.get(0)?, &given.get(1)?).map_err(|e| e.to_string()));
        let call = self.handle.call_with_key("filter", function);
        KStream::at(self.handle.step("filter", call))
    }

    /// A new value for each.
    pub fn map_values<R: Data>(&self, map: impl Fn(V) -> R + Send + Sync + 'static) -> KStream<K, R> {
        self.try_map_values(move |value| Ok::<_, String>(map(value)))
    }

    /// As [`KStream::map_values`], with a closure that may fail.
    pub fn try_map_values<R: Data, E: Display>(
        &self,
        map: impl Fn(V) -> Result<R, E> + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let function = native_of::<V, _>(1, 0, move |given| map(given.get(0)?).map_err(|e| e.to_string()));
        let call = self.handle.call("map_values", "value", function);
        KStream::at(self.handle.step("map_values", call))
    }

    /// A new value for each, which depends on the key too.
    pub fn map_values_with_key<R: Data>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KStream<K, R> {
        let function = native_of::<V, _>(2, 1, move |given| Ok(map(&given.get(0)?, given.get(1)?)));
        let call = self.handle.call_with_key("map_values", function);
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
        let function = native_of::<V, _>(2, 1, move |given| {
            map(given.get(0)?, given.get(1)?).map(Pair::from).map_err(|e| e.to_string())
        });
        // Called once for both.
        let both = self.handle.step("map_values", self.handle.call_with_key("map", function));
        let parts = Tree::map([("key", Tree::text("value.key")), ("value", Tree::text("value.value"))]);
        KStream::at(both.step("map", parts).rekeyed())
    }

    /// A new key for each.
    pub fn select_key<K2: Data>(&self, key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KStream<K2, V> {
        let function = native_of::<V, _>(2, 1, move |given| Ok(key(&given.get(0)?, &given.get(1)?)));
        let call = self.handle.call_with_key("select_key", function);
        KStream::at(self.handle.step("select_key", call).rekeyed())
    }

    /// Any number of records for each. One that fails hands on none.
    pub fn flat_map<K2: Data, R: Data>(
        &self,
        map: impl Fn(K, V) -> Vec<(K2, R)> + Send + Sync + 'static,
    ) -> KStream<K2, R> {
        let function = native_of::<V, _>(2, 1, move |given| {
            Ok(map(given.get(0)?, given.get(1)?).into_iter().map(Pair::from).collect::<Vec<_>>())
        });
        let call = self.handle.call_with_key("flat_map", function);
        KStream::at(self.handle.step("flat_map", call).rekeyed())
    }

    /// Any number of values for each, under its key.
    pub fn flat_map_values<R: Data>(&self, map: impl Fn(V) -> Vec<R> + Send + Sync + 'static) -> KStream<K, R> {
        self.try_flat_map_values(move |value| Ok::<_, String>(map(value)))
    }

    /// As [`KStream::flat_map_values`], with a closure that may fail.
    pub fn try_flat_map_values<R: Data, E: Display>(
        &self,
        map: impl Fn(V) -> Result<Vec<R>, E> + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let function = native_of::<V, _>(1, 0, move |given| map(given.get(0)?).map_err(|e| e.to_string()));
        let call = self.handle.call("flat_map_values", "value", function);
        KStream::at(self.handle.step("flat_map_values", call))
    }

    /// Shows each record to a closure, and passes it on. It is called again for records that a crash takes back.
    pub fn peek(&self, look: impl Fn(&K, &V) + Send + Sync + 'static) -> Self {
        self.filter(move |key, value| {
            look(key, value);
            true
        })
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
        let function = native_of::<V, _>(2, 1, move |given| Ok(by(&given.get(0)?, &given.get(1)?)));
        let by = self.handle.call_with_key("deduplicate", function);
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
        let function = native_of::<V, _>(2, 1, move |given| Ok(key(&given.get(0)?, &given.get(1)?)));
        let call = self.handle.call_with_key("group_by", function);
        KGroupedStream::new(self.handle.clone().rekeyed(), Some(call))
    }

    /// Writes the records to a topic.
    pub fn to(&self, topic: &str, how: Produced<K, V>) {
        self.handle.shared.borrow_mut().sink(
            Tree::map([
                ("from", self.handle.reference()),
                ("topic", Tree::text(topic)),
                ("key", how.key.tree()),
                ("value", how.value.tree()),
            ])
            .with("on_error", how.on_error.map(|policy| policy.tree("produce"))),
        );
    }
}

/// A stream that ends in branches.
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
        let function = native_of::<V, _>(2, 1, move |given| Ok(condition(&given.get(0)?, &given.get(1)?)));
        let handle = &self.step.handle;
        let call = handle.call_with_key("branch", function);
        KStream::at(handle.at(handle.shared.borrow_mut().branch(handle.node, name, Some(call))))
    }

    /// The records that no branch takes. Without it they are dropped and counted.
    pub fn default_branch(self, name: &str) -> KStream<K, V> {
        let handle = &self.step.handle;
        KStream::at(handle.at(handle.shared.borrow_mut().branch(handle.node, name, None)))
    }
}
