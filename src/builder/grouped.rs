//! Aggregations: of streams, by key and window, and of tables.

use std::fmt::Display;
use std::marker::PhantomData;

use super::aggregates::Aggregates;
use super::cogrouped::CogroupedKStream;
use super::data::{Data, Types, Windowed};
use super::fold::Fold;
use super::function::of_values;
use super::handle::Handle;
use super::options::Materialized;
use super::table::KTable;
use super::windows::{SessionWindows, Windows};
use super::yaml::Tree;

/// What is grouped, by what.
pub(super) struct Group {
    pub(super) handle: Handle,
    pub(super) by: Option<Tree>,
    value: Option<Tree>,
    window: Option<Tree>,
    /// What two counts come to, where groups may become one.
    merged_count: Option<Tree>,
}

impl Group {
    fn new(handle: Handle, by: Option<Tree>, value: Option<Tree>) -> Self {
        Group { handle, by, value, window: None, merged_count: None }
    }

    /// A table made of the group.
    fn table(&self, table: &Materialized, verb: &str, body: Tree) -> Handle {
        let fields = Tree::map([("from", self.handle.reference())])
            .with("group_by", self.by.clone())
            .with("group_value", self.value.clone())
            .with("window", self.window.clone())
            .with(verb, Some(body));
        self.handle.table(Some(&table.name), table.add_to(fields))
    }

    fn fold<K: Data, V: Data, A: Data, R: Data>(&self, table: &Materialized, fold: Fold<K, V, A, R>) -> Handle {
        self.table(table, "fold", fold.tree(&self.handle))
    }

    /// A count, which needs no closures.
    fn count(&self, table: &Materialized, subtract: Option<Tree>) -> Handle {
        let fold = Tree::map([("init", Tree::Plain("0".to_owned())), ("add", Tree::text("acc + 1"))]);
        self.table(table, "fold", fold.with("subtract", subtract).with("merge", self.merged_count.clone()))
    }

    fn combine<V: Data>(&self, verb: &str, combine: impl Fn(V, V) -> V + Send + Sync + 'static) -> Tree {
        self.handle.call(verb, "acc, value", of_values(combine))
    }

    /// Aggregates by name, whose rows are to be read as `R`.
    fn named<K: Data, V: Data, R: Data>(&self, table: &Materialized, aggregates: Aggregates<K, V>) -> Handle {
        self.handle.rows_are::<R>(&table.name, &aggregates.row());
        self.table(table, "aggregate", aggregates.tree(&self.handle))
    }
}

/// What groups of streams and of tables come to alike.
macro_rules! grouped {
    ($name:ident) => {
        impl<K: Data, V: Data> $name<K, V> {
            /// What each group comes to, as a fold says. That of a table says how it subtracts.
            pub fn fold<A: Data, R: Data>(
                &self,
                table: impl Into<Materialized>,
                fold: Fold<K, V, A, R>,
            ) -> KTable<K, R> {
                KTable::at(self.group.fold(&table.into(), fold))
            }

            /// Aggregates by name, of a table those that take rows back; `R` has their fields, or
            /// [`build`](super::StreamsBuilder::build) refuses it.
            pub fn aggregate_named<R: Data>(
                &self,
                table: impl Into<Materialized>,
                aggregates: Aggregates<K, V>,
            ) -> KTable<K, R> {
                KTable::at(self.group.named::<K, V, R>(&table.into(), aggregates))
            }
        }
    };
}

grouped!(KGroupedStream);
grouped!(KGroupedTable);

/// A stream whose records are grouped by keys of type `K`. Null keys and null values are dropped and counted.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, SessionWindows, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("numbers");
/// let numbers = builder.stream("in", Consumed::with(Serdes::string(), Serdes::long())).group_by_key();
/// let longs = || Produced::with(Serdes::string(), Serdes::long());
/// numbers.count("counts").to_stream().to("counts", longs());
/// numbers.reduce("largest", i64::max).to_stream().to("largest", longs());
/// let visits = SessionWindows::with_gap(Duration::from_secs(60));
/// numbers
///     .windowed_by_session(visits)
///     .aggregate("sums", || 0, |_, number, sum| sum + number, |_, earlier, later| earlier + later)
///     .to_stream()
///     .to("sums", Produced::with(Serdes::string().windowed(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("in", "a", &3, 0)?;
/// # driver.pipe("in", "a", &2, 1)?;
/// # assert_eq!(driver.read::<String, i64>("counts")?[1], ("a".to_owned(), 2));
/// # assert_eq!(driver.read::<String, i64>("largest")?[1], ("a".to_owned(), 3));
/// # assert_eq!(driver.read::<String, Option<i64>>("sums")?.last(), Some(&("a".to_owned(), Some(5))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KGroupedStream<K, V> {
    pub(super) group: Group,
    types: Types<(K, V)>,
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    pub(super) fn new(handle: Handle, by: Option<Tree>) -> Self {
        KGroupedStream { group: Group::new(handle, by, None), types: PhantomData }
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
        KTable::at(self.group.table(&table.into(), "reduce", self.group.combine("reduce", reduce)))
    }

    /// What each group comes to: `add(key, record, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.fold(table, Fold::new(init, add))
    }

    /// As [`KGroupedStream::aggregate`], with a closure that may fail.
    pub fn try_aggregate<A: Data, E: Display>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> Result<A, E> + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.fold(table, Fold::try_new(init, add))
    }

    /// Groups by windows, too.
    pub fn windowed_by(self, windows: Windows) -> TimeWindowedKStream<K, V> {
        let group = Group { window: Some(windows.tree()), ..self.group };
        WindowedKStream { group, types: PhantomData }
    }

    /// Groups by sessions, too.
    pub fn windowed_by_session(self, windows: SessionWindows) -> SessionWindowedKStream<K, V> {
        let merged_count = Some(Tree::text("acc + other"));
        let group = Group { window: Some(windows.tree()), merged_count, ..self.group };
        WindowedKStream { group, types: PhantomData }
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

/// A grouped stream with windows of the kind `W`.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Emit, Materialized, Produced, Serdes, StreamsBuilder, Windows};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("per-minute");
/// let minute = Duration::from_secs(60);
/// builder
///     .stream("clicks", Consumed::with(Serdes::string(), Serdes::string()))
///     .group_by_key()
///     .windowed_by(Windows::hopping(5 * minute, minute).grace(minute))
///     .count(Materialized::named("counts").retention(60 * minute).emit(Emit::OnClose))
///     .to_stream()
///     .map(|page, count| (format!("{}@{}", page.key, page.end), count))
///     .to("counts", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("clicks", "home", "", 0)?;
/// # driver.pipe("clicks", "home", "", 3_600_000)?;
/// # assert_eq!(driver.read::<String, i64>("counts")?[0], ("home@300000".to_owned(), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowedKStream<K, V, W> {
    group: Group,
    types: Types<(K, V, W)>,
}

/// A grouped stream with windows that never become one.
pub type TimeWindowedKStream<K, V> = WindowedKStream<K, V, Windows>;
/// A grouped stream with sessions.
pub type SessionWindowedKStream<K, V> = WindowedKStream<K, V, SessionWindows>;

impl<K: Data, V: Data, W> WindowedKStream<K, V, W> {
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
        KTable::at(self.group.table(&table.into(), "reduce", self.group.combine("reduce", reduce)).windowed())
    }

    /// What each group comes to in each window, as a fold says; that of sessions says how they merge.
    pub fn fold<A: Data, R: Data>(
        &self,
        table: impl Into<Materialized>,
        fold: Fold<K, V, A, R>,
    ) -> KTable<Windowed<K>, R> {
        KTable::at(self.group.fold(&table.into(), fold).windowed())
    }

    /// Aggregates by name; `R` has their fields, or [`build`](super::StreamsBuilder::build) refuses it.
    pub fn aggregate_named<R: Data>(
        &self,
        table: impl Into<Materialized>,
        aggregates: Aggregates<K, V>,
    ) -> KTable<Windowed<K>, R> {
        KTable::at(self.group.named::<K, V, R>(&table.into(), aggregates).windowed())
    }
}

impl<K: Data, V: Data> TimeWindowedKStream<K, V> {
    /// What each group comes to in each window: `add(key, record, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.fold(table, Fold::new(init, add))
    }
}

impl<K: Data, V: Data> SessionWindowedKStream<K, V> {
    /// What each session comes to: `add(key, record, so far)`, and where a record makes one of two sessions
    /// `merge(key, earlier, later)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        self.fold(table, Fold::new(init, add).merge(merge))
    }
}

/// A table whose rows are grouped by keys of type `K`. When a row changes, what it was is taken from its group, and what
/// it is is added.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("per-team");
/// let teams = builder.table("players", Consumed::with(Serdes::string(), Serdes::string()));
/// let teams = teams.group_by(|_, team| team.clone());
/// teams.count("players-of-teams").to_stream().to("counts", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("players", "ada", "red", 0)?;
/// # driver.pipe("players", "ada", "blue", 1)?;
/// # let counts: Vec<(String, i64)> = driver.read("counts")?;
/// # assert_eq!(counts, [("red".to_owned(), 1), ("red".to_owned(), 0), ("blue".to_owned(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KGroupedTable<K, V> {
    group: Group,
    types: Types<(K, V)>,
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    pub(super) fn new(handle: Handle, by: Tree, value: Option<Tree>) -> Self {
        KGroupedTable { group: Group::new(handle, Some(by), value), types: PhantomData }
    }

    /// How many rows each group has.
    pub fn count(&self, table: impl Into<Materialized>) -> KTable<K, i64> {
        KTable::at(self.group.count(&table.into(), Some(Tree::text("acc - 1"))))
    }

    /// The rows of each group combined: `add(so far, row)`, `subtract(so far, row)`.
    pub fn reduce(
        &self,
        table: impl Into<Materialized>,
        add: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtract: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V> {
        let (add, subtract) = (self.group.combine("add", add), self.group.combine("subtract", subtract));
        let reduce = Tree::map([("add", add), ("subtract", subtract)]);
        KTable::at(self.group.table(&table.into(), "reduce", reduce))
    }

    /// What each group comes to: `add(key, row, so far)`, `subtract(key, row, so far)`.
    pub fn aggregate<A: Data>(
        &self,
        table: impl Into<Materialized>,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        self.fold(table, Fold::new(init, add).subtract(subtract))
    }
}
