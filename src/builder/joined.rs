//! Joins of any number of tables at once.

use std::marker::PhantomData;

use super::data::{Data, Types};
use super::options::Materialized;
use super::table::KTable;
use super::yaml::Tree;
use crate::record::{Shape, Text};

/// Tables that are joined by their common key, by the names that their rows have in the joined one. It is one join: no
/// table stands between them, as it does between joins of two.
///
/// ```
/// # use std::sync::Arc;
/// use serde::{Deserialize, Serialize};
/// use signalstream::builder::{Consumed, JoinedTables, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// #[derive(Serialize, Deserialize)]
/// struct Account {
///     name: String,
///     balance: Option<i64>,
///     limit: Option<i64>,
/// }
///
/// let builder = StreamsBuilder::new("accounts");
/// let names = builder.table("names", Consumed::with(Serdes::string(), Serdes::string()));
/// let longs = || Consumed::with(Serdes::string(), Serdes::long());
/// let (balances, limits) = (builder.table("balances", longs()), builder.table("limits", longs()));
/// JoinedTables::left("name", &names)
///     .and("balance", &balances)
///     .and("limit", &limits)
///     .join::<Account>("accounts")
///     .map_values(|account| account.balance.unwrap_or(0) + account.limit.unwrap_or(0))
///     .to_stream()
///     .to("left-to-spend", Produced::with(Serdes::string(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("names", "a1", "Ada", 0)?;
/// # driver.pipe("limits", "a1", &100, 1)?;
/// # driver.pipe("balances", "a1", &5, 2)?;
/// # let left: Vec<(String, i64)> = driver.read("left-to-spend")?;
/// # assert_eq!(left.iter().map(|(_, left)| *left).collect::<Vec<_>>(), [0, 100, 105]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinedTables<K> {
    kind: &'static str,
    first: super::handle::Handle,
    inputs: Tree,
    row: Vec<(Text, Shape)>,
    types: Types<K>,
}

impl<K: Data> JoinedTables<K> {
    /// Rows where all have one.
    pub fn inner<V: Data>(name: &str, table: &KTable<K, V>) -> Self {
        JoinedTables::of("inner", name, table)
    }

    /// Rows where the first table has one; those of the others may be missing.
    pub fn left<V: Data>(name: &str, table: &KTable<K, V>) -> Self {
        JoinedTables::of("left", name, table)
    }

    /// Rows where any has one; any may be missing.
    pub fn outer<V: Data>(name: &str, table: &KTable<K, V>) -> Self {
        JoinedTables::of("outer", name, table)
    }

    fn of<V: Data>(kind: &'static str, name: &str, table: &KTable<K, V>) -> Self {
        let first = table.handle.clone();
        let empty = JoinedTables { kind, first, inputs: Tree::map([]), row: Vec::new(), types: PhantomData };
        empty.and(name, table)
    }

    /// Another table, and the name of its rows.
    pub fn and<V: Data>(mut self, name: &str, table: &KTable<K, V>) -> Self {
        let there = self.kind == "inner" || self.kind == "left" && self.row.is_empty();
        let shape = if there { V::shape() } else { V::shape().optional() };
        self.inputs.insert(name, table.handle.reference());
        self.row.push((Text::from(name), shape));
        self
    }

    /// The joined table. `R` is a struct with a field for each table, or [`build`](super::StreamsBuilder::build) refuses it.
    pub fn join<R: Data>(&self, table: impl Into<Materialized>) -> KTable<K, R> {
        let table = table.into();
        self.first.rows_are::<R>(&table.name, &Shape::structure("", self.row.iter().cloned()));
        let join = Tree::map([("kind", Tree::text(self.kind)), ("inputs", self.inputs.clone())]);
        let fields = Tree::map([("join", join)]);
        KTable::at(self.first.table(Some(&table.name), table.add_to(fields)))
    }
}
