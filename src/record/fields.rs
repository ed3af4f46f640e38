//! Which fields of a value a plan uses, so that a decoder can pass over the others.

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
