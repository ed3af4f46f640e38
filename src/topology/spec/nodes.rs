//! Streams and tables: what they are made from.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::OnErrorSpec;
use super::lower::{Lower, Name, Named, choice, mapping};
use super::scalars::{AggregateCall, Formula, Millis, Nothing, Template, refuse_word};
use super::steps::StepSpec;
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems};

mapping! {
    /// A stream: one of `from`, `merge` or `join`, then steps.
    StreamSpec = "a stream" {
        /// The source or stream whose records it takes; a table, if the first step is `to_stream`.
        optional from: Name,
        /// The streams whose records it takes, as they come.
        optional merge: Vec<Name>,
        /// A stream (the first input) that looks up a table (the second).
        optional join: JoinSpec,
        /// The value of a joined record; in scope are the inputs by their aliases, `key` and `timestamp`.
        optional map_values: Template,
        /// What is done to each record, in order.
        optional steps: Vec<StepSpec>,
        /// What happens to a record on which a step fails.
        optional on_error: OnErrorSpec,
    }
    later ["cogroup"]
}

mapping! {
    /// A table: `from` or `join`, then what makes a table of it.
    TableSpec = "a table" {
        /// The stream, source or table that it is made from.
        optional from: Name,
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
        /// How rows are stored. A table with a store may be left without readers: it serves queries.
        optional store: StoreSpecification,
        /// What happens to a record on which an expression fails.
        optional on_error: OnErrorSpec,
    }
    later ["suppress"]
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
        /// The row, of the state `acc`; the state itself if not given.
        optional result: Template,
    }
    later ["merge"]
}

mapping! {
    /// Builds up one state from the records of several streams.
    CogroupSpec = "a cogroup" {
        /// The streams by names of their own.
        required inputs: Named<CogroupInputSpec>,
        /// The state before the first record of a key; `key` is in scope.
        required init: Template,
        /// The row, of the state `acc`; the state itself if not given.
        optional result: Template,
    }
    later ["merge"]
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

choice! {
    /// Which rows a join has.
    JoinKindSpec = "a kind of join" {
        /// Those for which all inputs have a value.
        Inner = "inner",
        /// Those for which the first input has a value; the others may be null.
        Left = "left",
        /// Those for which any input has a value; all may be null.
        Outer = "outer",
    }
    later ["right", "cross"]
}

mapping! {
    /// Joins inputs by their common key.
    JoinSpec = "a join" {
        /// Which rows there are; `inner` if not given.
        optional kind: JoinKindSpec,
        /// The inputs by their aliases.
        required inputs: Named<Name>,
        /// How long a record of the stream waits for a versioned table to be complete.
        optional grace: Millis,
    }
    later ["within", "on"]
}

mapping! {
    /// How the rows of a table are stored.
    StoreSpecification = "a store" {
        /// The store's name; the table's if not given.
        optional name: Name,
        /// How long windows are kept; at least size + grace, which is the default.
        optional retention: Millis,
        /// Keeps the versions of each row for this long, for lookups as of a time.
        optional versioned: Millis,
    }
    later ["history", "changelog", "caching", "kind"]
}

/// When the changes of a table are handed on.
#[derive(Clone, Debug)]
pub(crate) struct EmitSpec {
    /// Whether only once a window has closed.
    pub(crate) on_close: bool,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for EmitSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar().map(|scalar| scalar.text.as_str()) {
            Some("on_update") => Some(EmitSpec { on_close: false, span: node.place() }),
            Some("on_close") => Some(EmitSpec { on_close: true, span: node.place() }),
            _ => {
                refuse_word(node, "a way to emit", &["on_update", "on_close"], &["every"], problems);
                None
            }
        }
    }
}

impl JsonSchema for EmitSpec {
    fn schema_name() -> Cow<'static, str> {
        "Emit".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "When changes are handed on.",
            "oneOf": [
                {"const": "on_update", "description": "At each update; with caching on, once per key and commit."},
                {"const": "on_close", "description": "Once, when the window and its grace period have passed."}
            ]
        })
    }
}

mapping! {
    /// Windows that follow each other without overlap.
    TumblingSpec = "a tumbling window" {
        /// How long a window is.
        required tumbling: Millis,
        /// How long after its end a window still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// The size of hopping windows.
    HoppingSize = "hopping" {
        /// How long a window is.
        required size: Millis,
        /// The time from the start of a window to the start of the next.
        required advance: Millis,
    }
    later []
}

mapping! {
    /// Windows that start at fixed intervals and may overlap.
    HoppingSpec = "a hopping window" {
        /// Their size and advance.
        required hopping: HoppingSize,
        /// How long after its end a window still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

/// The windows of an aggregation.
#[derive(Clone, Debug)]
pub(crate) struct WindowSpec {
    /// How long a window is.
    pub(crate) size: Millis,
    /// The time between starts; the size, where windows tumble.
    pub(crate) advance: Option<Millis>,
    /// How long after its end a window still takes late records.
    pub(crate) grace: Option<Millis>,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for WindowSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        for kind in ["sliding", "session", "unlimited"] {
            if let Content::Mapping(entries) = &node.content
                && let Some((key, _)) = entries.iter().find(|(key, _)| key.text == kind)
            {
                problems.report(Diagnostic::new(key.span.clone(), format!("`{kind}` windows are not supported yet")));
                return None;
            }
        }
        if node.get("tumbling").is_some() {
            let spec = TumblingSpec::lower(node, problems)?;
            Some(WindowSpec { size: spec.tumbling, advance: None, grace: spec.grace, span: spec.span })
        } else if node.get("hopping").is_some() {
            let spec = HoppingSpec::lower(node, problems)?;
            let (size, advance) = (spec.hopping.size, Some(spec.hopping.advance));
            Some(WindowSpec { size, advance, grace: spec.grace, span: spec.span })
        } else {
            refuse_word(node, "a window", &["tumbling", "hopping"], &["sliding", "session", "unlimited"], problems);
            None
        }
    }
}

impl JsonSchema for WindowSpec {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = [generator.subschema_for::<TumblingSpec>(), generator.subschema_for::<HoppingSpec>()];
        schemars::json_schema!({"description": "The windows of an aggregation.", "anyOf": kinds})
    }
}
