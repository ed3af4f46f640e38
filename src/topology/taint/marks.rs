//! What schemas mark, and whether that covers what is written.

use crate::expression::{Mark, Part, Path, Taint};
use crate::serdes::catalogue::{Parts, TypeDescription};

/// The largest parts of a type that are marked.
pub(super) fn marked(kind: &TypeDescription) -> Vec<Path> {
    let mut found = Vec::new();
    collect(kind, &mut Path::default(), &mut found);
    found
}

fn collect(kind: &TypeDescription, path: &mut Path, found: &mut Vec<Path>) {
    if kind.personal_data {
        found.push(path.clone());
        return;
    }
    match &kind.parts {
        Parts::None => {}
        Parts::Elements(element) => {
            path.0.push(Part::Element);
            collect(element, path, found);
            path.0.pop();
        }
        Parts::Fields(fields) => {
            for field in fields {
                path.0.push(Part::Field(field.name.clone()));
                collect(&field.kind, path, found);
                path.0.pop();
            }
        }
        Parts::OneOf(types) => types.iter().for_each(|kind| collect(kind, path, found)),
    }
}

/// A value of which only the part at the path is personal data.
pub(super) fn at(path: &Path, mark: Mark) -> Taint {
    path.0.iter().rev().fold(Taint::whole(mark), |inner, part| Taint::clean().with(part.clone(), inner))
}

/// What of it is personal data and not marked by the type that it is written as; all of it, if that is not known.
pub(super) fn unmarked(taint: &Taint, kind: Option<&TypeDescription>) -> Taint {
    let is_marked = |path: &Path, mark: Mark| {
        kind.and_then(|kind| is_marked(kind, &path.0, mark.is_made_by_code())).unwrap_or(false)
    };
    only(taint, |path, mark| !is_marked(path, mark))
}

/// What of it lies in none of these parts.
pub(super) fn outside<'p>(taint: &Taint, parts: impl Iterator<Item = &'p Path> + Clone) -> Taint {
    let is_in = |path: &Path, part: &Path| {
        let alike = |(a, b): (&Part, &Part)| a == b || *b == Part::Element;
        part.0.len() <= path.0.len() && path.0.iter().zip(&part.0).all(alike)
    };
    only(taint, |path, _| !parts.clone().any(|part| is_in(path, part)))
}

/// Those parts of it for which something holds.
fn only(taint: &Taint, holds: impl Fn(&Path, Mark) -> bool) -> Taint {
    let left = taint.paths().into_iter().filter(|(path, mark)| holds(path, *mark));
    left.fold(Taint::clean(), |all, (path, mark)| all.joined(&at(&path, mark)))
}

/// Whether a type marks a part of it, as a whole; `None`: it has no such part. Of what code of Rust has made, only its
/// author knows which parts hold personal data: there the marks below are believed.
fn is_marked(kind: &TypeDescription, path: &[Part], made_by_code: bool) -> Option<bool> {
    if kind.personal_data {
        return Some(true);
    }
    let Some((first, rest)) = path.split_first() else {
        return Some(if made_by_code { kind.holds_personal_data() } else { is_covered(kind) });
    };
    match (&kind.parts, first) {
        (Parts::None, _) => None,
        (Parts::Elements(element), _) => is_marked(element, rest, made_by_code),
        (Parts::Fields(fields), Part::Field(name)) => {
            let field = fields.iter().find(|field| field.name == *name)?;
            is_marked(&field.kind, rest, made_by_code)
        }
        // Any of the fields may be it.
        (Parts::Fields(fields), Part::Element) => {
            all(fields.iter().map(|field| is_marked(&field.kind, rest, made_by_code)))
        }
        // Those that have such a part.
        (Parts::OneOf(types), _) => all(types.iter().map(|kind| is_marked(kind, path, made_by_code))),
    }
}

/// Whether all of those that there are hold.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    parts.flatten().reduce(|a, b| a && b)
}

/// Whether every smallest part of a type is marked.
fn is_covered(kind: &TypeDescription) -> bool {
    kind.personal_data
        || match &kind.parts {
            Parts::None => false,
            Parts::Elements(element) => is_covered(element),
            Parts::Fields(fields) => !fields.is_empty() && fields.iter().all(|field| is_covered(&field.kind)),
            Parts::OneOf(types) => !types.is_empty() && types.iter().all(is_covered),
        }
}
