//! Several grouped streams that build up one state.

use std::marker::PhantomData;

use super::data::{Data, Windowed};
use super::function::{native, native_of};
use super::grouped::{KGroupedStream, merge_call};
use super::handle::Handle;
use super::options::Materialized;
use super::table::KTable;
use super::windows::{SessionWindows, Windows};
use super::yaml::Tree;

/// Streams grouped by keys of type `K` that build up states of type `A`.
pub struct CogroupedKStream<K, A> {
    handle: Handle,
    inputs: Tree,
    types: PhantomData<fn() -> (K, A)>,
}

impl<K: Data, A: Data> CogroupedKStream<K, A> {
    pub(super) fn new(handle: Handle) -> Self {
        CogroupedKStream { handle, inputs: Tree::map([]), types: PhantomData }
    }

    /// Another stream: `add(key, record, so far)`. The name is the input's, after which its internal topic is named.
    pub fn and<V: Data>(
        mut self,
        name: &str,
        stream: &KGroupedStream<K, V>,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> Self {
        let function = native_of::<V, _>(3, 1, move |given| Ok(add(&given.get(0)?, given.get(1)?, given.get(2)?)));
        let handle = &stream.group.handle;
        let input = Tree::map([("from", handle.reference())])
            .with("group_by", stream.group.by.clone())
            .with("add", Some(handle.call_with_state("add", function)));
        self.inputs.insert(name, input);
        self
    }

    /// What each group comes to.
    pub fn aggregate(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        KTable::at(self.table(&table.into(), init, None, None))
    }

    /// What each group comes to in each window.
    pub fn aggregate_windowed(
        &self,
        table: impl Into<Materialized>,
        windows: Windows,
        init: impl Fn() -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        KTable::at(self.table(&table.into(), init, Some(windows.tree()), None).windowed())
    }

    /// What each session comes to; where a record makes one of two sessions `merge(key, earlier, later)`.
    pub fn aggregate_sessions(
        &self,
        table: impl Into<Materialized>,
        windows: SessionWindows,
        init: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let merge = merge_call(&self.handle, merge);
        KTable::at(self.table(&table.into(), init, Some(windows.tree()), Some(merge)).windowed())
    }

    fn table(
        &self,
        table: &Materialized,
        init: impl Fn() -> A + Send + Sync + 'static,
        window: Option<Tree>,
        merge: Option<Tree>,
    ) -> Handle {
        let init = self.handle.call("init", "", native(0, move |_| Ok(init())));
        let cogroup = Tree::map([("inputs", self.inputs.clone()), ("init", init)]).with("merge", merge);
        let fields = Tree::map([("cogroup", cogroup)]).with("window", window);
        self.handle.table(Some(&table.name), table.add_to(fields))
    }
}
