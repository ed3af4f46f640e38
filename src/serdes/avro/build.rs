//! Builds the types of a schema from what the library parsed: references followed, limits kept.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, EnumSchema, FixedSchema, Name, RecordField, RecordSchema};
use serde_json::Value as Json;

use super::default::default_value;
use super::schema::{
    DecimalType, EnumType, FieldType, FixedType, Names, RecordType, Reference, Type, UnionType, interned,
};
use crate::record::{EnumShape, Field, RecursiveShape, StructShape, TemporalUnit, Text};

/// How deep schemas may nest. Those that contain themselves are as deep as their values.
const MAX_DEPTH: usize = 64;

/// How many types a schema may have once references are followed, against schemas that double at each level.
const MAX_TYPES: usize = 20_000;

/// How many bytes a decimal of fixed size may have, which are written for each. Sixteen hold 38 digits.
const MAX_DECIMAL_BYTES: usize = 4_096;

/// Where the logical type of a fixed stands that the library would forget the name and size of.
const KEPT: &str = "signalstreamLogicalType";

/// Where the default of a field stands that the library would refuse, because it has decimals in it.
const KEPT_DEFAULT: &str = "signalstreamDefault";

impl Type {
    /// Follows a parsed schema. Fails, with the path of the place and a sentence, on what is not supported.
    pub(in crate::serdes) fn new(schema: &Schema) -> Result<Type, (String, String)> {
        Builder { named: HashMap::new(), path: Vec::new(), types: 0 }.build(schema, None)
    }
}

/// Puts aside what the library gets wrong. Of a fixed that is a UUID or a duration it would keep nothing else, so that
/// neither the canonical form nor references would have the name; and it refuses every default of a decimal.
pub(in crate::serdes) fn put_aside(schema: &mut Json) {
    match schema {
        Json::Array(branches) => branches.iter_mut().for_each(put_aside),
        Json::Object(object) => {
            let is_fixed = object.get("type").and_then(Json::as_str) == Some("fixed");
            let logical = object.get("logicalType").and_then(Json::as_str);
            if is_fixed && matches!(logical, Some("uuid" | "duration")) {
                let logical = object.remove("logicalType").unwrap_or_default();
                object.insert(KEPT.to_owned(), logical);
            }
            // The logical type may stand around the fixed, too.
            let inner = object.get("type").and_then(|kind| kind.get("type")).and_then(Json::as_str);
            if inner == Some("fixed")
                && let Some(logical) = object.remove("logicalType")
                && let Some(inner) = object.get_mut("type").and_then(Json::as_object_mut)
            {
                inner.insert("logicalType".to_owned(), logical);
            }
            for key in ["type", "items", "values"] {
                object.get_mut(key).into_iter().for_each(put_aside);
            }
            let fields = object.get_mut("fields").and_then(Json::as_array_mut);
            for field in fields.into_iter().flatten() {
                field.get_mut("type").into_iter().for_each(put_aside);
                if let Some(field) = field.as_object_mut()
                    && field.get("type").is_some_and(has_decimal)
                    && let Some(default) = field.remove("default")
                {
                    field.insert(KEPT_DEFAULT.to_owned(), default);
                }
            }
        }
        _ => {}
    }
}

fn has_decimal(schema: &Json) -> bool {
    match schema {
        Json::Array(branches) => branches.iter().any(has_decimal),
        Json::Object(object) => {
            object.get("logicalType").and_then(Json::as_str) == Some("decimal") || object.values().any(has_decimal)
        }
        _ => false,
    }
}

/// What is known of a name.
enum Named {
    /// A record that is being built: what refers to it, and whether the way to here always has one in it, so that no value
    /// would ever end.
    Open { reference: Option<Reference>, depth: usize },
    /// What it stands for, and how many types that is.
    Built(Type, usize),
}

struct Builder<'a> {
    /// The records, enums and fixed seen so far, by full name.
    named: HashMap<String, Named>,
    /// The way to the place, each part with whether a value may do without what follows.
    path: Vec<(&'a str, bool)>,
    types: usize,
}

impl<'a> Builder<'a> {
    fn build(&mut self, schema: &'a Schema, namespace: Option<&str>) -> Result<Type, (String, String)> {
        self.types += 1;
        if self.types > MAX_TYPES {
            return Err(self.refuse(format!("the schema has more than {MAX_TYPES} types, which is not supported")));
        }
        if self.path.len() > MAX_DEPTH {
            return Err(
                self.refuse(format!("the schema nests more than {MAX_DEPTH} levels deep, which is not supported"))
            );
        }
        if let Some(plain) = plain(schema) {
            return Ok(plain);
        }
        Ok(match schema {
            Schema::Array(array) => Type::Array(Arc::new(self.nested("[]", true, &array.items, namespace)?)),
            Schema::Map(map) => Type::Map(Arc::new(self.nested("[]", true, &map.types, namespace)?)),
            Schema::Union(union) => self.union(union.variants(), namespace)?,
            Schema::Ref { name } => return self.reference(&full_name(name, namespace)),
            Schema::Fixed(fixed) => self.fixed(fixed, namespace)?,
            Schema::Decimal(decimal) => self.decimal(decimal, namespace)?,
            Schema::Enum(enumeration) => self.enumeration(enumeration, namespace),
            Schema::Record(record) => self.record(record, namespace)?,
            other => return Err(self.refuse(format!("the type {other} is not supported"))),
        })
    }

    /// Types inside this one; `optional` is whether there may be none.
    fn nested(
        &mut self,
        segment: &'a str,
        optional: bool,
        schema: &'a Schema,
        namespace: Option<&str>,
    ) -> Result<Type, (String, String)> {
        self.path.push((segment, optional));
        let built = self.build(schema, namespace)?;
        self.path.pop();
        Ok(built)
    }

    fn fields(
        &mut self,
        fields: &'a [RecordField],
        namespace: Option<&str>,
    ) -> Result<Vec<FieldType>, (String, String)> {
        let build = |field: &'a RecordField| {
            let kind = self.nested(&field.name, false, &field.schema, namespace)?;
            let kept = field.custom_attributes.get(KEPT_DEFAULT);
            if let Some(message) = kept.and_then(|default| default_value(&kind, default).err()) {
                return Err(self.refuse(format!("{}: {message}", field.name)));
            }
            let aliases = field.aliases.clone().unwrap_or_default();
            let default = field.default.as_ref().or(kept).cloned();
            Ok(FieldType { name: Text::from(field.name.as_str()), aliases, default, kind })
        };
        fields.iter().map(build).collect()
    }

    fn record(&mut self, record: &'a RecordSchema, namespace: Option<&str>) -> Result<Type, (String, String)> {
        let full = full_name(&record.name, namespace);
        let own_namespace = full.rsplit_once('.').map(|(namespace, _)| namespace.to_owned());
        self.named.insert(full.clone(), Named::Open { reference: None, depth: self.path.len() });
        let before = self.types;
        let fields = self.fields(&record.fields, own_namespace.as_deref())?;
        let shapes = fields.iter().map(|field| Field { name: field.name.clone(), shape: field.kind.shape() });
        let shape = Arc::new(StructShape::new(record.name.name.clone(), shapes.collect()));
        let names = Names::new(&record.name, full.clone(), record.aliases.as_ref());
        let built = Arc::new(RecordType { names, shape, fields });
        let weight = self.types - before;
        let open = self.named.insert(full, Named::Built(Type::Record(Arc::clone(&built)), weight));
        if let Some(Named::Open { reference: Some(reference), .. }) = open {
            reference.shape.set(&built.shape);
            // It was made for this record and has none yet.
            drop(reference.record.set(Arc::downgrade(&built)));
        }
        Ok(Type::Record(built))
    }

    fn union(&mut self, variants: &'a [Schema], namespace: Option<&str>) -> Result<Type, (String, String)> {
        if variants.is_empty() {
            return Err(self.refuse("a union without types has no values".to_owned()));
        }
        // What it is in ends if any branch does: one that comes back is no harm beside another.
        let way_out = variants.len() > 1;
        if let (true, Some(last)) = (way_out, self.path.last_mut()) {
            last.1 = true;
        } else if way_out {
            self.path.push(("", true));
        }
        let branches: Vec<Type> =
            variants.iter().map(|variant| self.build(variant, namespace)).collect::<Result<_, _>>()?;
        if self.path.last() == Some(&("", true)) {
            self.path.pop();
        }
        Ok(match &branches[..] {
            [Type::Null, other] => Type::Nullable(0, Arc::new(other.clone())),
            [other, Type::Null] => Type::Nullable(1, Arc::new(other.clone())),
            _ => Type::Union(Arc::new(UnionType { branches })),
        })
    }

    fn fixed(&mut self, fixed: &FixedSchema, namespace: Option<&str>) -> Result<Type, (String, String)> {
        let full = full_name(&fixed.name, namespace);
        let names = Names::new(&fixed.name, full.clone(), fixed.aliases.as_ref());
        let plain = Arc::new(FixedType { names, size: fixed.size });
        let built = match (fixed.attributes.get(KEPT).and_then(Json::as_str), fixed.size) {
            (Some("uuid"), 16) => Type::Uuid(Some(plain)),
            (Some("duration"), 12) => Type::Duration(plain),
            // One of another size is to be ignored (Avro 1.12 specification, "Logical Types").
            _ => Type::Fixed(plain),
        };
        Ok(self.name(full, built))
    }

    fn decimal(&mut self, decimal: &'a DecimalSchema, namespace: Option<&str>) -> Result<Type, (String, String)> {
        let fixed = match decimal.inner.as_ref() {
            Schema::Fixed(fixed) => {
                let full = full_name(&fixed.name, namespace);
                let names = Names::new(&fixed.name, full, fixed.aliases.as_ref());
                Some(Arc::new(FixedType { names, size: fixed.size }))
            }
            _ => None,
        };
        let Some(scale) = u32::try_from(decimal.scale).ok().filter(|scale| *scale <= 38) else {
            let message = format!("a decimal of scale {}; the engine holds 38 digits", decimal.scale);
            return Err(self.refuse(message));
        };
        if let Some(fixed) = fixed.as_ref().filter(|fixed| fixed.size > MAX_DECIMAL_BYTES) {
            let message = format!("a decimal of {} bytes; at most {MAX_DECIMAL_BYTES} are supported", fixed.size);
            return Err(self.refuse(message));
        }
        let full = fixed.as_ref().map(|fixed| fixed.names.full.clone());
        if let (Some(full), Some(fixed)) = (&full, &fixed)
            && decimal.precision > digits_of(fixed.size)
        {
            // What is no right logical type is to be ignored (Avro 1.12 specification, "Logical Types").
            return Ok(self.name(full.clone(), Type::Fixed(Arc::clone(fixed))));
        }
        let built = Type::Decimal(Arc::new(DecimalType { precision: decimal.precision, scale, fixed }));
        Ok(match full {
            Some(full) => self.name(full, built),
            None => built,
        })
    }

    fn enumeration(&mut self, enumeration: &EnumSchema, namespace: Option<&str>) -> Type {
        let full = full_name(&enumeration.name, namespace);
        let symbols: Vec<Text> = enumeration.symbols.iter().map(|symbol| interned(symbol)).collect();
        let default = enumeration.default.as_deref().map(interned);
        let names = Names::new(&enumeration.name, full.clone(), enumeration.aliases.as_ref());
        let shape = Arc::new(EnumShape { name: enumeration.name.name.clone(), symbols });
        self.name(full, Type::Enum(Arc::new(EnumType { names, shape, default })))
    }

    fn name(&mut self, full: String, built: Type) -> Type {
        self.named.insert(full, Named::Built(built.clone(), 1));
        built
    }

    fn reference(&mut self, full: &str) -> Result<Type, (String, String)> {
        let endless = format!("`{full}` contains itself wherever it is, so that no value of it would ever end");
        match self.named.get_mut(full) {
            // What a reference brings in counts: plans are made of it once per place.
            Some(Named::Built(_, weight)) if self.types.saturating_add(*weight) > MAX_TYPES => {
                Err(self.refuse(format!("the schema has more than {MAX_TYPES} types, which is not supported")))
            }
            Some(Named::Built(built, weight)) => {
                self.types += *weight;
                Ok(built.clone())
            }
            Some(Named::Open { depth, .. }) if self.path.iter().skip(*depth).all(|(_, optional)| !optional) => {
                Err(self.refuse(endless))
            }
            Some(Named::Open { reference, .. }) => {
                let short = full.rsplit('.').next().unwrap_or(full);
                let made = || Reference { shape: RecursiveShape::new(short), record: Arc::new(OnceLock::new()) };
                Ok(Type::Recursive(reference.get_or_insert_with(made).clone()))
            }
            None => Err(self.refuse(format!("there is no type `{full}`"))),
        }
    }

    fn refuse(&self, message: String) -> (String, String) {
        let path: Vec<&str> = self.path.iter().map(|(segment, _)| *segment).filter(|part| !part.is_empty()).collect();
        (path.join("."), message)
    }
}

/// How many digits so many bytes hold in two's complement.
fn digits_of(bytes: usize) -> usize {
    ((bytes * 8).saturating_sub(1) as f64 * std::f64::consts::LOG10_2) as usize
}

/// A type without names and parts.
fn plain(schema: &Schema) -> Option<Type> {
    Some(match schema {
        Schema::Null => Type::Null,
        Schema::Boolean => Type::Boolean,
        Schema::Int => Type::Int,
        Schema::Long => Type::Long,
        Schema::Float => Type::Float,
        Schema::Double => Type::Double,
        // The library's own decimals, whose scale stands in the value, are no part of the specification.
        Schema::Bytes | Schema::BigDecimal => Type::Bytes,
        Schema::String => Type::String,
        Schema::Uuid => Type::Uuid(None),
        Schema::TimestampMillis => Type::TimestampMillis,
        Schema::Date => Type::Temporal(TemporalUnit::Date),
        Schema::TimeMillis => Type::Temporal(TemporalUnit::TimeMillis),
        Schema::TimeMicros => Type::Temporal(TemporalUnit::TimeMicros),
        Schema::TimestampMicros => Type::Temporal(TemporalUnit::TimestampMicros),
        Schema::TimestampNanos => Type::Temporal(TemporalUnit::TimestampNanos),
        Schema::LocalTimestampMillis => Type::Temporal(TemporalUnit::LocalTimestampMillis),
        Schema::LocalTimestampMicros => Type::Temporal(TemporalUnit::LocalTimestampMicros),
        Schema::LocalTimestampNanos => Type::Temporal(TemporalUnit::LocalTimestampNanos),
        _ => return None,
    })
}

fn full_name(name: &Name, namespace: Option<&str>) -> String {
    match name.namespace.as_deref().or(namespace) {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}.{}", name.name),
        _ => name.name.clone(),
    }
}
