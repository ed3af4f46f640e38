//! Streams and tables: what they are made from.

use super::OnErrorSpec;
use super::joins::JoinSpec;
use super::lower::{Name, Named, mapping};
use super::scalars::{AggregateCall, Formula, Millis, Nothing, Template};
use super::steps::StepSpec;
use super::topics::Origins;
use super::windows::{EmitSpec, SuppressSpec, WindowSpec};

mapping! {
    /// A stream: one of `from`, `merge` or `join`, then steps.
    StreamSpec = "a stream" {
        /// The source or stream whose records it takes, or a list of them; a table, if the first step is `to_stream`.
        optional from: Origins,
        /// The streams whose records it takes, as they come.
        optional merge: Vec<Name>,
        /// Two streams that are joined, or a stream (the first input) that looks up a table (the second).
        optional join: JoinSpec,
        /// The value of a joined record; in scope are the inputs by their aliases, `key` and `timestamp`.
        optional map_values: Template,
        /// What is done to each record, in order.
        optional steps: Vec<StepSpec>,
        /// What happens to a record on which a step fails.
        optional on_error: OnErrorSpec,
    }
    later []
}

mapping! {
    /// A table: `from` or `join`, then what makes a table of it.
    TableSpec = "a table" {
        /// The stream, source or table that it is made from, or a list of streams and sources.
        optional from: Origins,
        /// What is done to each record before that.
        optional steps: Vec<StepSpec>,
        /// The key to group by; the current key if not given. On a table, the group of each row.
        optional group_by: Formula,
        /// What each row of a table is in its group; the row itself if not given.
        optional group_value: Template,
        /// The windows to group by.
        optional window: WindowSpec,
        /// Aggregates by the names of their fields in the result.
        optional aggregate: Named<AggregateCall>,
        /// Combines the result so far (`acc`) with each next value (`value`). On a grouped table `{add, subtract}`.
        optional reduce: Template,
        /// Builds up a state from the records of each key.
        optional fold: FoldSpec,
        /// Builds up one state from the records of several streams.
        optional cogroup: CogroupSpec,
        /// The last value of each key. This is what a table made from a stream is when nothing else is said.
        optional to_table: Nothing,
        /// Tables that are joined by their common key.
        optional join: JoinSpec,
        /// The value of each row. After a join, the inputs are in scope by their aliases.
        optional map_values: Template,
        /// Which rows stay; it sees the value after `map_values`.
        optional filter: Formula,
        /// Which rows go; it sees the value after `map_values`.
        optional filter_not: Formula,
        /// When changes are handed on.
        optional emit: EmitSpec,
        /// Holds changes back, after all else.
        optional suppress: SuppressSpec,
        /// How rows are stored. A table with a store may be left without readers: it serves queries.
        optional store: StoreSpecification,
        /// What happens to a record on which an expression fails.
        optional on_error: OnErrorSpec,
    }
    later []
}

mapping! {
    /// Builds up a state from the records of each key.
    FoldSpec = "a fold" {
        /// The state before the first record.
        required init: Template,
        /// The state after a record: `acc` is the state before it.
        required add: Template,
        /// The state without a row that left its group: `acc` is the state before. For grouped tables.
        optional subtract: Template,
        /// An agent that is asked after each record; its answer goes into the state.
        optional call: FoldCallSpec,
        /// The state of two sessions that a record joins: `acc` is that of the earlier, `other` that of the later one.
        optional merge: Template,
        /// The row, of the state `acc`; the state itself if not given.
        optional result: Template,
    }
    later []
}

mapping! {
    /// Builds up one state from the records of several streams.
    CogroupSpec = "a cogroup" {
        /// The streams by names of their own.
        required inputs: Named<CogroupInputSpec>,
        /// The state before the first record of a key; `key` is in scope.
        required init: Template,
        /// The state of two sessions that a record joins: `acc` is that of the earlier, `other` that of the later one.
        optional merge: Template,
        /// The row, of the state `acc`; the state itself if not given.
        optional result: Template,
    }
    later []
}

mapping! {
    /// A stream whose records go into a cogroup.
    CogroupInputSpec = "an input of a cogroup" {
        /// The stream or source.
        required from: Name,
        /// The key to group by; the current key if not given.
        optional group_by: Formula,
        /// The state after a record: `acc` is the state before it.
        required add: Template,
    }
    later []
}

mapping! {
    /// An agent that is asked after each record of a fold.
    FoldCallSpec = "a call" {
        /// The agent.
        required agent: Name,
        /// What it is asked; `acc` is the state after `add`.
        required input: Template,
        /// The field of the state that takes the answer.
        required into: Name,
    }
    later ["retry", "timeout", "on_failure", "max_in_flight", "ordered"]
}

mapping! {
    /// How the rows of a table are stored.
    StoreSpecification = "a store" {
        /// The store's name; the table's if not given.
        optional name: Name,
        /// How long windows are kept; at least as long as late records may need them, which is the default.
        optional retention: Millis,
        /// Keeps the versions of each row for this long, for lookups as of a time.
        optional versioned: Millis,
    }
    later ["history", "changelog", "caching", "kind"]
}
