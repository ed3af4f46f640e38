//! Random schemas, values of them, and the changes that Avro lets a reader's schema make.

use std::collections::HashMap;

use apache_avro::types::Value as Reference;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A type of a random schema.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Timestamp,
    Fixed { name: String, size: usize },
    Enum { name: String, symbols: Vec<String>, default: Option<String> },
    Array(Box<Kind>),
    Map(Box<Kind>),
    Nullable { null_first: bool, other: Box<Kind> },
    Record { name: String, fields: Vec<Field> },
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    name: String,
    kind: Kind,
    default: Option<Json>,
}

/// A source of numbers that a test's seed decides.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    /// Integers of all lengths.
    fn integer(&mut self) -> i64 {
        let shift = self.below(64);
        self.next().cast_signed() >> shift
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 6] = ['a', 'Z', '0', 'é', '漢', '🙂'];
        (0..self.below(9)).map(|_| LETTERS[self.below(6) as usize]).collect()
    }
}

/// Schemas a few levels deep.
pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Null),
        Just(Kind::Boolean),
        Just(Kind::Int),
        Just(Kind::Long),
        Just(Kind::Float),
        Just(Kind::Double),
        Just(Kind::Bytes),
        Just(Kind::String),
        Just(Kind::Timestamp),
        (0_usize..5).prop_map(|size| Kind::Fixed { name: String::new(), size }),
        (1_usize..5).prop_map(|count| Kind::Enum {
            name: String::new(),
            symbols: (0..count).map(|index| format!("S{index}")).collect(),
            default: None,
        }),
    ];
    let inner = leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|kind| Kind::Array(Box::new(kind))),
            1 => inner.clone().prop_map(|kind| Kind::Map(Box::new(kind))),
            1 => (any::<bool>(), inner.clone()).prop_map(|(null_first, other)| match other {
                Kind::Null | Kind::Nullable { .. } => other,
                other => Kind::Nullable { null_first, other: Box::new(other) },
            }),
            2 => records(inner),
        ]
    });
    let top = prop_oneof![1 => inner.clone(), 3 => records(inner)];
    // Bytes that are the whole value have no length behind an id, so that any length is one; the reference writes one.
    let top = top.prop_filter("bytes alone", |kind| !matches!(kind, Kind::Bytes));
    top.prop_map(|mut kind| {
        kind.give_names("N");
        kind
    })
}

fn records(inner: impl Strategy<Value = Kind>) -> impl Strategy<Value = Kind> {
    let fields = prop::collection::vec(inner, 0..6);
    fields.prop_map(|kinds| {
        let field = |(index, kind)| Field { name: format!("f{index}"), kind, default: None };
        Kind::Record { name: String::new(), fields: kinds.into_iter().enumerate().map(field).collect() }
    })
}

impl Kind {
    /// Names every named type by its path, so that names do not repeat and a reader's are the writer's.
    fn give_names(&mut self, path: &str) {
        match self {
            Kind::Fixed { name, .. } | Kind::Enum { name, .. } => *name = path.to_owned(),
            Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => {
                inner.give_names(&format!("{path}_i"));
            }
            Kind::Record { name, fields } => {
                *name = path.to_owned();
                fields.iter_mut().for_each(|field| field.kind.give_names(&format!("{path}_{}", field.name)));
            }
            _ => {}
        }
    }

    /// The schema's text.
    pub(super) fn json(&self) -> Json {
        match self {
            Kind::Null => json!("null"),
            Kind::Boolean => json!("boolean"),
            Kind::Int => json!("int"),
            Kind::Long => json!("long"),
            Kind::Float => json!("float"),
            Kind::Double => json!("double"),
            Kind::Bytes => json!("bytes"),
            Kind::String => json!("string"),
            Kind::Timestamp => json!({"type": "long", "logicalType": "timestamp-millis"}),
            Kind::Fixed { name, size } => json!({"type": "fixed", "name": name, "size": size}),
            Kind::Enum { name, symbols, default: None } => json!({"type": "enum", "name": name, "symbols": symbols}),
            Kind::Enum { name, symbols, default } => {
                json!({"type": "enum", "name": name, "symbols": symbols, "default": default})
            }
            Kind::Array(items) => json!({"type": "array", "items": items.json()}),
            Kind::Map(values) => json!({"type": "map", "values": values.json()}),
            Kind::Nullable { null_first: true, other } => json!(["null", other.json()]),
            Kind::Nullable { other, .. } => json!([other.json(), "null"]),
            Kind::Record { name, fields } => {
                let field = |field: &Field| match &field.default {
                    Some(default) => json!({"name": field.name, "type": field.kind.json(), "default": default}),
                    None => json!({"name": field.name, "type": field.kind.json()}),
                };
                json!({"type": "record", "name": name, "fields": fields.iter().map(field).collect::<Vec<_>>()})
            }
        }
    }

    /// A random value.
    pub(super) fn value(&self, random: &mut Random) -> Reference {
        match self {
            Kind::Null => Reference::Null,
            Kind::Boolean => Reference::Boolean(random.below(2) == 1),
            Kind::Int => Reference::Int((random.integer() >> 32) as i32),
            Kind::Long => Reference::Long(random.integer()),
            Kind::Float => Reference::Float(random.integer() as f32 / 7.0),
            Kind::Double => Reference::Double(random.integer() as f64 / 7.0),
            Kind::Bytes if random.below(2) == 0 => Reference::Bytes(random.text().into_bytes()),
            Kind::Bytes => Reference::Bytes((0..random.below(9)).map(|_| random.next() as u8).collect()),
            Kind::String => Reference::String(random.text()),
            Kind::Timestamp => Reference::TimestampMillis(random.integer()),
            Kind::Fixed { size, .. } => Reference::Fixed(*size, (0..*size).map(|_| random.next() as u8).collect()),
            Kind::Enum { symbols, .. } => {
                let index = random.below(symbols.len() as u64);
                Reference::Enum(index as u32, symbols[index as usize].clone())
            }
            Kind::Array(items) => Reference::Array((0..random.below(5)).map(|_| items.value(random)).collect()),
            Kind::Map(values) => {
                let entries = (0..random.below(4)).map(|_| (random.text(), values.value(random)));
                Reference::Map(entries.collect::<HashMap<_, _>>())
            }
            Kind::Nullable { null_first, other } => {
                let null = random.below(2) == 0;
                let value = if null { Reference::Null } else { other.value(random) };
                Reference::Union(u32::from(null != *null_first), Box::new(value))
            }
            Kind::Record { fields, .. } => {
                Reference::Record(fields.iter().map(|field| (field.name.clone(), field.kind.value(random))).collect())
            }
        }
    }

    /// A schema that may read what this one wrote: promoted, reordered, fields added and removed.
    pub(super) fn evolve(&self, random: &mut Random) -> Kind {
        let evolved = self.evolve_inside(random);
        match evolved {
            Kind::Null | Kind::Nullable { .. } => evolved,
            other if random.below(8) == 0 => {
                Kind::Nullable { null_first: random.below(2) == 0, other: Box::new(other) }
            }
            other => other,
        }
    }

    fn evolve_inside(&self, random: &mut Random) -> Kind {
        let choice = random.below(6);
        match (self, choice) {
            (Kind::Int, 0) => Kind::Long,
            (Kind::Int | Kind::Long | Kind::Float | Kind::Timestamp, 1) => Kind::Double,
            (Kind::Int | Kind::Long, 2) => Kind::Float,
            (Kind::Int | Kind::Long, 3) => Kind::Timestamp,
            (Kind::Timestamp, 3) => Kind::Long,
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
            (Kind::Record { name, fields }, _) => {
                let mut evolved = Vec::new();
                for field in fields.iter().filter(|_| random.below(6) > 0).collect::<Vec<_>>() {
                    evolved.push(Field { name: field.name.clone(), kind: field.kind.evolve(random), default: None });
                }
                if random.below(2) == 0 {
                    evolved.push(added(random));
                }
                if random.below(2) == 0 {
                    evolved.reverse();
                }
                Kind::Record { name: name.clone(), fields: evolved }
            }
            _ => self.clone(),
        }
    }
}

fn added(random: &mut Random) -> Field {
    let (kind, default) = match random.below(7) {
        0 => (Kind::Nullable { null_first: true, other: Box::new(Kind::String) }, Json::Null),
        1 => (Kind::Long, json!(-7)),
        2 => (Kind::String, json!("new")),
        3 => (Kind::Array(Box::new(Kind::Int)), json!([1, 2])),
        4 => (Kind::Map(Box::new(Kind::Double)), json!({"a": 1.5})),
        5 => (Kind::Boolean, json!(true)),
        _ => (Kind::Double, json!(2)),
    };
    Field { name: "added".to_owned(), kind, default: Some(default) }
}
