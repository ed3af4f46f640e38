//! Which fields of a value a plan uses, so that a decoder can pass over the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{StructValue, Value};

/// The part of a value that somebody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// The whole value.
    All,
    /// Only these fields, and of each only this part. Empty: nothing of the value is used.
    Some(BTreeMap<String, Fields>),
}

impl Fields {
    /// Nothing is used.
    pub fn none() -> Self {
        Fields::Some(BTreeMap::new())
    }

    /// Only what stands at the end of `path`, whole. An empty path is the whole value.
    pub fn path(path: &[&str]) -> Self {
        match path {
            [] => Fields::All,
            [first, rest @ ..] => Fields::Some(BTreeMap::from([((*first).to_owned(), Fields::path(rest))])),
        }
    }

    /// Adds what `other` uses.
    pub fn merge(&mut self, other: &Fields) {
        match (&mut *self, other) {
            (Fields::All, _) => {}
            (_, Fields::All) => *self = Fields::All,
            (Fields::Some(mine), Fields::Some(theirs)) => {
                for (name, fields) in theirs {
                    mine.entry(name.clone()).or_insert_with(Fields::none).merge(fields);
                }
            }
        }
    }

    /// The part of the field `name` that is used; `None` when it is not used at all.
    pub fn of(&self, name: &str) -> Option<&Fields> {
        match self {
            Fields::All => Some(&Fields::All),
            Fields::Some(fields) => fields.get(name),
        }
    }
}

impl Value {
    /// The same with only this part of it: other fields are null, and other entries of maps are not there. Elements of lists
    /// all have the same part.
    pub fn restricted(&self, fields: &Fields) -> Value {
        let Fields::Some(names) = fields else { return self.clone() };
        match self {
            Value::Struct(value) => {
                let values = value
                    .iter()
                    .map(|(name, value)| names.get(&**name).map_or(Value::Null, |fields| value.restricted(fields)));
                Value::Struct(StructValue::new(Arc::clone(value.shape()), values.collect()))
            }
            Value::Map(map) => {
                let kept =
                    map.iter().filter_map(|(name, value)| Some((name.clone(), value.restricted(names.get(&**name)?))));
                Value::Map(Arc::new(kept.collect()))
            }
            Value::List(elements) => Value::List(elements.iter().map(|element| element.restricted(fields)).collect()),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Shape, Text};

    #[test]
    fn the_whole_swallows_its_parts() {
        let mut fields = Fields::path(&["sentiment", "label"]);
        fields.merge(&Fields::path(&["tenant_id"]));
        assert_eq!(fields.of("sentiment").and_then(|sentiment| sentiment.of("label")), Some(&Fields::All));
        assert_eq!(fields.of("message"), None);
        fields.merge(&Fields::path(&["sentiment"]));
        assert_eq!(fields.of("sentiment"), Some(&Fields::All));
        fields.merge(&Fields::All);
        assert_eq!(fields, Fields::All);
    }

    #[test]
    fn a_value_is_restricted_to_the_part_that_is_used() {
        let Shape::Struct(shape) = Shape::structure("", [("a", Shape::Int), ("b", Shape::Int)]) else { unreachable!() };
        let pair = |b: Value| Value::Struct(StructValue::new(Arc::clone(&shape), vec![Value::Int(1), b].into()));
        let map = |entries: &[(&'static str, Value)]| {
            Value::Map(Arc::new(entries.iter().map(|(name, value)| (Text::from_static(name), value.clone())).collect()))
        };
        let value = map(&[("list", Value::list(vec![pair(Value::Int(2))])), ("other", Value::Int(3))]);
        assert_eq!(value.restricted(&Fields::All), value);
        let part = map(&[("list", Value::list(vec![pair(Value::Null)]))]);
        assert_eq!(value.restricted(&Fields::path(&["list", "a"])), part);
        assert_eq!(value.restricted(&Fields::none()), map(&[]));
    }
}
