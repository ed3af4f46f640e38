//! Tables: the last value of each key.

use std::fmt::Display;

use super::data::Data;
use super::function::{of_keyed, of_record, of_value, of_values, try_of_record, try_of_value};
use super::grouped::KGroupedTable;
use super::handle::{Handle, named, typed};
use super::joins::Join;
use super::options::{Materialized, Suppressed};
use super::stream::KStream;
use super::yaml::Tree;
use crate::expression::NativeFunction;

typed! {
    /// A table with keys of type `K` and rows of type `V`. What it hands on are changes; closures never see a deletion,
    /// which stays one.
    ///
    /// A table that is joined, and has no store yet, gets one, named after it: give it a name ([`KTable::named`]), so that
    /// its changelog keeps it. [`build`](super::StreamsBuilder::build) refuses a store without a name of its own.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
    /// # use signalstream::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new("balances");
    /// let longs = || Consumed::with(Serdes::string(), Serdes::long());
    /// let balances = builder.table("balances", longs());
    /// let limits = builder.table("limits", longs()).filter(|_, limit| *limit > 0).named("real-limits");
    /// balances
    ///     .left_join(&limits, "left-to-spend", |balance, limit| balance + limit.unwrap_or(0))
    ///     .to_stream()
    ///     .to("left", Produced::with(Serdes::string(), Serdes::long()));
    /// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
    /// # driver.pipe("limits", "ada", &100, 0)?;
    /// # driver.pipe("balances", "ada", &5, 1)?;
    /// # assert_eq!(driver.read::<String, i64>("left")?, [("ada".to_owned(), 105)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    KTable
}

named! {
    /// Names the table. Its store, if it gets one, is named after it.
    KTable
}

typed! {
    /// A table of which every process keeps all rows. Streams look it up, by any key:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder};
    /// # use signalstream::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new("regions");
    /// let names = builder.global_table("regions", Consumed::with(Serdes::long(), Serdes::string()));
    /// builder
    ///     .stream("orders", Consumed::with(Serdes::string(), Serdes::long()))
    ///     .join_global(&names, "placed", |_, region| *region, |_, name: String| name)
    ///     .to("placed", Produced::with(Serdes::string(), Serdes::string()));
    /// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
    /// # driver.pipe("regions", &7, "North", 0)?;
    /// # driver.pipe("orders", "o1", &7, 1)?;
    /// # assert_eq!(driver.read::<String, String>("placed")?, [("o1".to_owned(), "North".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    GlobalKTable
}

impl<K: Data, V: Data> KTable<K, V> {
    /// The rows for which the condition holds. One that passes no more is deleted.
    pub fn filter(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        KTable::at(self.handle.derived("filter", self.handle.call_with_key("filter", of_record(condition))))
    }

    /// The rows for which the condition does not hold.
    pub fn filter_not(&self, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        KTable::at(self.handle.derived("filter_not", self.handle.call_with_key("filter_not", of_record(condition))))
    }

    /// As [`KTable::filter`], with a condition that may fail.
    pub fn try_filter<E: Display>(
        &self,
        condition: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> Self {
        KTable::at(self.handle.derived("filter", self.handle.call_with_key("filter", try_of_record(condition))))
    }

    /// A new value for each row.
    pub fn map_values<R: Data>(&self, map: impl Fn(V) -> R + Send + Sync + 'static) -> KTable<K, R> {
        KTable::at(self.handle.derived("map_values", self.handle.call("map_values", "value", of_value(map))))
    }

    /// As [`KTable::map_values`], with a closure that may fail.
    pub fn try_map_values<R: Data, E: Display>(
        &self,
        map: impl Fn(V) -> Result<R, E> + Send + Sync + 'static,
    ) -> KTable<K, R> {
        KTable::at(self.handle.derived("map_values", self.handle.call("map_values", "value", try_of_value(map))))
    }

    /// A new value for each row, which depends on the key too.
    pub fn map_values_with_key<R: Data>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KTable<K, R> {
        KTable::at(self.handle.derived("map_values", self.handle.call_with_key("map_values", of_keyed(map))))
    }

    /// Keeps the rows in a store.
    pub fn materialize(&self, store: &str) -> Self {
        KTable::at(self.handle.derived("store", Tree::map([("name", Tree::text(store))])))
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
        let key = self.handle.call_with_key("group_by", of_record(key));
        KGroupedTable::new(self.handle.clone().rekeyed(), key, None)
    }

    /// Groups rows by another key, and says what each is in its group.
    pub fn group_by_value<K2: Data, R: Data>(
        &self,
        key: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        value: impl Fn(&K, V) -> R + Send + Sync + 'static,
    ) -> KGroupedTable<K2, R> {
        let key = self.handle.call_with_key("group_by", of_record(key));
        let value = self.handle.call_with_key("group_value", of_keyed(value));
        KGroupedTable::new(self.handle.clone().rekeyed(), key, Some(value))
    }

    /// The rows of both tables that have one key.
    pub fn join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(V, O) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("inner", &other.handle, &table.into(), Tree::map([]), of_values(join))
    }

    /// The rows of this table, each with the other's of its key, if there is one.
    pub fn left_join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(V, Option<O>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("left", &other.handle, &table.into(), Tree::map([]), of_values(join))
    }

    /// The rows of both tables, those of one key together.
    pub fn outer_join<O: Data, R: Data>(
        &self,
        other: &KTable<K, O>,
        table: impl Into<Materialized>,
        join: impl Fn(Option<V>, Option<O>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.joined("outer", &other.handle, &table.into(), Tree::map([]), of_values(join))
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
        self.joined("inner", &other.handle, &table.into(), on, of_values(join))
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
        self.joined("left", &other.handle, &table.into(), on, of_values(join))
    }

    fn named_by<FK: Data>(&self, foreign_key: impl Fn(&V) -> FK + Send + Sync + 'static) -> Tree {
        let foreign_key = of_value(move |row: V| foreign_key(&row));
        Tree::map([("on", self.handle.call("on", "left", foreign_key))])
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
}
