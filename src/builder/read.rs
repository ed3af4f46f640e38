//! From values of the engine to types of Rust, through serde.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, MapAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::record::{Text, Value};

/// Why a value is not of a type: the path to the part that is not, and the reason.
#[derive(Debug)]
pub(super) struct ReadError {
    path: Vec<String>,
    reason: String,
}

impl ReadError {
    fn within(mut self, part: &str) -> Self {
        self.path.insert(0, part.to_owned());
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path.join("."), self.reason)
        }
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadError { path: Vec::new(), reason: message.to_string() }
    }
}

/// An argument of a native function as the type that its closure takes.
pub(super) fn argument<T: DeserializeOwned>(arguments: &[Cow<'_, Value>], position: usize) -> Result<T, String> {
    let value = arguments.get(position).map_or(&Value::Null, Cow::as_ref);
    T::deserialize(Reader(value)).map_err(|error| {
        let name = std::any::type_name::<T>();
        let null = if value.is_null() { "; take an `Option` where there may be null" } else { "" };
        format!("cannot be read as {name}: {error}{null}")
    })
}

/// Reads one value.
struct Reader<'v>(&'v Value);

impl<'v> Deserializer<'v> for Reader<'v> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Int(number) | Value::Timestamp(number) | Value::Duration(number) => visitor.visit_i64(*number),
            // Decimals as text, which all types for them read; times as so many of their unit, as timestamps are.
            Value::Decimal(decimal) => visitor.visit_string(decimal.to_string()),
            Value::Temporal(time) => visitor.visit_i64(time.count),
            Value::UInt(number) => visitor.visit_u64(*number),
            Value::Double(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(elements) => {
                let mut elements = SeqDeserializer::new(elements.iter().map(Element));
                let read = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(read)
            }
            Value::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), value: None }),
            Value::Struct(fields) => visitor.visit_map(Fields { entries: fields.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            // So that a `Vec<u8>` takes bytes.
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let tagged = match self.0 {
            Value::String(symbol) => return visitor.visit_enum(Variant { name: symbol, content: None }),
            Value::Map(entries) => entries.iter().next().filter(|_| entries.len() == 1),
            Value::Struct(fields) => fields.iter().next().filter(|_| fields.values().len() == 1),
            _ => None,
        };
        match tagged {
            Some((name, content)) => visitor.visit_enum(Variant { name, content: Some(content) }),
            None => Err(ReadError::custom(format!("{} is no variant of an enum", self.0.kind()))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier
    }
}

/// An element of a list.
struct Element<'v>(&'v Value);

impl<'v> serde::de::IntoDeserializer<'v, ReadError> for Element<'v> {
    type Deserializer = Reader<'v>;

    fn into_deserializer(self) -> Reader<'v> {
        Reader(self.0)
    }
}

/// The fields of a struct or the entries of a map.
struct Fields<'v, I> {
    entries: I,
    value: Option<(&'v Text, &'v Value)>,
}

impl<'v, I: Iterator<Item = (&'v Text, &'v Value)>> MapAccess<'v> for Fields<'v, I> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.value = self.entries.next();
        match self.value {
            Some((name, _)) => seed.deserialize(Name(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some((name, value)) => seed.deserialize(Reader(value)).map_err(|error| error.within(name)),
            None => Err(ReadError::custom("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.size_hint().1
    }
}

/// The name of a field or the key of a map, which may be a number that was written as text.
struct Name<'v>(&'v Text);

macro_rules! numbers {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'v> Deserializer<'v> for Name<'v> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.0)
    }

    numbers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    forward_to_deserialize_any! {
        <V: Visitor<'v>>
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// A variant of an enum, by its name, with what it holds.
struct Variant<'v> {
    name: &'v str,
    content: Option<&'v Value>,
}

impl<'v> EnumAccess<'v> for Variant<'v> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'v>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let name = seed.deserialize(StrDeserializer::<ReadError>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'v> Variant<'v> {
    fn content(&self) -> Result<&'v Value, ReadError> {
        self.content.ok_or_else(|| ReadError::custom(format!("the variant `{}` has no content", self.name)))
    }
}

impl<'v> VariantAccess<'v> for Variant<'v> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(ReadError::custom(format!("the variant `{}` takes no content", self.name))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'v>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(Reader(self.content()?)).map_err(|error| error.within(self.name))
    }

    fn tuple_variant<V: Visitor<'v>>(self, _length: usize, visitor: V) -> Result<V::Value, ReadError> {
        Reader(self.content()?).deserialize_any(visitor).map_err(|error| error.within(self.name))
    }

    fn struct_variant<V: Visitor<'v>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let fields = match self.content()? {
            Value::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), value: None }),
            Value::Struct(fields) => visitor.visit_map(Fields { entries: fields.iter(), value: None }),
            other => return Err(ReadError::custom(format!("{} has no fields", other.kind())).within(self.name)),
        };
        fields.map_err(|error| error.within(self.name))
    }
}
