//! The changes that Avro lets a reader's schema make.

use serde_json::{Value as Json, json};

use super::samples::{Field, Kind, Random};
use crate::record::TemporalUnit;

impl Kind {
    /// A schema that may read what this one wrote: promoted, reordered, fields added, removed and renamed, branches added
    /// and removed.
    pub(super) fn evolve(&self, random: &mut Random) -> Kind {
        let evolved = self.evolve_inside(random);
        match evolved {
            Kind::Null | Kind::Nullable { .. } | Kind::Union(_) => evolved,
            other if random.below(8) == 0 => {
                Kind::Nullable { null_first: random.below(2) == 0, other: Box::new(other) }
            }
            other if random.below(16) == 0 => Kind::Union(vec![Kind::Null, added_branch(&other), other]),
            other => other,
        }
    }

    fn evolve_inside(&self, random: &mut Random) -> Kind {
        let choice = random.below(6);
        match (self, choice) {
            (Kind::Int, 0) => Kind::Long,
            (Kind::Int | Kind::Long | Kind::Float, 1) => Kind::Double,
            (Kind::Int | Kind::Long, 2) => Kind::Float,
            (Kind::Int | Kind::Long, 3) => Kind::Timestamp,
            (Kind::Long, 4) => Kind::Temporal(TemporalUnit::TimestampMicros),
            (Kind::Int, 4) => Kind::Temporal(TemporalUnit::Date),
            (Kind::String, 0) => Kind::Bytes,
            (Kind::Bytes, 0) => Kind::String,
            (Kind::Enum { name, symbols, .. }, 0..3) => {
                let mut symbols: Vec<String> = symbols.iter().filter(|_| random.below(3) > 0).cloned().collect();
                symbols.insert(0, "NEW".to_owned());
                let default = (choice > 0).then(|| "NEW".to_owned());
                Kind::Enum { name: name.clone(), symbols, default }
            }
            (Kind::Array(items), _) => Kind::Array(Box::new(items.evolve(random))),
            (Kind::Map(values), _) => Kind::Map(Box::new(values.evolve(random))),
            (Kind::Nullable { null_first, other }, _) => Kind::Nullable {
                null_first: *null_first != (choice == 0),
                other: Box::new(other.evolve_inside(random)),
            },
            (Kind::Union(branches), _) => evolve_branches(branches, random),
            (Kind::Record { name, fields }, _) => {
                Kind::Record { name: name.clone(), fields: evolve_fields(fields, random) }
            }
            _ => self.clone(),
        }
    }

    /// The same schema with fields called as `reader` calls them, as the specification has it: aliases are a way of
    /// rewriting the writer's schema. The reference does not know them.
    pub(super) fn renamed_as(&self, reader: &Kind) -> Kind {
        let mut names = Vec::new();
        reader.renamed_fields(&mut names);
        self.rename(&names)
    }

    fn renamed_fields(&self, names: &mut Vec<(String, String, String)>) {
        match self {
            Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => inner.renamed_fields(names),
            Kind::Union(branches) => branches.iter().for_each(|branch| branch.renamed_fields(names)),
            Kind::Record { name, fields } => {
                for field in fields {
                    for alias in &field.aliases {
                        names.push((name.clone(), alias.clone(), field.name.clone()));
                    }
                    field.kind.renamed_fields(names);
                }
            }
            _ => {}
        }
    }

    fn rename(&self, names: &[(String, String, String)]) -> Kind {
        let boxed = |inner: &Kind| Box::new(inner.rename(names));
        match self {
            Kind::Array(inner) => Kind::Array(boxed(inner)),
            Kind::Map(inner) => Kind::Map(boxed(inner)),
            Kind::Nullable { null_first, other } => Kind::Nullable { null_first: *null_first, other: boxed(other) },
            Kind::Union(branches) => Kind::Union(branches.iter().map(|branch| branch.rename(names)).collect()),
            Kind::Record { name, fields } => {
                let field = |field: &Field| {
                    let new = names.iter().find(|(record, old, _)| record == name && *old == field.name);
                    Field {
                        name: new.map_or(&field.name, |(_, _, new)| new).clone(),
                        kind: field.kind.rename(names),
                        ..field.clone()
                    }
                };
                Kind::Record { name: name.clone(), fields: fields.iter().map(field).collect() }
            }
            other => other.clone(),
        }
    }
}

/// A branch that the union around it cannot have yet.
fn added_branch(beside: &Kind) -> Kind {
    if *beside == Kind::Boolean { Kind::Double } else { Kind::Boolean }
}

fn evolve_branches(branches: &[Kind], random: &mut Random) -> Kind {
    // What contains itself needs its way out.
    if branches.iter().any(|branch| matches!(branch, Kind::Again(..))) {
        return Kind::Union(branches.to_vec());
    }
    let mut evolved: Vec<Kind> = Vec::new();
    for branch in branches.iter().filter(|_| random.below(8) > 0).collect::<Vec<_>>() {
        let branch = match branch {
            // A promoted branch could become another one's type.
            Kind::Record { .. } | Kind::Array(_) | Kind::Map(_) => branch.evolve_inside(random),
            other => other.clone(),
        };
        evolved.push(branch);
    }
    if random.below(3) == 0 {
        evolved.reverse();
    }
    if random.below(6) == 0 && !evolved.contains(&Kind::Timestamp) {
        evolved.push(Kind::Timestamp);
    }
    match evolved.pop() {
        None => Kind::Union(branches.to_vec()),
        Some(only) if evolved.is_empty() && random.below(2) == 0 => only,
        Some(last) => {
            evolved.push(last);
            Kind::Union(evolved)
        }
    }
}

fn evolve_fields(fields: &[Field], random: &mut Random) -> Vec<Field> {
    let mut evolved = Vec::new();
    for field in fields.iter().filter(|field| field.name.starts_with("only") || random.below(6) > 0).collect::<Vec<_>>()
    {
        let kind = field.kind.evolve(random);
        let renamed = random.below(8) == 0 && !field.name.starts_with("only");
        evolved.push(match renamed {
            true => {
                Field { name: format!("new_{}", field.name), aliases: vec![field.name.clone()], kind, default: None }
            }
            false => Field::new(field.name.clone(), kind),
        });
    }
    if random.below(2) == 0 {
        evolved.push(added(random));
    }
    if random.below(2) == 0 {
        evolved.reverse();
    }
    evolved
}

fn added(random: &mut Random) -> Field {
    let (kind, default) = match random.below(12) {
        0 => (Kind::Nullable { null_first: true, other: Box::new(Kind::String) }, Json::Null),
        1 => (Kind::Long, json!(-7)),
        2 => (Kind::String, json!("new")),
        3 => (Kind::Array(Box::new(Kind::Int)), json!([1, 2])),
        4 => (Kind::Map(Box::new(Kind::Double)), json!({"a": 1.5})),
        5 => (Kind::Boolean, json!(true)),
        6 => (Kind::Temporal(TemporalUnit::Date), json!(20_000)),
        7 => (Kind::Temporal(TemporalUnit::TimestampNanos), json!(5)),
        8 => (Kind::Uuid, json!("123e4567-e89b-12d3-a456-426614174000")),
        9 => (Kind::Bytes, json!("abc")),
        10 => (Kind::Union(vec![Kind::String, Kind::Long, Kind::Null]), json!("first")),
        _ => (Kind::Double, json!(2)),
    };
    Field { default: Some(default), ..Field::new("added".to_owned(), kind) }
}
