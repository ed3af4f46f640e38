//! What schemas mark, and whether that covers what is written.

use crate::expression::{Mark, Part, Path, Taint};
use crate::serdes::catalogue::{FieldDescription, Parts, TypeDescription};

/// A part of a type that counts as personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) struct Marked {
    /// The way to it.
    pub(in crate::topology) path: Path,
    /// Whether the schema marks it. If not, only something in it is marked, and not described.
    pub(in crate::topology) told: bool,
}

/// The largest parts of a type that are marked.
pub(in crate::topology) fn marked(kind: &TypeDescription) -> Vec<Marked> {
    let mut found = Vec::new();
    collect(kind, &mut Path::default(), &mut found);
    found
}

fn collect(kind: &TypeDescription, path: &mut Path, found: &mut Vec<Marked>) {
    if kind.personal_data {
        found.push(Marked { path: path.clone(), told: true });
        return;
    }
    match &kind.parts {
        Parts::Untold { marked: true, .. } => found.push(Marked { path: path.clone(), told: false }),
        Parts::None | Parts::Untold { .. } => {}
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
        kind.and_then(|kind| is_marked(&[], kind, &path.0, mark.is_made_by_code())).unwrap_or(false)
    };
    only(taint, |path, mark| !is_marked(path, mark))
}

/// What of it lies in none of these parts.
pub(super) fn outside<'p>(taint: &Taint, parts: impl Iterator<Item = &'p Path> + Clone) -> Taint {
    only(taint, |path, _| !parts.clone().any(|part| is_in(path, part)))
}

/// Whether a path leads to a part, or to something in it.
pub(super) fn is_in(path: &Path, part: &Path) -> bool {
    let alike = |(a, b): (&Part, &Part)| a == b || *b == Part::Element;
    part.0.len() <= path.0.len() && path.0.iter().zip(&part.0).all(alike)
}

/// Those parts of it for which something holds.
fn only(taint: &Taint, holds: impl Fn(&Path, Mark) -> bool) -> Taint {
    let left = taint.paths().into_iter().filter(|(path, mark)| holds(path, *mark));
    left.fold(Taint::clean(), |all, (path, mark)| all.joined(&at(&path, mark)))
}

/// Whether a type marks a part of it, as a whole; `None`: it has no such part. Of what code of Rust has made, only its
/// author knows which parts hold personal data: there the marks below are believed. `around`: the records around it,
/// outermost first.
fn is_marked(around: &[&TypeDescription], kind: &TypeDescription, path: &[Part], made_by_code: bool) -> Option<bool> {
    if kind.personal_data {
        return Some(true);
    }
    let Some((first, rest)) = path.split_first() else {
        return Some(if made_by_code { kind.holds_personal_data() } else { is_covered(kind) });
    };
    match (&kind.parts, first) {
        (Parts::None, _) => None,
        (Parts::Elements(element), _) => is_marked(around, element, rest, made_by_code),
        (Parts::Fields(fields), part) => {
            let within = [around, &[kind]].concat();
            let is_it = |field: &&FieldDescription| match part {
                Part::Field(name) => field.name == *name,
                // Any of the fields may be it.
                Part::Element => true,
            };
            all(fields.iter().filter(is_it).map(|field| is_marked(&within, &field.kind, rest, made_by_code)))
        }
        // Those that have such a part.
        (Parts::OneOf(types), _) => all(types.iter().map(|kind| is_marked(around, kind, path, made_by_code))),
        // What a record says around it, of its own parts; the way is shorter by one each time it comes back here.
        (Parts::Untold { around: Some(outwards), .. }, _) => {
            let (outer, record) = around.split_at_checked(around.len().checked_sub(*outwards)?)?;
            is_marked(outer, record.first()?, path, made_by_code)
        }
        (Parts::Untold { around: None, marked }, _) => Some(made_by_code && *marked),
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
            Parts::None | Parts::Untold { .. } => false,
            Parts::Elements(element) => is_covered(element),
            Parts::Fields(fields) => !fields.is_empty() && fields.iter().all(|field| is_covered(&field.kind)),
            Parts::OneOf(types) => !types.is_empty() && types.iter().all(is_covered),
        }
}
