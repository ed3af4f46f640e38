//! Joins of streams: with streams, tables and global tables. Every join has a name: the internal topics and stores that
//! it needs are named after it.

use std::time::Duration;

use super::data::Data;
use super::function::{of_record, of_values};
use super::handle::Handle;
use super::stream::KStream;
use super::table::{GlobalKTable, KTable};
use super::windows::JoinWindows;
use super::yaml::Tree;
use crate::expression::NativeFunction;

/// What a join is written as, for all kinds of them.
pub(super) struct Join<'h> {
    pub(super) kind: &'static str,
    pub(super) left: &'h Handle,
    pub(super) right: &'h Handle,
    /// What else the join says.
    pub(super) more: Tree,
    /// The value of what is joined, of both values.
    pub(super) value: NativeFunction,
}

impl Join<'_> {
    /// The fields of the stream or table.
    pub(super) fn fields(self) -> Tree {
        let inputs = Tree::map([("left", self.left.reference()), ("right", self.right.reference())]);
        let join = Tree::map([("kind", Tree::text(self.kind)), ("inputs", inputs)]).and(self.more);
        let value = self.left.call("join", "left, right", self.value);
        Tree::map([("join", join), ("map_values", value)])
    }

    fn stream(self, name: &str) -> Handle {
        let left = self.left.clone();
        left.stream(Some(name), self.fields())
    }
}

impl<K: Data, V: Data> KStream<K, V> {
    /// Each record with each of the other stream that lies within the windows.
    pub fn join<O: Data, R: Data>(
        &self,
        other: &KStream<K, O>,
        name: &str,
        windows: JoinWindows,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_stream(other, name, "inner", &windows, of_values(join))
    }

    /// The same, and each record of this stream that no other matches, once its window is over.
    pub fn left_join<O: Data, R: Data>(
        &self,
        other: &KStream<K, O>,
        name: &str,
        windows: JoinWindows,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_stream(other, name, "left", &windows, of_values(join))
    }

    /// The same, and each record of either stream that no other matches, once its window is over.
    pub fn outer_join<O: Data, R: Data>(
        &self,
        other: &KStream<K, O>,
        name: &str,
        windows: JoinWindows,
        join: impl Fn(Option<V>, Option<O>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_stream(other, name, "outer", &windows, of_values(join))
    }

    /// Each record with the table's row of its key; one without a row is dropped.
    pub fn join_table<O: Data, R: Data>(
        &self,
        table: &KTable<K, O>,
        name: &str,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_table(&table.handle, name, "inner", Tree::map([]), of_values(join))
    }

    /// Each record with the table's row of its key, if there is one.
    pub fn left_join_table<O: Data, R: Data>(
        &self,
        table: &KTable<K, O>,
        name: &str,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_table(&table.handle, name, "left", Tree::map([]), of_values(join))
    }

    /// As [`KStream::join_table`] with a versioned table: each record with the row as it was at the record's time, once
    /// the stream has come so much further.
    pub fn join_table_with_grace<O: Data, R: Data>(
        &self,
        table: &KTable<K, O>,
        name: &str,
        grace: Duration,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_table(&table.handle, name, "inner", Tree::map([("grace", Tree::duration(grace))]), of_values(join))
    }

    /// As [`KStream::left_join_table`] with a versioned table: each record with the row as it was at the record's time, if
    /// there was one, once the stream has come so much further.
    pub fn left_join_table_with_grace<O: Data, R: Data>(
        &self,
        table: &KTable<K, O>,
        name: &str,
        grace: Duration,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.with_table(&table.handle, name, "left", Tree::map([("grace", Tree::duration(grace))]), of_values(join))
    }

    /// Each record with the row that `key` names in a global table; one without a row is dropped.
    pub fn join_global<GK: Data, O: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, O>,
        name: &str,
        key: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let more = self.looked_up(key);
        self.with_table(&table.handle, name, "inner", more, of_values(join))
    }

    /// Each record with the row that `key` names in a global table, if there is one.
    pub fn left_join_global<GK: Data, O: Data, R: Data>(
        &self,
        table: &GlobalKTable<GK, O>,
        name: &str,
        key: impl Fn(&K, &V) -> GK + Send + Sync + 'static,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let more = self.looked_up(key);
        self.with_table(&table.handle, name, "left", more, of_values(join))
    }

    fn looked_up<GK: Data>(&self, key: impl Fn(&K, &V) -> GK + Send + Sync + 'static) -> Tree {
        Tree::map([("on", self.handle.call("on", "key, left", of_record(key)))])
    }

    fn with_stream<O: Data, R: Data>(
        &self,
        other: &KStream<K, O>,
        name: &str,
        kind: &'static str,
        windows: &JoinWindows,
        value: NativeFunction,
    ) -> KStream<K, R> {
        let more = Tree::map([("within", windows.tree())]);
        KStream::at(Join { kind, left: &self.handle, right: &other.handle, more, value }.stream(name))
    }

    fn with_table<R: Data>(
        &self,
        table: &Handle,
        name: &str,
        kind: &'static str,
        more: Tree,
        value: NativeFunction,
    ) -> KStream<K, R> {
        KStream::at(Join { kind, left: &self.handle, right: table, more, value }.stream(name))
    }
}
