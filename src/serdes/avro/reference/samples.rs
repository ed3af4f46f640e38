//! Random schemas and values of them.

use std::collections::HashMap;

use apache_avro::types::Value as Reference;
use apache_avro::{Days, Decimal, Duration, Millis, Months};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::record::TemporalUnit;

/// A type of a random schema.
#[derive(Clone, Debug, PartialEq)]
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
    Temporal(TemporalUnit),
    Decimal {
        name: String,
        precision: usize,
        scale: usize,
        size: Option<usize>,
    },
    Uuid,
    Duration {
        name: String,
    },
    Fixed {
        name: String,
        size: usize,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Array(Box<Kind>),
    Map(Box<Kind>),
    Nullable {
        null_first: bool,
        other: Box<Kind>,
    },
    Union(Vec<Kind>),
    Record {
        name: String,
        fields: Vec<Field>,
    },
    /// The record around it, at this many records' distance.
    Again(usize, String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) kind: Kind,
    pub(super) default: Option<Json>,
}

impl Field {
    pub(super) fn new(name: String, kind: Kind) -> Self {
        Field { name, aliases: Vec::new(), kind, default: None }
    }
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

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Schemas a few levels deep.
pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let kinds = any::<u64>().prop_map(|seed| Kind::random(&mut Random(seed | 1)));
    // Bytes that are the whole value have no length behind an id, so that any length is one; the reference writes one.
    kinds.prop_filter("bytes alone", |kind| !kind.is_bytes())
}

impl Kind {
    /// A schema, mostly a record.
    pub(super) fn random(random: &mut Random) -> Kind {
        let mut kind = if random.below(4) == 0 { Kind::nested(random, 4, 0) } else { Kind::record(random, 4, 0) };
        kind.give_names("N");
        kind
    }

    fn leaf(random: &mut Random) -> Kind {
        let unnamed = String::new;
        match random.below(18) {
            0 => Kind::Null,
            1 => Kind::Boolean,
            2 => Kind::Int,
            3 => Kind::Long,
            4 => Kind::Float,
            5 => Kind::Double,
            6 => Kind::Bytes,
            7 | 8 => Kind::String,
            9 => Kind::Timestamp,
            10 | 11 => Kind::Temporal(TemporalUnit::ALL[random.below(8) as usize]),
            12 | 13 => {
                let precision = 1 + random.below(38) as usize;
                let size = (random.below(2) == 0).then(|| 16 + random.below(5) as usize);
                let scale = random.below(precision as u64 + 1) as usize;
                Kind::Decimal { name: unnamed(), precision, scale, size }
            }
            14 => Kind::Uuid,
            15 => Kind::Duration { name: unnamed() },
            16 => Kind::Fixed { name: unnamed(), size: random.below(5) as usize },
            _ => Kind::Enum {
                name: unnamed(),
                symbols: (0..=random.below(4)).map(|index| format!("S{index}")).collect(),
                default: None,
            },
        }
    }

    /// `depth` levels are left; `records` are around.
    fn nested(random: &mut Random, depth: u64, records: usize) -> Kind {
        if depth == 0 {
            return Kind::leaf(random);
        }
        let inner = |random: &mut Random| Box::new(Kind::nested(random, depth - 1, records));
        match random.below(12) {
            0 => Kind::Array(inner(random)),
            1 => Kind::Map(inner(random)),
            2 | 3 => match *inner(random) {
                flat @ (Kind::Null | Kind::Nullable { .. } | Kind::Union(_)) => flat,
                other => Kind::Nullable { null_first: random.below(2) == 0, other: Box::new(other) },
            },
            4 | 5 => Kind::union(random, depth - 1, records),
            6 if records > 0 => {
                let again = Kind::Again(random.below(records as u64) as usize, String::new());
                match random.below(3) {
                    0 => Kind::Array(Box::new(again)),
                    1 => Kind::Union(vec![Kind::Null, Kind::Boolean, again]),
                    _ => Kind::Nullable { null_first: random.below(2) == 0, other: Box::new(again) },
                }
            }
            7 | 8 => Kind::record(random, depth - 1, records),
            _ => Kind::leaf(random),
        }
    }

    fn record(random: &mut Random, depth: u64, records: usize) -> Kind {
        let field = |index| format!("f{index}");
        let fields = (0..random.below(6))
            .map(|index| Field::new(field(index), Kind::nested(random, depth.saturating_sub(1), records + 1)))
            .collect();
        Kind::Record { name: String::new(), fields }
    }

    /// A union of kinds that also the reference tells apart.
    fn union(random: &mut Random, depth: u64, records: usize) -> Kind {
        let mut branches = Vec::new();
        let mut add = |random: &mut Random, kind: Kind| {
            let place = random.below(branches.len() as u64 + 1) as usize;
            branches.insert(place, kind);
        };
        if random.below(2) == 0 {
            add(random, Kind::Null);
        }
        if random.below(3) == 0 {
            add(random, Kind::Boolean);
        }
        if random.below(2) == 0 {
            let number = [Kind::Int, Kind::Long, Kind::Float, Kind::Double][random.below(4) as usize].clone();
            add(random, number);
        }
        if random.below(2) == 0 {
            let text = [Kind::String, Kind::Bytes, Kind::Fixed { name: String::new(), size: 3 }]
                [random.below(3) as usize]
                .clone();
            add(random, text);
        }
        if random.below(3) == 0 {
            let unit = TemporalUnit::ALL[random.below(8) as usize];
            add(random, Kind::Temporal(unit));
        }
        if random.below(4) == 0 {
            let decimal = Kind::Decimal { name: String::new(), precision: 9, scale: 2, size: None };
            add(random, decimal);
        }
        if random.below(3) == 0 {
            let inner = Kind::nested(random, depth.saturating_sub(1), records);
            let container =
                if random.below(2) == 0 { Kind::Array(Box::new(inner)) } else { Kind::Map(Box::new(inner)) };
            add(random, container);
        }
        for branch in 0..random.below(3) {
            let Kind::Record { fields, .. } = Kind::record(random, depth.saturating_sub(1), records) else { continue };
            let mut fields: Vec<Field> =
                fields.into_iter().map(|field| Field { name: format!("b{branch}{}", field.name), ..field }).collect();
            // What no other branch has, so that the reference does not take one for the other.
            fields.insert(0, Field::new(format!("only{branch}"), Kind::Long));
            add(random, Kind::Record { name: String::new(), fields });
        }
        match branches.len() {
            0 => Kind::Null,
            _ => Kind::Union(branches),
        }
    }

    /// Names every named type by its path, so that names do not repeat and a reader's are the writer's.
    fn give_names(&mut self, path: &str) {
        self.name_within(path, &mut Vec::new());
    }

    fn name_within(&mut self, path: &str, around: &mut Vec<String>) {
        match self {
            Kind::Fixed { name, .. }
            | Kind::Enum { name, .. }
            | Kind::Decimal { name, .. }
            | Kind::Duration { name } => {
                *name = path.to_owned();
            }
            Kind::Array(inner) | Kind::Map(inner) | Kind::Nullable { other: inner, .. } => {
                inner.name_within(&format!("{path}_i"), around);
            }
            Kind::Union(branches) => {
                for (index, branch) in branches.iter_mut().enumerate() {
                    branch.name_within(&format!("{path}_u{index}"), around);
                }
            }
            Kind::Record { name, fields } => {
                *name = path.to_owned();
                around.push(path.to_owned());
                fields.iter_mut().for_each(|field| field.kind.name_within(&format!("{path}_{}", field.name), around));
                around.pop();
            }
            Kind::Again(distance, name) => {
                *name = around.iter().rev().nth(*distance).cloned().unwrap_or_default();
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
            Kind::Temporal(unit) => {
                json!({"type": if unit.is_int() { "int" } else { "long" }, "logicalType": unit.name()})
            }
            Kind::Decimal { precision, scale, size: None, .. } => {
                json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
            }
            Kind::Decimal { name, precision, scale, size: Some(size) } => json!({
                "type": "fixed", "name": name, "size": size, "logicalType": "decimal", "precision": precision, "scale": scale
            }),
            Kind::Uuid => json!({"type": "string", "logicalType": "uuid"}),
            Kind::Duration { name } => json!({"type": "fixed", "name": name, "size": 12, "logicalType": "duration"}),
            Kind::Fixed { name, size } => json!({"type": "fixed", "name": name, "size": size}),
            Kind::Enum { name, symbols, default: None } => json!({"type": "enum", "name": name, "symbols": symbols}),
            Kind::Enum { name, symbols, default } => {
                json!({"type": "enum", "name": name, "symbols": symbols, "default": default})
            }
            Kind::Array(items) => json!({"type": "array", "items": items.json()}),
            Kind::Map(values) => json!({"type": "map", "values": values.json()}),
            Kind::Nullable { null_first: true, other } => json!(["null", other.json()]),
            Kind::Nullable { other, .. } => json!([other.json(), "null"]),
            Kind::Union(branches) => Json::Array(branches.iter().map(Kind::json).collect()),
            Kind::Record { name, fields } => {
                let field = |field: &Field| {
                    let mut json = json!({"name": field.name, "type": field.kind.json()});
                    if let Some(default) = &field.default {
                        json["default"] = default.clone();
                    }
                    if !field.aliases.is_empty() {
                        json["aliases"] = json!(field.aliases);
                    }
                    json
                };
                json!({"type": "record", "name": name, "fields": fields.iter().map(field).collect::<Vec<_>>()})
            }
            Kind::Again(_, name) => json!(name),
        }
    }

    /// A random value.
    pub(super) fn value(&self, random: &mut Random) -> Reference {
        self.value_within(random, &mut Vec::new())
    }

    fn value_within<'k>(&'k self, random: &mut Random, around: &mut Vec<&'k Kind>) -> Reference {
        let shallow = around.len() < 4;
        match self {
            Kind::Array(items) if shallow => {
                Reference::Array((0..random.below(4)).map(|_| items.value_within(random, around)).collect())
            }
            Kind::Array(_) => Reference::Array(Vec::new()),
            Kind::Map(values) => {
                let count = if shallow { random.below(3) } else { 0 };
                let entries = (0..count).map(|_| (random.text(), values.value_within(random, around)));
                Reference::Map(entries.collect::<HashMap<_, _>>())
            }
            Kind::Nullable { null_first, other } => {
                let null = !shallow || random.below(2) == 0;
                let value = if null { Reference::Null } else { other.value_within(random, around) };
                Reference::Union(u32::from(null != *null_first), Box::new(value))
            }
            Kind::Union(branches) => {
                let null = branches.iter().position(|branch| *branch == Kind::Null);
                let index = match null {
                    Some(null) if !shallow => null,
                    _ => random.below(branches.len() as u64) as usize,
                };
                Reference::Union(index as u32, Box::new(branches[index].value_within(random, around)))
            }
            Kind::Record { fields, .. } => {
                around.push(self);
                let values = fields.iter().map(|field| (field.name.clone(), field.kind.value_within(random, around)));
                let record = Reference::Record(values.collect());
                around.pop();
                record
            }
            Kind::Again(_, name) => {
                let named = |kind: &&&Kind| matches!(kind, Kind::Record { name: other, .. } if other == name);
                let record = around.iter().rev().find(named).copied().expect("the record is around");
                record.value_within(random, around)
            }
            leaf => leaf.leaf_value(random),
        }
    }

    fn leaf_value(&self, random: &mut Random) -> Reference {
        match self {
            Kind::Boolean => Reference::Boolean(random.below(2) == 1),
            Kind::Int => Reference::Int((random.integer() >> 32) as i32),
            Kind::Long => Reference::Long(random.integer()),
            Kind::Float => Reference::Float(random.integer() as f32 / 7.0),
            Kind::Double => Reference::Double(random.integer() as f64 / 7.0),
            Kind::Bytes if random.below(2) == 0 => Reference::Bytes(random.text().into_bytes()),
            Kind::Bytes => {
                let count = random.below(9) as usize;
                Reference::Bytes(random.bytes(count))
            }
            Kind::String => Reference::String(random.text()),
            Kind::Timestamp => Reference::TimestampMillis(random.integer()),
            Kind::Temporal(unit) => time(*unit, random.integer()),
            // As many bytes as all digits need: the reference refuses to resolve fewer.
            Kind::Decimal { precision, size, .. } => {
                let limit = 10_i128.pow(*precision as u32);
                let wide = i128::from(random.integer()) * i128::from(random.integer());
                let digits = (wide % limit).to_be_bytes();
                let sign = if digits[0] >= 0x80 { 0xff } else { 0 };
                let mut bytes = vec![sign; size.unwrap_or(17) - 16];
                bytes.extend_from_slice(&digits);
                Reference::Decimal(Decimal::from(bytes))
            }
            Kind::Uuid => Reference::Uuid(apache_avro::Uuid::from_u128(
                u128::from(random.next()) << 64 | u128::from(random.next()),
            )),
            Kind::Duration { .. } => {
                let mut part = || random.next() as u32;
                Reference::Duration(Duration::new(Months::new(part()), Days::new(part()), Millis::new(part())))
            }
            Kind::Fixed { size, .. } => Reference::Fixed(*size, random.bytes(*size)),
            Kind::Enum { symbols, .. } => {
                let index = random.below(symbols.len() as u64);
                Reference::Enum(index as u32, symbols[index as usize].clone())
            }
            _ => Reference::Null,
        }
    }
}

fn time(unit: TemporalUnit, count: i64) -> Reference {
    match unit {
        TemporalUnit::Date => Reference::Date((count >> 32) as i32),
        TemporalUnit::TimeMillis => Reference::TimeMillis((count >> 32) as i32),
        TemporalUnit::TimeMicros => Reference::TimeMicros(count),
        TemporalUnit::TimestampMicros => Reference::TimestampMicros(count),
        TemporalUnit::TimestampNanos => Reference::TimestampNanos(count),
        TemporalUnit::LocalTimestampMillis => Reference::LocalTimestampMillis(count),
        TemporalUnit::LocalTimestampMicros => Reference::LocalTimestampMicros(count),
        TemporalUnit::LocalTimestampNanos => Reference::LocalTimestampNanos(count),
    }
}
