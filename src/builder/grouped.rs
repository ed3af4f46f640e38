//! Aggregations: of streams, by key and window, and of tables.

use std::marker::PhantomData;

use super::cogrouped::CogroupedKStream;
use super::data::{Data, Windowed};
use super::function::{native, native_of};
use super::handle::Handle;
use super::options::Materialized;
use super::table::KTable;
use super::windows::{SessionWindows, Windows};
use super::yaml::Tree;

/// Adding one to a count, which needs no closure.
const COUNT_UP: &str = "acc + 1";

/// A stream whose records are grouped by keys of type `K`. Null keys and null values are dropped and counted.
pub struct KGroupedStream<K, V> {
    pub(super) group: Group,
    types: PhantomData<fn() -> (K, V)>,
}

/// Windows of a grouped stream.
pub struct TimeWindowedKStream<K, V> {
    group: Group,
    types: PhantomData<fn() -> (K, V)>,
}

/// Sessions of a grouped stream.
pub struct SessionWindowedKStream<K, V> {
    group: Group,
    types: PhantomData<fn() -> (K, V)>,
}

/// What is grouped, by what.
pub(super) struct Group {
    pub(super) handle: Handle,
    pub(super) by: Option<Tree>,
    window: Option<Tree>,
}

impl Group {
    /// A table made of the group.
    fn table(&self, table: &Materialized, verb: &str, body: Tree) -> Handle {
        let fields = Tree::map([("from", self.handle.reference())])
            .with("group_by", self.by.clone())
            .with("window", self.window.clone())
            .with(verb, Some(body));
        self.handle.table(Some(&table.name), table.add_to(fields))
    }

    fn fold<K: Data, V: Data, A: Data>(
        &self,
        table: &Materialized,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> Result<A, String> + Send + Sync + 'static,
        merge: Option<Tree>,
    ) -> Handle {
        let init = self.handle.call("init", "", native(0, move |_| Ok(init())));
        let add = native_of::<V, _>(3, 1, move |given| add(&given.get(0)?, given.get(1)?, given.get(2)?));
        let add = self.handle.call_with_state("add", add);
        self.table(table, "fold", Tree::map([("init", init), ("add", add)]).with("merge", merge))
    }

    fn count(&self, table: &Materialized, merge: Option<Tree>) -> Handle {
        let fold = Tree::map([("init", Tree::Plain("0".to_owned())), ("add", Tree::text(COUNT_UP))]);
        self.table(table, "fold", fold.with("merge", merge))
    }

    fn reduce<V: Data>(&self, table: &Materialized, reduce: impl Fn(V, V) -> V + Send + Sync + 'static) -> Handle {
        let function = native_of::<V, _>(2, 1, move |given| Ok(reduce(given.get(0)?, given.get(1)?)));
        self.table(table, "reduce", self.handle.call("reduce", "acc, value", function))
    }
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    pub(super) fn new(handle: Handle, by: Option<Tree>) -> Self {
        KGroupedStream { group: Group { handle, by, window: None }, types: PhantomData }
    }

    /// How many records each group has.
    pub fn count(&self, table: impl Into<Materialized>) -> KTable<K, i64> {
        KTable::at(self.group.count(&table.into(), None))
    }

    /// The first record of each group, combined with each next one: `reduce(so far, next)`.
    pub fn reduce(
        &self,
        table: impl Into<Materialized>,
        reduce: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V> {
        KTable::at(self.group.reduce(&table.into(), reduce))
    }

    /// What each group comes to: `add(key, record, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let add = move |key: &K, value, state| Ok(add(key, value, state));
        KTable::at(self.group.fold(&table.into(), init, add, None))
    }

    /// As [`KGroupedStream::aggregate`], with a closure that may fail.
    pub fn try_aggregate<A: Data, E: std::fmt::Display>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> Result<A, E> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let add = move |key: &K, value, state| add(key, value, state).map_err(|error| error.to_string());
        KTable::at(self.group.fold(&table.into(), init, add, None))
    }

    /// Groups by windows, too.
    pub fn windowed_by(self, windows: Windows) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream { group: Group { window: Some(windows.tree()), ..self.group }, types: PhantomData }
    }

    /// Groups by sessions, too.
    pub fn windowed_by_session(self, windows: SessionWindows) -> SessionWindowedKStream<K, V> {
        SessionWindowedKStream { group: Group { window: Some(windows.tree()), ..self.group }, types: PhantomData }
    }

    /// The first of several streams that build up one state: `add(key, record, so far)`. The name is the input's, after
    /// which its internal topic is named.
    pub fn cogroup<A: Data>(
        self,
        name: &str,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> CogroupedKStream<K, A> {
        CogroupedKStream::new(self.group.handle.clone()).and(name, &self, add)
    }
}

impl<K: Data, V: Data> TimeWindowedKStream<K, V> {
    /// How many records each group has in each window.
    pub fn count(&self, table: impl Into<Materialized>) -> KTable<Windowed<K>, i64> {
        KTable::at(self.group.count(&table.into(), None).windowed())
    }

    /// The first record of each group and window, combined with each next one: `reduce(so far, next)`.
    pub fn reduce(
        &self,
        table: impl Into<Materialized>,
        reduce: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V> {
        KTable::at(self.group.reduce(&table.into(), reduce).windowed())
    }

    /// What each group comes to in each window: `add(key, record, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let add = move |key: &K, value, state| Ok(add(key, value, state));
        KTable::at(self.group.fold(&table.into(), init, add, None).windowed())
    }
}

impl<K: Data, V: Data> SessionWindowedKStream<K, V> {
    /// How many records each session has.
    pub fn count(&self, table: impl Into<Materialized>) -> KTable<Windowed<K>, i64> {
        KTable::at(self.group.count(&table.into(), Some(Tree::text("acc + other"))).windowed())
    }

    /// The first record of each session, combined with each next one: `reduce(so far, next)`.
    pub fn reduce(
        &self,
        table: impl Into<Materialized>,
        reduce: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V> {
        KTable::at(self.group.reduce(&table.into(), reduce).windowed())
    }

    /// What each session comes to: `add(key, record, so far)`, and where a record makes one of two sessions
    /// `merge(key, earlier, later)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let add = move |key: &K, value, state| Ok(add(key, value, state));
        let merge = merge_call(&self.group.handle, merge);
        KTable::at(self.group.fold(&table.into(), init, add, Some(merge)).windowed())
    }
}

/// A call that makes one of the states of two sessions.
pub(super) fn merge_call<K: Data, A: Data>(
    handle: &Handle,
    merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
) -> Tree {
    let function = native(3, move |given| Ok(merge(&given.get(0)?, given.get(1)?, given.get(2)?)));
    handle.call("merge", "key, acc, other", function)
}

/// A table whose rows are grouped by keys of type `K`. When a row changes, what it was is taken from its group, and what
/// it is is added.
pub struct KGroupedTable<K, V> {
    handle: Handle,
    by: Tree,
    value: Option<Tree>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    pub(super) fn new(handle: Handle, by: Tree, value: Option<Tree>) -> Self {
        KGroupedTable { handle, by, value, types: PhantomData }
    }

    /// How many rows each group has.
    pub fn count(&self, table: impl Into<Materialized>) -> KTable<K, i64> {
        let [init, add, subtract] = ["0", COUNT_UP, "acc - 1"].map(|text| Tree::Plain(text.to_owned()));
        self.table(&table.into(), "fold", Tree::map([("init", init), ("add", add), ("subtract", subtract)]))
    }

    /// The rows of each group combined: `add(so far, row)`, `subtract(so far, row)`.
    pub fn reduce(
        &self,
        table: impl Into<Materialized>,
        add: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtract: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V> {
        let add = native_of::<V, _>(2, 1, move |given| Ok(add(given.get(0)?, given.get(1)?)));
        let subtract = native_of::<V, _>(2, 1, move |given| Ok(subtract(given.get(0)?, given.get(1)?)));
        let add = self.handle.call("add", "acc, value", add);
        let subtract = self.handle.call("subtract", "acc, value", subtract);
        self.table(&table.into(), "reduce", Tree::map([("add", add), ("subtract", subtract)]))
    }

    /// What each group comes to: `add(key, row, so far)`, `subtract(key, row, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let init = self.handle.call("init", "", native(0, move |_| Ok(init())));
        let add = native_of::<V, _>(3, 1, move |given| Ok(add(&given.get(0)?, given.get(1)?, given.get(2)?)));
        let subtract = native_of::<V, _>(3, 1, move |given| Ok(subtract(&given.get(0)?, given.get(1)?, given.get(2)?)));
        let add = self.handle.call_with_state("add", add);
        let subtract = self.handle.call_with_state("subtract", subtract);
        self.table(&table.into(), "fold", Tree::map([("init", init), ("add", add), ("subtract", subtract)]))
    }

    fn table<R: Data>(&self, table: &Materialized, verb: &str, body: Tree) -> KTable<K, R> {
        let fields = Tree::map([("from", self.handle.reference()), ("group_by", self.by.clone())])
            .with("group_value", self.value.clone())
            .with(verb, Some(body));
        KTable::at(self.handle.table(Some(&table.name), table.add_to(fields)))
    }
}
