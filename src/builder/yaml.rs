//! Pieces of a topology, and how they are written.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::draft::NodeId;

/// A piece of a topology.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Text: a word or an expression.
    Text(String),
    /// Whatever needs no quotes: numbers, truth.
    Plain(String),
    /// The name of a node.
    Reference(NodeId),
    /// A call of a function, by its number, which has no name before everything else has one.
    Call {
        /// The function.
        function: usize,
        /// What it is given.
        arguments: String,
    },
    /// An aggregate of what a call gives, perhaps with a limit: `top_k(call, 3)`.
    Aggregate {
        /// The aggregate.
        name: &'static str,
        /// What it is of.
        call: Box<Tree>,
        /// What comes after it.
        limit: Option<String>,
    },
    /// A list.
    List(Vec<Tree>),
    /// Fields, in order.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Text.
    pub(super) fn text(text: &str) -> Tree {
        Tree::Text(text.to_owned())
    }

    /// A whole number.
    pub(super) fn number(number: impl Into<i128>) -> Tree {
        Tree::Plain(number.into().to_string())
    }

    /// A duration, in milliseconds.
    pub(super) fn duration(duration: Duration) -> Tree {
        Tree::Plain(format!("{}ms", duration.as_millis()))
    }

    /// Fields.
    pub(super) fn map<const N: usize>(fields: [(&str, Tree); N]) -> Tree {
        Tree::Map(fields.into_iter().map(|(name, tree)| (name.to_owned(), tree)).collect())
    }

    /// A field.
    pub(super) fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Map(fields) => fields.iter().find(|(known, _)| known == name).map(|(_, tree)| tree),
            _ => None,
        }
    }

    /// A field, to be changed.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        match self {
            Tree::Map(fields) => fields.iter_mut().find(|(known, _)| known == name).map(|(_, tree)| tree),
            _ => None,
        }
    }

    /// The text of an aggregate.
    pub(super) fn aggregate(name: &str, of: &str, limit: Option<&str>) -> Tree {
        Tree::Text(format!("{name}({of}{})", limit.map(|limit| format!(", {limit}")).unwrap_or_default()))
    }

    /// Adds a field, or gives it another value.
    pub(super) fn set(&mut self, name: &str, tree: Tree) {
        match self.get_mut(name) {
            Some(field) => *field = tree,
            None => self.insert(name, tree),
        }
    }

    /// Adds a field. Of two of one name, the planner tells.
    pub(super) fn insert(&mut self, name: &str, tree: Tree) {
        if let Tree::Map(fields) = self {
            fields.push((name.to_owned(), tree));
        }
    }

    /// Adds a field behind the first.
    pub(super) fn insert_second(&mut self, name: &str, tree: Tree) {
        if let Tree::Map(fields) = self {
            fields.insert(1.min(fields.len()), (name.to_owned(), tree));
        }
    }

    /// The same with this field, if there is one.
    pub(super) fn with(mut self, name: &str, tree: Option<Tree>) -> Tree {
        if let Some(tree) = tree {
            self.insert(name, tree);
        }
        self
    }

    /// The same with these fields, too.
    pub(super) fn and(mut self, more: Tree) -> Tree {
        if let Tree::Map(more) = more {
            more.into_iter().for_each(|(name, field)| self.insert(&name, field));
        }
        self
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Tree::List(items) => items.is_empty(),
            Tree::Map(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// Shows every node that is read.
    pub(super) fn references(&self, show: &mut impl FnMut(NodeId)) {
        match self {
            Tree::Reference(node) => show(*node),
            Tree::List(items) => items.iter().for_each(|item| item.references(show)),
            Tree::Map(fields) => fields.iter().for_each(|(_, field)| field.references(show)),
            Tree::Text(_) | Tree::Plain(_) | Tree::Call { .. } | Tree::Aggregate { .. } => {}
        }
    }

    /// Shows every function that is called.
    pub(super) fn calls(&self, show: &mut impl FnMut(usize)) {
        match self {
            Tree::Call { function, .. } => show(*function),
            Tree::Aggregate { call, .. } => call.calls(show),
            Tree::List(items) => items.iter().for_each(|item| item.calls(show)),
            Tree::Map(fields) => fields.iter().for_each(|(_, field)| field.calls(show)),
            Tree::Text(_) | Tree::Plain(_) | Tree::Reference(_) => {}
        }
    }

    /// The text of a file.
    pub(super) fn to_yaml(&self, names: &BTreeMap<NodeId, String>) -> String {
        let mut out = String::new();
        self.block(0, names, &mut out);
        out
    }

    fn block(&self, depth: usize, names: &BTreeMap<NodeId, String>, out: &mut String) {
        let indent = "  ".repeat(depth);
        match self {
            Tree::Map(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    // Nobody listens to a String that cannot grow.
                    let _written = write!(out, "{indent}{}:", quoted(name));
                    field.after_a_name(depth, names, out);
                }
            }
            Tree::List(items) if !items.is_empty() => {
                for item in items {
                    let mut lines = String::new();
                    item.block(depth + 1, names, &mut lines);
                    let _written = write!(out, "{indent}- {}", lines.trim_start());
                }
            }
            leaf => {
                let _written = writeln!(out, "{indent}{}", leaf.leaf(names));
            }
        }
    }

    fn after_a_name(&self, depth: usize, names: &BTreeMap<NodeId, String>, out: &mut String) {
        match self {
            Tree::Map(fields) if !fields.is_empty() => {
                out.push('\n');
                self.block(depth + 1, names, out);
            }
            Tree::List(items) if !items.is_empty() => {
                out.push('\n');
                self.block(depth + 1, names, out);
            }
            leaf => {
                let _written = writeln!(out, " {}", leaf.leaf(names));
            }
        }
    }

    fn leaf(&self, names: &BTreeMap<NodeId, String>) -> String {
        match self {
            Tree::Text(text) => quoted(text),
            Tree::Call { arguments, .. } => quoted(arguments),
            Tree::Aggregate { call, .. } => call.leaf(names),
            Tree::Plain(text) => text.clone(),
            Tree::Reference(node) => quoted(names.get(node).map_or("", String::as_str)),
            Tree::List(_) => "[]".to_owned(),
            Tree::Map(_) => "{}".to_owned(),
        }
    }
}

/// Text in quotes, unless it is plainly a name.
fn quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let means_something = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let lower = text.to_ascii_lowercase();
    if starts && text.chars().all(word) && !means_something.contains(&lower.as_str()) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
