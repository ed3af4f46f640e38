//! What the checked plan says of named aggregates; part of [`super::plan`].

use crate::expression::Expression;

/// One of the aggregates of `aggregate:`.
#[derive(Clone, Debug)]
pub struct NamedAggregate {
    /// The field of the result.
    pub name: String,
    /// What is computed.
    pub kind: AggregateKind,
    /// What it is computed over; `None` for `count()`.
    pub argument: Option<Expression>,
}

/// The aggregates. Null arguments are passed over by all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// Records. State and result: int.
    Count,
    /// Records for which the argument holds. State and result: int.
    CountIf,
    /// State and result: the argument's shape (int, uint, double); null before the first.
    Sum,
    /// The smallest argument, null before the first.
    Min,
    /// The largest argument, null before the first.
    Max,
    /// State: {sum: double, count: int}; result: double or null.
    Avg,
    /// The sample standard deviation. State: {count: int, mean: double, squares: double}; result: double or null.
    Stddev,
    /// The first argument in order of processing, null before it.
    First,
    /// The last argument in order of processing, null before it.
    Last,
    /// Up to `limit` arguments, the first ones, in order of processing. State and result: a list.
    Collect {
        /// The most that are kept.
        limit: usize,
    },
    /// Up to `limit` different arguments, the first ones, in order of first appearance. State and result: a list.
    CollectSet {
        /// The most that are kept.
        limit: usize,
    },
    /// The `k` most frequent arguments, most frequent first, ties in order of first appearance.
    /// State: a list of {value, count}; result: a list of values.
    TopK {
        /// How many.
        k: usize,
    },
    /// About how many different arguments there were. State: bytes, null before the first; result: int.
    ApproxDistinct,
    /// About the number at a quantile. State: bytes, null before the first; result: double or null.
    ApproxQuantile {
        /// The quantile, from 0 to 1,000,000.
        millionths: u32,
    },
}
