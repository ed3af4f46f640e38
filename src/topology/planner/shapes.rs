//! Whether a value of one shape can stand where another is expected.

use super::Planner;
use crate::record::Shape;
use crate::yaml::{Content, Node};
use crate::yaml::{Diagnostic, nearest};

/// What keeps a value of shape `given` from being taken for `expected`: the path to each part that does not
/// fit, and why. Parts of any shape are checked per record.
pub(super) fn misfits(given: &Shape, expected: &Shape) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    collect(given, expected, &mut Vec::new(), &mut found);
    found
}

fn collect(given: &Shape, expected: &Shape, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    match (given, expected) {
        (Shape::Any | Shape::Never, _) | (_, Shape::Any) => {}
        (Shape::Null, _) if expected.is_nullable() => {}
        (Shape::Optional(given), _) => collect(given, expected.required(), path, found),
        (_, Shape::Optional(expected)) => collect(given, expected, path, found),
        (Shape::Enum(_), Shape::String) => {}
        (Shape::List(given), Shape::List(expected)) | (Shape::Map(given), Shape::Map(expected)) => {
            collect(given, expected, path, found);
        }
        (Shape::Struct(given), Shape::Struct(expected)) => {
            for field in expected.fields() {
                match given.field(&field.name) {
                    Some(own) => {
                        path.push(field.name.to_string());
                        collect(&own.shape, &field.shape, path, found);
                        path.pop();
                    }
                    None if field.shape.is_nullable() => {}
                    None => found.push((path.clone(), format!("`{}` ({}) is missing", field.name, field.shape))),
                }
            }
            for own in given.fields().iter().filter(|own| expected.field(&own.name).is_none()) {
                let names = expected.fields().iter().map(|field| &*field.name);
                let hint =
                    nearest(&own.name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                path.push(own.name.to_string());
                found.push((path.clone(), format!("there is no field `{}`{hint}", own.name)));
                path.pop();
            }
        }
        (given, expected) if given == expected => {}
        (given, expected) => found.push((path.clone(), format!("{expected} is expected, this is {given}"))),
    }
}

/// The first difference between two shapes that cannot be one, as a sentence.
pub(super) fn difference(a: &Shape, b: &Shape) -> String {
    if let (Shape::Struct(left), Shape::Struct(right)) = (a.required(), b.required()) {
        for field in left.fields() {
            match right.field(&field.name) {
                None => return format!("the field `{}` is gone", field.name),
                Some(other) if field.shape.unify(&other.shape).is_none() => {
                    return format!("`{}` was {} and is {}", field.name, field.shape, other.shape);
                }
                Some(_) => {}
            }
        }
        if let Some(new) = right.fields().iter().find(|field| left.field(&field.name).is_none()) {
            return format!("the field `{}` is new", new.name);
        }
        return "the fields are in another order".to_owned();
    }
    format!("it was {a} and is {b}")
}

/// The piece of a template that makes a part of its value: the deepest one on the path that the file has.
pub(super) fn node_at<'n>(template: &'n Node, path: &[String]) -> &'n Node {
    let Some((first, rest)) = path.split_first() else { return template };
    match &template.content {
        Content::Mapping(_) => template.get(first).map_or(template, |node| node_at(node, rest)),
        Content::Sequence(items) => {
            let index = first.trim_matches(['[', ']']).parse::<usize>().ok();
            index.and_then(|index| items.get(index)).map_or(template, |node| node_at(node, rest))
        }
        Content::Scalar(_) => template,
    }
}

impl Planner<'_> {
    /// Reports a mistake in a part of a template, at the part.
    pub(super) fn report_within(&mut self, template: &Node, path: &[String], message: &str) {
        let node = node_at(template, path);
        self.problems.report(Diagnostic::new(node.label.clone(), message));
    }
}
