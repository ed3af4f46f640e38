//! Aggregates by name: what the engine computes by itself, each of what a closure gives.

use std::marker::PhantomData;

use super::data::{Data, Types};
use super::function::of_record;
use super::handle::Handle;
use super::yaml::Tree;
use crate::expression::NativeFunction;
use crate::record::Shape;

/// Aggregates of records with keys of type `K` and values of type `V`, side by side: the fields of the row. Each passes
/// over what its closure gives as `None`. Their states are bounded, those of sessions merge by themselves, and `count`,
/// `count_if`, `sum`, `avg` and `stddev` take rows back from the groups of a table.
///
/// ```
/// # use std::sync::Arc;
/// use serde::{Deserialize, Serialize};
/// use signalstream::builder::{Aggregates, Consumed, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     product: String,
///     amount: f64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Spent {
///     orders: i64,
///     large: i64,
///     mean: Option<f64>,
///     products: Vec<String>,
/// }
///
/// let builder = StreamsBuilder::new("spent");
/// let spent = Aggregates::new()
///     .count("orders")
///     .count_if("large", |_: &String, order: &Order| order.amount > 100.0)
///     .avg("mean", |_, order| order.amount)
///     .top_k("products", 3, |_, order| order.product.clone());
/// builder
///     .stream("orders", Consumed::with(Serdes::string(), Serdes::json::<Order>()))
///     .group_by_key()
///     .aggregate_named::<Spent>("spent", spent)
///     .to_stream()
///     .to("spent", Produced::with(Serdes::string(), Serdes::json()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # for amount in [50.0, 150.0] {
/// #     driver.pipe("orders", "ada", &Order { product: "tea".to_owned(), amount }, 0)?;
/// # }
/// # let spent: Vec<(String, Spent)> = driver.read("spent")?;
/// # let last = &spent[1].1;
/// # assert_eq!((last.orders, last.large, last.mean, last.products.len()), (2, 1, Some(100.0), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Aggregates<K, V> {
    aggregates: Vec<Aggregate>,
    types: Types<(K, V)>,
}

/// A field of the row.
struct Aggregate {
    field: String,
    name: &'static str,
    of: Option<NativeFunction>,
    limit: Option<String>,
}

macro_rules! of_numbers_or_any {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub fn $name<X: Data>(self, field: &str, of: impl Fn(&K, &V) -> X + Send + Sync + 'static) -> Self {
            self.add(field, stringify!($name), Some(of_record(of)), None)
        }
    )*};
}

macro_rules! limited {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub fn $name<X: Data>(
            self,
            field: &str,
            limit: u16,
            of: impl Fn(&K, &V) -> X + Send + Sync + 'static,
        ) -> Self {
            self.add(field, stringify!($name), Some(of_record(of)), Some(limit.to_string()))
        }
    )*};
}

impl<K: Data, V: Data> Default for Aggregates<K, V> {
    fn default() -> Self {
        Aggregates::new()
    }
}

impl<K: Data, V: Data> Aggregates<K, V> {
    /// None yet.
    pub fn new() -> Self {
        Aggregates { aggregates: Vec::new(), types: PhantomData }
    }

    /// How many records there are: an `i64`.
    pub fn count(self, field: &str) -> Self {
        self.add(field, "count", None, None)
    }

    /// For how many records the condition holds: an `i64`.
    pub fn count_if(self, field: &str, condition: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.add(field, "count_if", Some(of_record(condition)), None)
    }

    of_numbers_or_any! {
        /// The sum of numbers: an `Option<i64>` or `Option<f64>`, as they are. An overflow is an error of the record.
        sum
        /// The least one, of anything that has an order: an `Option`.
        min
        /// The greatest one, of anything that has an order: an `Option`.
        max
        /// The mean of numbers: an `Option<f64>`.
        avg
        /// The standard deviation of numbers, as of a sample: an `Option<f64>`, `None` for one number, too.
        stddev
        /// The first one, in the order of processing: an `Option`.
        first
        /// The last one, in the order of processing: an `Option`.
        last
        /// How many different ones there are: an `i64`, exact up to 256, then with a standard error of 1.6%.
        approx_distinct
    }

    limited! {
        /// The first ones, at most `limit`, 1 to 10,000: a list.
        collect
        /// The first different ones, at most `limit`, 1 to 10,000: a list.
        collect_set
        /// The most frequent ones, at most `limit`, 1 to 10,000: a list, the most frequent first.
        top_k
    }

    /// The number at a quantile from 0 to 1, at most 1% away from it: an `Option<f64>`. 0.5 is the median.
    pub fn approx_quantile<X: Data>(
        self,
        field: &str,
        quantile: f64,
        of: impl Fn(&K, &V) -> X + Send + Sync + 'static,
    ) -> Self {
        self.add(field, "approx_quantile", Some(of_record(of)), Some(quantile.to_string()))
    }

    fn add(mut self, field: &str, name: &'static str, of: Option<NativeFunction>, limit: Option<String>) -> Self {
        self.aggregates.push(Aggregate { field: field.to_owned(), name, of, limit });
        self
    }

    /// What the rows are, as far as it is known before the topology is planned.
    pub(super) fn row(&self) -> Shape {
        let shape = |aggregate: &Aggregate| match (aggregate.name, &aggregate.of) {
            ("count" | "count_if" | "approx_distinct", _) => Shape::Int,
            ("avg" | "stddev" | "approx_quantile", _) => Shape::Double.optional(),
            ("collect" | "collect_set" | "top_k", Some(of)) => Shape::list(of.result().required().clone()),
            (_, Some(of)) => of.result().clone().optional(),
            (_, None) => Shape::Any,
        };
        Shape::structure("", self.aggregates.iter().map(|one| (one.field.as_str(), shape(one))))
    }

    /// The field of the table.
    pub(super) fn tree(self, handle: &Handle) -> Tree {
        let mut fields = Tree::map([]);
        for Aggregate { field, name, of, limit } in self.aggregates {
            let aggregate = match of {
                Some(of) => {
                    let call = Box::new(handle.call_with_key(&format!("aggregate_{field}"), of));
                    Tree::Aggregate { name, call, limit }
                }
                None => Tree::aggregate(name, "", None),
            };
            fields.insert(&field, aggregate);
        }
        fields
    }
}
