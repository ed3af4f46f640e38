//! Tables: the last value of each key.

use std::marker::PhantomData;

use super::data::Data;
use super::function::native_of;
use super::grouped::KGroupedTable;
use super::handle::Handle;
use super::joins::{Join, inner};
use super::options::{Materialized, OnError, Suppressed};
use super::stream::KStream;
use super::yaml::Tree;
use crate::expression::NativeFunction;

/// A table with keys of type `K` and rows of type `V`. What it hands on are changes; closures never see a deletion,
/// which stays one.
///
/// A table that is joined, and has no store yet, gets one, named after it: give it a name ([`KTable::named`]), so that
/// its changelog keeps it. [`build`](super::StreamsBuilder::build) refuses a store without a name of its own.
pub struct KTable<K, V> {
    pub(super) handle: Handle,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        KTable::at(self.handle.clone())
    }
}

impl<K, V> KTable<K, V> {
    pub(super) fn at(handle: Handle) -> Self {
        KTable { handle, types: PhantomData }
    }
}

/// A table of which every process keeps all rows. Streams look it up.
pub struct GlobalKTable<K, V> {
    pub(super) handle: Handle,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> GlobalKTable<K, V> {
    pub(super) fn at(handle: Handle) -> Self {
        GlobalKTable { handle, types: PhantomData }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Names the table.
    pub fn named(self, name: &str) -> Self {
        self.handle.name(name);
        self
    }

    /// Says what happens to records on which this table fails; the builder's defaults, if nothing is said.
    pub fn on_error(self, policy: OnError) -> Self {
        self.handle.shared.borrow_mut().on_error(self.handle.node, policy.tree("process"));
        self
    }

    /// The rows for which the condition holds. One that passes no more is deleted.
    pub fn filter(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        let function = native_of::<V, _>(2, 1, move |given| Ok(condition(&given.get(0)?, &given.get(1)?)));
        self.derived("filter", self.handle.call_with_key("filter", function))
    }

    /// The rows for which the condition does not hold.
    pub fn filter_not(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        let function = native_of::<V, _>(2, 1, move |given| Ok(condition(&given.get(0)?, &given.get(1)?)));
        self.derived("filter_not", self.handle.call_with_key("filter_not", function))
    }

    /// A new value for each row.
    pub fn map_values<R: Data>(&self, map: impl Fn(V) -> R + Send + Sync + 'static) -> KTable<K, R> {
        let function = native_of::<V, _>(1, 0, move |given| Ok(map(given.get(0)?)));
        self.derived("map_values", self.handle.call("map_values", "value", function))
    }

    /// A new value for each row, which depends on the key too.
    pub fn map_values_with_key<R: Data>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KTable<K, R> {
        let function = native_of::<V, _>(2, 1, move |given| Ok(map(&given.get(0)?, given.get(1)?)));
        self.derived("map_values", self.handle.call_with_key("map_values", function))
    }

    /// Keeps the rows in a store.
    pub fn materialize(&self, store: &str) -> Self {
        let store = Tree::map([("name", Tree::text(store))]);
        let fields = Tree::map([("from", self.handle.reference()), ("store", store)]);
        KTable::at(self.handle.table(None, fields))
    }

    /// Holds changes back: of each key, only the last one goes on. What is held back is kept in a store, after this
    /// name.
    pub fn suppress(&self, name: &str, until: Suppressed) -> Self {
        let fields = Tree::map([("from", self.handle.reference()), ("suppress", until.tree())]);
        KTable::at(self.handle.table(Some(name), fields))
    }

    /// The table's changes as a stream; a deletion is a null value, for which the values of the stream must be `Option`s
    /// where a closure sees them: [`KTable::to_nullable_stream`].
    pub fn to_stream(&self) -> KStream<K, V> {
        KStream::at(self.handle.step("to_stream", Tree::map([])))
    }

    /// The table's changes as a stream in which a deletion is `None`.
    pub fn to_nullable_stream(&self) -> KStream<K, Option<V>> {
        KStream::at(self.to_stream().handle)
    }

    /// Groups rows by another key.
    pub fn group_by<K2: Data>(&self, key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KGroupedTable<K2, V> {
        let function = native_of::<V, _>(2, 1, move |given| Ok(key(&given.get(0)?, &given.get(1)?)));
        let key = self.handle.call_with_key("group_by", function);
        KGroupedTable::new(self.handle.clone().rekeyed(), key, None)
    }

    /// Groups rows by another key, and says what each is in its group.
    pub fn group_by_value<K2: Data, R: Data>(
        &self,
        key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        value: impl Fn(&K, V) -> R + Send + Sync + 'static,
    ) -> KGroupedTable<K2, R> {
        let function = native_of::<V, _>(2, 1, move |given| Ok(key(&given.get(0)?, &given.get(1)?)));
        let key = self.handle.call_with_key("group_by", function);
        let function = native_of::<V, _>(2, 1, move |given| Ok(value(&given.get(0)?, given.get(1)?)));
        let value = self.handle.call_with_key("group_value", function);
        KGroupedTable::new(self.handle.clone().rekeyed(), key, Some(value))
    }

    /// The rows of both tables that have one key.
    pub fn join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("inner", &other.handle, &table.into(), Tree::map([]), inner(join))
    }

    /// The rows of this table, each with the other's of its key, if there is one.
    pub fn left_join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("left", &other.handle, &table.into(), Tree::map([]), inner(join))
    }

    /// The rows of both tables, those of one key together.
    pub fn outer_join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(Option<V>, Option<O>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("outer", &other.handle, &table.into(), Tree::map([]), inner(join))
    }

    /// The rows of this table, each with the other's row that it names.
    pub fn join_by_foreign_key<FK: Data, O: Data, R: Data>(
        &self,
        other: &KTable<FK, O>,
        table: impl Into<Materialized>,
        foreign_key: impl Fn(&V) -> FK + Send + Sync + 'static,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        let on = self.named_by(foreign_key);
        self.joined("inner", &other.handle, &table.into(), on, inner(join))
    }

    /// The rows of this table, each with the other's row that it names, if there is one.
    pub fn left_join_by_foreign_key<FK: Data, O: Data, R: Data>(
        &self,
        other: &KTable<FK, O>,
        table: impl Into<Materialized>,
        foreign_key: impl Fn(&V) -> FK + Send + Sync + 'static,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        let on = self.named_by(foreign_key);
        self.joined("left", &other.handle, &table.into(), on, inner(join))
    }

    fn named_by<FK: Data>(&self, foreign_key: impl Fn(&V) -> FK + Send + Sync + 'static) -> Tree {
        let function = native_of::<V, _>(1, 0, move |given| Ok(foreign_key(&given.get(0)?)));
        Tree::map([("on", self.handle.call("on", "left", function))])
    }

    fn joined<R: Data>(
        &self,
        kind: &'static str,
        other: &Handle,
        table: &Materialized,
        more: Tree,
        value: NativeFunction,
    ) -> KTable<K, R> {
        let fields = Join { kind, left: &self.handle, right: other, more, value }.fields();
        KTable::at(self.handle.table(Some(&table.name), table.add_to(fields)))
    }

    fn derived<R: Data>(&self, field: &str, call: Tree) -> KTable<K, R> {
        let fields = Tree::map([("from", self.handle.reference()), (field, call)]);
        KTable::at(self.handle.table(None, fields))
    }
}
