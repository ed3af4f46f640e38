//! From the tree to typed definitions, and from the same definitions to the language's documentation.
//!
//! [`mapping!`], [`choice!`] and [`verbs!`] take one annotated definition and make three things of it: the
//! Rust type, its lowering from a [`Node`] with all mistakes collected, and its JSON Schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::yaml::{Content, Key, Node, Span};
use crate::yaml::{Diagnostic, Problems, list, nearest};

/// What can be read from a piece of the file.
pub(crate) trait Lower: Sized + JsonSchema {
    /// Reads it. `None`: it cannot be used; the reason has been reported.
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self>;
}

impl<T: Lower> Lower for Box<T> {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::lower(node, problems).map(Box::new)
    }
}

/// A list of things; one that cannot be read is left out, after the report.
impl<T: Lower> Lower for Vec<T> {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.content {
            Content::Sequence(items) => Some(items.iter().filter_map(|item| T::lower(item, problems)).collect()),
            _ => {
                let message = format!("expected a list, found {}", node.kind());
                problems.report(Diagnostic::new(node.place(), message).help("write `- ` before each element"));
                None
            }
        }
    }
}

/// A name chosen by the author, where it is defined or referred to.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// The name.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) span: Span,
}

/// Things by name, in order. `None`: the thing could not be read; its name counts as defined nevertheless.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(Name, Option<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T> Named<T> {
    /// The things that could be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &T)> {
        self.0.iter().filter_map(|(name, thing)| thing.as_ref().map(|thing| (name, thing)))
    }
}

impl<T: Lower> Lower for Named<T> {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, "names", problems)?;
        let things = entries.iter().map(|(key, value)| {
            let name = Name { text: key.text.clone(), span: key.span.clone() };
            check_name(&name, problems);
            (name, T::lower(value, problems))
        });
        Some(Named(things.collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let element = generator.subschema_for::<T>();
        schemars::json_schema!({"type": "object", "additionalProperties": element,
            "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"}})
    }
}

/// Reports a name with characters that topics cannot have.
pub(crate) fn check_name(name: &Name, problems: &mut Problems) {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.text.is_empty()
        || name.text.len() > 200
        || !name.text.chars().all(legal)
        || name.text.chars().all(|c| c == '.')
    {
        let message = format!("`{}` is not a name", name.text);
        let help = "use letters, digits, `.`, `_` and `-`, at most 200 of them";
        problems.report(Diagnostic::new(name.span.clone(), message).help(help));
    }
}

/// The keys and values of a mapping; anything else is reported. Nothing at all counts as an empty mapping.
pub(crate) fn entries<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a [(Key, Node)]> {
    match &node.content {
        Content::Mapping(entries) => Some(entries),
        _ if node.is_null() => Some(&[]),
        _ => {
            let message = format!("expected a mapping of {what}, found {}", node.kind());
            problems.report(Diagnostic::new(node.place(), message).help("write `field: value` pairs"));
            None
        }
    }
}

/// What a mapping may hold.
pub(crate) struct Definition {
    /// What it defines, with its article: `a source`.
    pub(crate) what: &'static str,
    /// The fields, and whether they must be there.
    pub(crate) fields: &'static [(&'static str, bool)],
    /// Fields of the language that this version does not know yet.
    pub(crate) later: &'static [&'static str],
}

/// The entries of a mapping whose keys have been checked against its definition.
pub(crate) struct Fields<'a>(&'a [(Key, Node)]);

impl<'a> Fields<'a> {
    /// Checks the keys of a mapping.
    pub(crate) fn of(node: &'a Node, definition: &Definition, problems: &mut Problems) -> Option<Self> {
        let what = definition.what;
        let entries = entries(node, &format!("the fields of {what}"), problems)?;
        for (key, _) in entries {
            if definition.fields.iter().any(|(name, _)| *name == key.text) {
                continue;
            }
            if definition.later.contains(&key.text.as_str()) {
                let message = format!("`{}` is not supported yet", key.text);
                problems.report(Diagnostic::new(key.span.clone(), message));
                continue;
            }
            let names: Vec<&str> = definition.fields.iter().map(|(name, _)| *name).collect();
            let help = match nearest(&key.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{what} has {}", list(&names)),
            };
            let message = format!("{what} has no field `{}`", key.text);
            problems.report(Diagnostic::new(key.span.clone(), message).help(help));
        }
        for (name, required) in definition.fields {
            if *required && !entries.iter().any(|(key, _)| key.text == *name) {
                problems.report(Diagnostic::new(node.place(), format!("{what} needs `{name}`")));
            }
        }
        Some(Fields(entries))
    }

    /// Reads one field, if it is there.
    pub(crate) fn get<T: Lower>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        let (_, node) = self.0.iter().find(|(key, _)| key.text == name)?;
        T::lower(node, problems)
    }
}

/// The lines of a doc comment as one text.
pub(crate) fn documentation(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The JSON Schema of a mapping.
pub(crate) fn object(description: String, fields: Vec<(&str, bool, String, Schema)>) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, is_required, description, mut schema) in fields {
        if !description.is_empty() {
            schema.insert("description".to_owned(), description.into());
        }
        properties.insert(name.to_owned(), schema.to_value());
        if is_required {
            required.push(name.to_owned());
        }
    }
    let mut schema = schemars::json_schema!({"type": "object", "additionalProperties": false});
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !description.is_empty() {
        schema.insert("description".to_owned(), description.into());
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

/// Defines a mapping: its fields with their documentation, whether they must be there, and their types. Without a
/// `required` field the whole cannot be used; an `expected` one must be there too, but the rest is still checked.
macro_rules! mapping {
    (
        $(#[doc = $doc:literal])*
        $name:ident = $what:literal {
            $( $(#[doc = $field_doc:literal])* $presence:ident $field:ident : $type:ty, )*
        }
        later [ $($later:literal),* ]
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            /// Where it stands: what to point at when the whole is meant.
            #[allow(dead_code, reason = "not every definition can be wrong as a whole")]
            pub(crate) span: $crate::yaml::Span,
            $( $(#[doc = $field_doc])* pub(crate) $field: mapping!(@type $presence $type), )*
        }

        impl $name {
            /// The names of its fields.
            #[allow(dead_code, reason = "of few definitions they are asked for elsewhere")]
            pub(crate) const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        impl $crate::topology::spec::lower::Lower for $name {
            fn lower(node: &$crate::yaml::Node, problems: &mut $crate::yaml::Problems) -> Option<Self> {
                let definition = $crate::topology::spec::lower::Definition {
                    what: $what,
                    fields: &[$((stringify!($field), mapping!(@required $presence))),*],
                    later: &[$($later),*],
                };
                let fields = $crate::topology::spec::lower::Fields::of(node, &definition, problems)?;
                $( let $field: Option<$type> = fields.get(stringify!($field), problems); )*
                Some($name { span: node.place(), $( $field: mapping!(@take $presence $field), )* })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_end_matches("Spec").into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let fields = vec![$((
                    stringify!($field),
                    mapping!(@required $presence),
                    $crate::topology::spec::lower::documentation(&[$($field_doc),*]),
                    generator.subschema_for::<$type>(),
                )),*];
                $crate::topology::spec::lower::object($crate::topology::spec::lower::documentation(&[$($doc),*]), fields)
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@type expected $type:ty) => { Option<$type> };
    (@required required) => { true };
    (@required expected) => { true };
    (@required optional) => { false };
    (@take required $field:ident) => { $field? };
    (@take expected $field:ident) => { $field };
    (@take optional $field:ident) => { $field };
}

/// Defines a closed set of words.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $name:ident = $what:literal { $( $(#[doc = $word_doc:literal])* $variant:ident = $word:literal, )* }
        later [ $($later:literal),* ]
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $( $(#[doc = $word_doc])* $variant, )* }

        impl $crate::topology::spec::lower::Lower for $name {
            fn lower(node: &$crate::yaml::Node, problems: &mut $crate::yaml::Problems) -> Option<Self> {
                match node.scalar().map(|scalar| scalar.text.as_str()) {
                    $( Some($word) => Some($name::$variant), )*
                    _ => {
                        $crate::topology::spec::scalars::refuse_word(node, $what, &[$($word),*], &[$($later),*], problems);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words: Vec<serde_json::Value> = vec![$(serde_json::json!({
                    "const": $word, "description": $crate::topology::spec::lower::documentation(&[$($word_doc),*])
                })),*];
                schemars::json_schema!({"oneOf": words, "description": $crate::topology::spec::lower::documentation(&[$($doc),*])})
            }
        }
    };
}

/// Defines the steps: mappings with one key, the verb.
macro_rules! verbs {
    (
        $(#[doc = $doc:literal])*
        $name:ident { $( $(#[doc = $verb_doc:literal])* $variant:ident = $verb:literal ( $type:ty ), )* }
        later [ $($later:literal),* ]
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) enum $name { $( $(#[doc = $verb_doc])* $variant($type), )* }

        impl $name {
            /// The verbs.
            pub(crate) const VERBS: &'static [&'static str] = &[$($verb),*];
            /// The verbs that are not supported yet.
            pub(crate) const LATER: &'static [&'static str] = &[$($later),*];

            /// Its verb.
            pub(crate) fn verb(&self) -> &'static str {
                match self { $( $name::$variant(_) => $verb, )* }
            }

            /// Reads what stands under a verb.
            fn lower_verb(verb: &str, node: &$crate::yaml::Node, problems: &mut $crate::yaml::Problems) -> Option<Self> {
                match verb {
                    $( $verb => <$type as $crate::topology::spec::lower::Lower>::lower(node, problems).map($name::$variant), )*
                    _ => None,
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut verbs: Vec<serde_json::Value> = vec![$({
                    let mut argument = generator.subschema_for::<$type>();
                    let text = $crate::topology::spec::lower::documentation(&[$($verb_doc),*]);
                    argument.insert("description".to_owned(), text.into());
                    serde_json::json!({"type": "object", "required": [$verb], "additionalProperties": false,
                        "properties": {$verb: argument}})
                }),*];
                verbs.push(serde_json::json!({"enum": ["to_stream", "to_table", "peek", "repartition"]}));
                schemars::json_schema!({"anyOf": verbs, "description": $crate::topology::spec::lower::documentation(&[$($doc),*])})
            }
        }
    };
}

pub(crate) use {choice, mapping, verbs};
