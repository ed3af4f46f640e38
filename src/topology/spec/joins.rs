//! Joins: what is joined, and how far apart.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::lower::{Lower, Name, Named, choice, mapping};
use super::scalars::{Formula, Millis};
use crate::yaml::{Content, Node, Problems, Span};

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
        /// How far apart the records of two streams may lie.
        optional within: WithinSpec,
        /// The key that is looked up in a global table, of the stream's value by its alias; the stream's key if not
        /// given. Of two tables: the key of the second one, of the first one's value by its alias; both have the same
        /// keys if not given.
        optional on: Formula,
        /// How long a record of the stream waits for a versioned table to be complete.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// Where a record of the second stream may lie, seen from one of the first.
    WithinBounds = "within" {
        /// How far before it; 0s if not given.
        optional before: Millis,
        /// How far after it; 0s if not given.
        optional after: Millis,
        /// How much longer a join waits for matches that come late; 0s if not given.
        optional grace: Millis,
    }
    later []
}

/// How far apart the records of two streams may lie.
#[derive(Clone, Debug)]
pub(crate) struct WithinSpec {
    /// How far before a record of the first stream one of the second may lie.
    pub(crate) before: Option<Millis>,
    /// How far after it.
    pub(crate) after: Option<Millis>,
    /// How much longer matches that come late are waited for.
    pub(crate) grace: Option<Millis>,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Lower for WithinSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.content, Content::Mapping(_)) {
            let WithinBounds { before, after, grace, span } = WithinBounds::lower(node, problems)?;
            return Some(WithinSpec { before, after, grace, span });
        }
        let distance = Millis::lower(node, problems)?;
        Some(WithinSpec { before: Some(distance.clone()), after: Some(distance), grace: None, span: node.place() })
    }
}

impl JsonSchema for WithinSpec {
    fn schema_name() -> Cow<'static, str> {
        "Within".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ways = [generator.subschema_for::<Millis>(), generator.subschema_for::<WithinBounds>()];
        schemars::json_schema!({
            "description": "How far apart the records of two streams may lie: a duration, in both directions, or bounds.",
            "anyOf": ways
        })
    }
}
