//! Several grouped streams that build up one state.

use std::marker::PhantomData;

use super::data::{Data, Types, Windowed};
use super::fold::{merge_call, result_call};
use super::function::{of_keyed, of_nothing, of_states, try_of_state};
use super::grouped::KGroupedStream;
use super::handle::Handle;
use super::options::Materialized;
use super::table::KTable;
use super::windows::{SessionWindows, Windows};
use super::yaml::Tree;

/// Streams grouped by keys of type `K` that build up states of type `A`, which give rows of type `R`.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("activity");
/// let texts = || Consumed::with(Serdes::string(), Serdes::string());
/// let clicks = builder.stream("clicks", texts()).group_by(|_, user| user.clone());
/// let views = builder.stream("views", texts()).group_by_key();
/// clicks
///     .cogroup("clicks", |_, _, (clicks, views): (i64, i64)| (clicks + 1, views))
///     .and("views", &views, |_, _, (clicks, views)| (clicks, views + 1))
///     .result(|_, (clicks, views)| format!("{clicks} clicks, {views} views"))
///     .aggregate("activity", || (0, 0))
///     .to_stream()
///     .to("activity", Produced::with(Serdes::string(), Serdes::string()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("views", "ada", "home", 0)?;
/// # driver.pipe("clicks", "c1", "ada", 1)?;
/// # let last = driver.read::<String, String>("activity")?.pop();
/// # assert_eq!(last, Some(("ada".to_owned(), "1 clicks, 1 views".to_owned())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CogroupedKStream<K, A, R = A> {
    handle: Handle,
    inputs: Tree,
    result: Option<Tree>,
    types: Types<(K, A, R)>,
}

impl<K: Data, A: Data> CogroupedKStream<K, A> {
    pub(super) fn new(handle: Handle) -> Self {
        CogroupedKStream { handle, inputs: Tree::map([]), result: None, types: PhantomData }
    }
}

impl<K: Data, A: Data, R: Data> CogroupedKStream<K, A, R> {
    /// Another stream: `add(key, record, so far)`. The name is the input's, after which its internal topic is named.
    pub fn and<V: Data>(
        mut self,
        name: &str,
        stream: &KGroupedStream<K, V>,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> Self {
        let add = try_of_state(move |key, value, state| Ok::<_, String>(add(key, value, state)));
        let handle = &stream.group.handle;
        let input = Tree::map([("from", handle.reference())])
            .with("group_by", stream.group.by.clone())
            .with("add", Some(handle.call_with_state("add", add)));
        self.inputs.insert(name, input);
        self
    }

    /// The row that a state gives: `result(key, state)`. Only the state is kept.
    pub fn result<R2: Data>(self, result: impl Fn(&K, A) -> R2 + Send + Sync + 'static) -> CogroupedKStream<K, A, R2> {
        let CogroupedKStream { handle, inputs, .. } = self;
        let result = Some(result_call(&handle, of_keyed(result)));
        CogroupedKStream { handle, inputs, result, types: PhantomData }
    }

    /// What each group comes to.
    pub fn aggregate(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
    ) -> KTable<K, R> {
        KTable::at(self.table(&table.into(), init, None, None))
    }

    /// What each group comes to in each window.
    pub fn aggregate_windowed(
        &self,
        table: impl Into<Materialized>,
        windows: Windows,
        init: impl Fn() -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, R> {
        KTable::at(self.table(&table.into(), init, Some(windows.tree()), None).windowed())
    }

    /// What each session comes to; where a record makes one of two sessions `merge(key, earlier, later)`.
    pub fn aggregate_sessions(
        &self,
        table: impl Into<Materialized>,
        windows: SessionWindows,
        init: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, R> {
        let merge = merge_call(&self.handle, of_states(merge));
        KTable::at(self.table(&table.into(), init, Some(windows.tree()), Some(merge)).windowed())
    }

    fn table(
        &self,
        table: &Materialized,
        init: impl Fn() -> A + Send + Sync + 'static,
        window: Option<Tree>,
        merge: Option<Tree>,
    ) -> Handle {
        let init = self.handle.call("init", "", of_nothing(init));
        let cogroup = Tree::map([("inputs", self.inputs.clone()), ("init", init)])
            .with("merge", merge)
            .with("result", self.result.clone());
        let fields = Tree::map([("cogroup", cogroup)]).with("window", window);
        self.handle.table(Some(&table.name), table.add_to(fields))
    }
}
