//! The layout of stored values: their shape without the names that do not matter, to be kept and compared.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Fields, Shape, StructShape};

/// How many differences of two layouts are told.
const MAX_DIFFERENCES: usize = 5;

/// What is stored of a value. Two shapes whose stored values are alike have equal layouts: names of schemas do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A value without parts, by the name of its type.
    Plain(String),
    /// One of these symbols.
    Enum(Vec<String>),
    /// A list of these.
    List(Box<Layout>),
    /// A map from text to these.
    Map(Box<Layout>),
    /// The fields of a struct, in order.
    Struct(Vec<(String, Layout)>),
    /// This or null.
    Optional(Box<Layout>),
    /// One of these.
    Union(Vec<Layout>),
    /// A struct that this stands in: the innermost is 0.
    Recursive(usize),
}

impl From<&Shape> for Layout {
    fn from(shape: &Shape) -> Self {
        layout(shape, &mut Vec::new())
    }
}

/// The layout of a shape inside these structs.
fn layout(shape: &Shape, around: &mut Vec<Arc<StructShape>>) -> Layout {
    match shape {
        Shape::Enum(shape) => Layout::Enum(shape.symbols.iter().map(ToString::to_string).collect()),
        Shape::List(element) => Layout::List(Box::new(layout(element, around))),
        Shape::Map(value) => Layout::Map(Box::new(layout(value, around))),
        Shape::Optional(inner) => Layout::Optional(Box::new(layout(inner, around))),
        Shape::Union(union) => Layout::Union(union.branches().iter().map(|branch| layout(branch, around)).collect()),
        Shape::Struct(shape) => {
            around.push(Arc::clone(shape));
            let fields = shape.fields().iter();
            let fields = fields.map(|field| (field.name.to_string(), layout(&field.shape, around))).collect();
            around.pop();
            Layout::Struct(fields)
        }
        Shape::Recursive(reference) => {
            let target = reference.target();
            let is_target = |shape: &Arc<StructShape>| target.is_some_and(|target| Arc::ptr_eq(target, shape));
            match (around.iter().rev().position(is_target), target) {
                (Some(levels), _) => Layout::Recursive(levels),
                (None, Some(target)) => layout(&Shape::Struct(Arc::clone(target)), around),
                (None, None) => Layout::Plain(shape.to_string()),
            }
        }
        plain => Layout::Plain(plain.to_string()),
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layout::Plain(name) => f.write_str(name),
            Layout::Enum(symbols) => write!(f, "enum({})", symbols.join(", ")),
            Layout::List(element) => write!(f, "list<{element}>"),
            Layout::Map(value) => write!(f, "map<string, {value}>"),
            Layout::Optional(inner) => write!(f, "{inner} or null"),
            Layout::Union(branches) => {
                let branches: Vec<String> = branches.iter().map(ToString::to_string).collect();
                f.write_str(&branches.join(" or "))
            }
            Layout::Recursive(0) => f.write_str("itself"),
            Layout::Recursive(levels) => write!(f, "what is {levels} levels around"),
            Layout::Struct(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, layout)| format!("{name}: {layout}")).collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
        }
    }
}

impl Layout {
    /// How this layout differs from what it was before: a phrase for each difference, the first few of them.
    pub fn differences(&self, before: &Layout) -> Vec<String> {
        let mut found = Vec::new();
        compare(before, self, "", &mut found);
        if found.len() > MAX_DIFFERENCES {
            let more = found.len() - MAX_DIFFERENCES;
            found.truncate(MAX_DIFFERENCES);
            found.push(format!("and {more} more"));
        }
        found
    }
}

fn compare(before: &Layout, now: &Layout, path: &str, found: &mut Vec<String>) {
    match (before, now) {
        (before, now) if before == now => {}
        (Layout::Struct(before), Layout::Struct(now)) => compare_fields(before, now, path, found),
        (Layout::List(before), Layout::List(now)) => compare(before, now, &format!("{path}[]"), found),
        (Layout::Map(before), Layout::Map(now)) => compare(before, now, &format!("{path}[]"), found),
        (Layout::Optional(before), Layout::Optional(now)) => compare(before, now, path, found),
        (before, now) if path.is_empty() => found.push(format!("values were {before}, are {now}")),
        (before, now) => found.push(format!("`{path}` was {before}, is {now}")),
    }
}

fn compare_fields(before: &[(String, Layout)], now: &[(String, Layout)], path: &str, found: &mut Vec<String>) {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let has = |fields: &[(String, Layout)], name: &str| fields.iter().any(|(other, _)| other == name);
    for (name, layout) in before {
        match now.iter().find(|(other, _)| other == name) {
            Some((_, now)) => compare(layout, now, &at(name), found),
            None => found.push(format!("`{}` is gone", at(name))),
        }
    }
    let added = now.iter().filter(|(name, _)| !has(before, name));
    found.extend(added.map(|(name, layout)| format!("`{}` is new ({layout})", at(name))));
    let names = |fields: &[(String, Layout)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let same_names = before.len() == now.len() && before.iter().all(|(name, _)| has(now, name));
    if same_names && names(before) != names(now) {
        let place = if path.is_empty() { "the fields".to_owned() } else { format!("the fields of `{path}`") };
        found.push(format!("{place} are in another order"));
    }
}

/// The paths of the fields that somebody reads; `*` for the whole value.
pub(super) fn paths(fields: &Fields) -> Vec<String> {
    let mut paths = Vec::new();
    collect(fields, "", &mut paths);
    paths
}

fn collect(fields: &Fields, path: &str, paths: &mut Vec<String>) {
    match fields {
        Fields::All => paths.push(if path.is_empty() { "*".to_owned() } else { path.to_owned() }),
        Fields::Some(parts) => {
            for (name, part) in parts {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(part, &below, paths);
            }
        }
    }
}

/// The paths that are not part of what is `there`.
pub(super) fn missing<'a>(wanted: &'a [String], there: &[String]) -> Vec<&'a str> {
    let covers = |whole: &String, path: &str| {
        whole == "*" || path == whole || path.strip_prefix(whole.as_str()).is_some_and(|rest| rest.starts_with('.'))
    };
    wanted.iter().map(String::as_str).filter(|path| !there.iter().any(|whole| covers(whole, path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecursiveShape;

    fn row(fields: &[(&'static str, Shape)]) -> Layout {
        Layout::from(&Shape::structure("Row", fields.iter().cloned()))
    }

    #[test]
    fn differences_name_the_field_and_what_became_of_it() {
        let before = row(&[("n", Shape::Int), ("mean", Shape::Double), ("tags", Shape::list(Shape::String))]);
        let now = row(&[("n", Shape::Double), ("tags", Shape::list(Shape::Int)), ("most", Shape::Int.optional())]);
        let expected =
            ["`n` was int, is double", "`mean` is gone", "`tags[]` was string, is int", "`most` is new (int or null)"];
        assert_eq!(now.differences(&before), expected);
        assert_eq!(now.differences(&now), Vec::<String>::new());
        let swapped = row(&[("b", Shape::Int), ("a", Shape::Int)]);
        assert_eq!(
            swapped.differences(&row(&[("a", Shape::Int), ("b", Shape::Int)])),
            ["the fields are in another order"]
        );
        assert_eq!(
            Layout::from(&Shape::Int).differences(&Layout::from(&Shape::String)),
            ["values were string, are int"]
        );
    }

    #[test]
    fn a_layout_is_read_back_as_it_was_written() {
        let reference = RecursiveShape::new("Row");
        let own = Shape::Recursive(reference.clone()).optional();
        let shape = Shape::structure(
            "Row",
            [
                ("map", Shape::map(Shape::Any)),
                ("list", Shape::list(Shape::Bytes.optional())),
                ("either", Shape::any_of([Shape::Int, Shape::Decimal])),
                ("inner", Shape::structure("", [("own", own)])),
            ],
        );
        if let Shape::Struct(shape) = &shape {
            reference.set(shape);
        }
        let layout = Layout::from(&shape);
        assert!(layout.to_string().ends_with("inner: {own: what is 1 levels around or null}}"), "{layout}");
        let text = serde_json::to_string(&layout).unwrap();
        assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
    }

    #[test]
    fn a_path_is_covered_by_the_whole_and_by_what_it_lies_in() {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let wanted = paths(&["a", "b.c", "bc"]);
        assert_eq!(missing(&wanted, &paths(&["*"])), Vec::<&str>::new());
        assert_eq!(missing(&wanted, &paths(&["a.x", "b"])), ["a", "bc"]);
        assert_eq!(missing(&paths(&["*"]), &paths(&["a"])), ["*"]);
    }
}
