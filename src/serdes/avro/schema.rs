//! An Avro schema as the engine uses it: references followed, with the shape of what it describes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::schema::{Alias, Name, RecordField};

use crate::record::{EnumShape, Field, Shape, StructShape, Text};

/// How deep schemas may nest; it bounds the depth of decoding too, since recursive schemas are refused.
const MAX_DEPTH: usize = 64;

/// How many types a schema may have once references are followed, against schemas that double at each level.
const MAX_TYPES: usize = 20_000;

/// A type of a schema.
#[derive(Clone, Debug)]
pub(in crate::serdes) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    TimestampMillis,
    Fixed(Arc<FixedType>),
    Enum(Arc<EnumType>),
    Array(Arc<Type>),
    Map(Arc<Type>),
    /// A union of null, at this index, and one other type.
    Nullable(i64, Arc<Type>),
    Record(Arc<RecordType>),
}

/// The names a type goes by: without their namespaces, which resolution does not compare.
#[derive(Debug)]
pub(in crate::serdes) struct Names {
    pub(in crate::serdes) name: String,
    pub(in crate::serdes) aliases: Vec<String>,
}

impl Names {
    fn new(name: &Name, aliases: Option<&Vec<Alias>>) -> Self {
        let aliases = aliases.into_iter().flatten().map(Alias::name).collect();
        Names { name: name.name.clone(), aliases }
    }

    /// Whether a reader's type of these names may read what the writer calls `writer`.
    pub(in crate::serdes) fn read(&self, writer: &Names) -> bool {
        self.name == writer.name || self.aliases.contains(&writer.name)
    }
}

#[derive(Debug)]
pub(in crate::serdes) struct FixedType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) size: usize,
}

#[derive(Debug)]
pub(in crate::serdes) struct EnumType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) shape: Arc<EnumShape>,
    /// The symbol to read in place of one that is not known.
    pub(in crate::serdes) default: Option<Text>,
}

#[derive(Debug)]
pub(in crate::serdes) struct RecordType {
    pub(in crate::serdes) names: Names,
    pub(in crate::serdes) shape: Arc<StructShape>,
    pub(in crate::serdes) fields: Vec<FieldType>,
}

#[derive(Debug)]
pub(in crate::serdes) struct FieldType {
    pub(in crate::serdes) name: Text,
    pub(in crate::serdes) aliases: Vec<String>,
    pub(in crate::serdes) default: Option<serde_json::Value>,
    pub(in crate::serdes) kind: Type,
}

impl Type {
    /// Follows a parsed schema. Fails, with the path of the place and a sentence, on what is not supported.
    pub(in crate::serdes) fn new(schema: &Schema) -> Result<Type, (String, String)> {
        Builder { named: Vec::new(), path: Vec::new(), types: 0 }.build(schema, None)
    }

    /// The shape of values of this type.
    pub(in crate::serdes) fn shape(&self) -> Shape {
        match self {
            Type::Null => Shape::Null,
            Type::Boolean => Shape::Bool,
            Type::Int | Type::Long => Shape::Int,
            Type::Float | Type::Double => Shape::Double,
            Type::Bytes | Type::Fixed(_) => Shape::Bytes,
            Type::String => Shape::String,
            Type::TimestampMillis => Shape::Timestamp,
            Type::Enum(enumeration) => Shape::Enum(Arc::clone(&enumeration.shape)),
            Type::Array(items) => Shape::list(items.shape()),
            Type::Map(values) => Shape::map(values.shape()),
            Type::Nullable(_, inner) => inner.shape().optional(),
            Type::Record(record) => Shape::Struct(Arc::clone(&record.shape)),
        }
    }

    /// The fewest bytes a value takes. Zero only for types whose values never take any.
    pub(in crate::serdes) fn smallest(&self) -> usize {
        match self {
            Type::Null => 0,
            Type::Float => 4,
            Type::Double => 8,
            Type::Fixed(fixed) => fixed.size,
            Type::Record(record) => {
                record.fields.iter().fold(0, |sum: usize, field| sum.saturating_add(field.kind.smallest()))
            }
            _ => 1,
        }
    }

    /// The type's name for messages: `string`, `array of long`, `enum Sender`.
    pub(in crate::serdes) fn name(&self) -> String {
        match self {
            Type::Null => "null".to_owned(),
            Type::Boolean => "boolean".to_owned(),
            Type::Int => "int".to_owned(),
            Type::Long => "long".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::TimestampMillis => "timestamp-millis".to_owned(),
            Type::Fixed(fixed) => format!("fixed {} of {} bytes", fixed.names.name, fixed.size),
            Type::Enum(enumeration) => format!("enum {}", enumeration.names.name),
            Type::Array(items) => format!("array of {}", items.name()),
            Type::Map(values) => format!("map of {}", values.name()),
            Type::Nullable(_, inner) => format!("{} or null", inner.name()),
            Type::Record(record) => format!("record {}", record.names.name),
        }
    }
}

struct Builder<'a> {
    /// The records, enums and fixed seen so far by full name; a record is `None` while it is being built.
    named: Vec<(String, Option<Type>, usize)>,
    path: Vec<&'a str>,
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
        Ok(match schema {
            Schema::Null => Type::Null,
            Schema::Boolean => Type::Boolean,
            Schema::Int => Type::Int,
            Schema::Long => Type::Long,
            Schema::Float => Type::Float,
            Schema::Double => Type::Double,
            Schema::Bytes => Type::Bytes,
            Schema::String => Type::String,
            Schema::TimestampMillis => Type::TimestampMillis,
            Schema::Array(array) => Type::Array(Arc::new(self.nested("[]", &array.items, namespace)?)),
            Schema::Map(map) => Type::Map(Arc::new(self.nested("[]", &map.types, namespace)?)),
            Schema::Union(union) => self.union(union.variants(), namespace)?,
            Schema::Ref { name } => return self.reference(&full_name(name, namespace)),
            Schema::Fixed(fixed) => {
                let names = Names::new(&fixed.name, fixed.aliases.as_ref());
                self.name(
                    full_name(&fixed.name, namespace),
                    Type::Fixed(Arc::new(FixedType { names, size: fixed.size })),
                )
            }
            Schema::Enum(enumeration) => {
                let symbols: Vec<Text> = enumeration.symbols.iter().map(|symbol| interned(symbol)).collect();
                let default = enumeration.default.as_deref().map(interned);
                let names = Names::new(&enumeration.name, enumeration.aliases.as_ref());
                let shape = Arc::new(EnumShape { name: enumeration.name.name.clone(), symbols });
                let built = Type::Enum(Arc::new(EnumType { names, shape, default }));
                self.name(full_name(&enumeration.name, namespace), built)
            }
            Schema::Record(record) => {
                let full = full_name(&record.name, namespace);
                let own_namespace = full.rsplit_once('.').map(|(namespace, _)| namespace.to_owned());
                self.named.push((full.clone(), None, 0));
                let before = self.types;
                let fields = self.fields(&record.fields, own_namespace.as_deref())?;
                let shapes = fields.iter().map(|field| Field { name: field.name.clone(), shape: field.kind.shape() });
                let shape = Arc::new(StructShape::new(record.name.name.clone(), shapes.collect()));
                let names = Names::new(&record.name, record.aliases.as_ref());
                let built = Type::Record(Arc::new(RecordType { names, shape, fields }));
                let weight = self.types - before;
                if let Some(entry) = self.named.iter_mut().find(|entry| entry.0 == full) {
                    *entry = (full, Some(built.clone()), weight);
                }
                built
            }
            other => {
                let message = format!("the logical type {other} is not supported yet");
                return Err(self.refuse(message));
            }
        })
    }

    fn nested(
        &mut self,
        segment: &'a str,
        schema: &'a Schema,
        namespace: Option<&str>,
    ) -> Result<Type, (String, String)> {
        self.path.push(segment);
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
            Ok(FieldType {
                name: Text::from(field.name.as_str()),
                aliases: field.aliases.clone().unwrap_or_default(),
                default: field.default.clone(),
                kind: self.nested(&field.name, &field.schema, namespace)?,
            })
        };
        fields.iter().map(build).collect()
    }

    fn union(&mut self, variants: &'a [Schema], namespace: Option<&str>) -> Result<Type, (String, String)> {
        match variants {
            [Schema::Null, other] => Ok(Type::Nullable(0, Arc::new(self.build(other, namespace)?))),
            [other, Schema::Null] => Ok(Type::Nullable(1, Arc::new(self.build(other, namespace)?))),
            _ => Err(self.refuse("unions other than of null and one type are not supported yet".to_owned())),
        }
    }

    fn name(&mut self, full: String, built: Type) -> Type {
        self.named.push((full, Some(built.clone()), 1));
        built
    }

    fn reference(&mut self, full: &str) -> Result<Type, (String, String)> {
        match self.named.iter().find(|entry| entry.0 == full) {
            // What a reference brings in counts: plans are made of it once per place.
            Some((_, Some(_), weight)) if self.types.saturating_add(*weight) > MAX_TYPES => {
                Err(self.refuse(format!("the schema has more than {MAX_TYPES} types, which is not supported")))
            }
            Some((_, Some(built), weight)) => {
                self.types += weight;
                Ok(built.clone())
            }
            Some((_, None, _)) => {
                Err(self.refuse(format!("`{full}` refers to itself; recursive schemas are not supported yet")))
            }
            None => Err(self.refuse(format!("there is no type `{full}`"))),
        }
    }

    fn refuse(&self, message: String) -> (String, String) {
        (self.path.join("."), message)
    }
}

fn full_name(name: &Name, namespace: Option<&str>) -> String {
    match name.namespace.as_deref().or(namespace) {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}.{}", name.name),
        _ => name.name.clone(),
    }
}

/// Text that lives as long as the process and is the same for equal symbols.
///
/// Every record of every thread clones its symbols. Counted text would have all threads write to one
/// counter; static text has none. What is never freed is each symbol that schemas ever had, once.
fn interned(symbol: &str) -> Text {
    static SYMBOLS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut symbols = SYMBOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = symbols.get(symbol) {
        return Text::from_static(known);
    }
    let leaked: &'static str = Box::leak(Box::from(symbol));
    symbols.insert(leaked);
    Text::from_static(leaked)
}
