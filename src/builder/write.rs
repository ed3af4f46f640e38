//! From types of Rust to values of the engine, through serde.
//!
//! A shape goes along: where it names the fields of a struct, the value has them in its order, as everything after
//! expects; where nothing is known, structs become maps.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{self, Serializer};

use crate::record::{MapValue, Shape, StructShape, StructValue, Text, Value};

/// The value of what a closure gave.
pub(super) fn to_value<T: Serialize>(given: &T, shape: &Shape) -> Result<Value, String> {
    given.serialize(Writer(shape)).map_err(|error| {
        let name = std::any::type_name::<T>();
        format!("a {name} cannot be written: {error}")
    })
}

/// Why something cannot be a value.
#[derive(Debug)]
struct WriteError(String);

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WriteError {}

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        WriteError(message.to_string())
    }
}

/// Writes one value of a shape.
#[derive(Clone, Copy)]
struct Writer<'s>(&'s Shape);

impl<'s> Writer<'s> {
    fn element(self) -> &'s Shape {
        match self.0.required() {
            Shape::List(element) | Shape::Map(element) => element,
            _ => &Shape::Any,
        }
    }

    fn fields(self) -> Fields<'s> {
        match self.0.required() {
            Shape::Struct(shape) => Fields::Known { shape, values: vec![Value::Null; shape.fields().len()], next: 0 },
            _ => {
                Fields::Free(Entries { shape: self.element(), entries: MapValue::default(), key: None, variant: None })
            }
        }
    }
}

/// A value under the name of its variant.
fn tagged(variant: &'static str, value: Value) -> Value {
    let mut map = MapValue::default();
    map.insert(Text::from_static(variant), value);
    Value::Map(Arc::new(map))
}

macro_rules! integers {
    ($($method:ident $number:ty),*) => {$(
        fn $method(self, number: $number) -> Result<Value, WriteError> {
            Ok(Value::Int(i64::from(number)))
        }
    )*};
}

impl<'s> Serializer for Writer<'s> {
    type Ok = Value;
    type Error = WriteError;
    type SerializeSeq = List<'s>;
    type SerializeTuple = List<'s>;
    type SerializeTupleStruct = List<'s>;
    type SerializeTupleVariant = List<'s>;
    type SerializeMap = Fields<'s>;
    type SerializeStruct = Fields<'s>;
    type SerializeStructVariant = Entries<'s>;

    integers! { serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
    serialize_u8 u8, serialize_u16 u16, serialize_u32 u32 }

    fn serialize_u64(self, number: u64) -> Result<Value, WriteError> {
        let number = i64::try_from(number).map_err(|_| WriteError(format!("{number} is more than an int holds")))?;
        Ok(Value::Int(number))
    }

    fn serialize_bool(self, truth: bool) -> Result<Value, WriteError> {
        Ok(Value::Bool(truth))
    }

    fn serialize_f32(self, number: f32) -> Result<Value, WriteError> {
        Ok(Value::Double(f64::from(number)))
    }

    fn serialize_f64(self, number: f64) -> Result<Value, WriteError> {
        Ok(Value::Double(number))
    }

    fn serialize_char(self, character: char) -> Result<Value, WriteError> {
        Ok(Value::text(character.to_string()))
    }

    fn serialize_str(self, text: &str) -> Result<Value, WriteError> {
        Ok(Value::text(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, WriteError> {
        Ok(Value::Bytes(Bytes::copy_from_slice(bytes)))
    }

    fn serialize_none(self) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, WriteError> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, WriteError> {
        Ok(tagged(variant, value.serialize(Writer(&Shape::Any))?))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List<'s>, WriteError> {
        Ok(List { shape: self.element(), elements: Vec::with_capacity(length.unwrap_or(0).min(1024)), variant: None })
    }

    fn serialize_tuple(self, length: usize) -> Result<List<'s>, WriteError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<List<'s>, WriteError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<List<'s>, WriteError> {
        Ok(List { shape: &Shape::Any, elements: Vec::with_capacity(length), variant: Some(variant) })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Fields<'s>, WriteError> {
        Ok(self.fields())
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Fields<'s>, WriteError> {
        Ok(self.fields())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Entries<'s>, WriteError> {
        Ok(Entries { shape: &Shape::Any, entries: MapValue::default(), key: None, variant: Some(variant) })
    }
}

/// A list, perhaps the content of a variant.
struct List<'s> {
    shape: &'s Shape,
    elements: Vec<Value>,
    variant: Option<&'static str>,
}

impl List<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), WriteError> {
        self.elements.push(element.serialize(Writer(self.shape))?);
        Ok(())
    }

    fn finish(self) -> Value {
        let list = Value::list(self.elements);
        match self.variant {
            Some(variant) => tagged(variant, list),
            None => list,
        }
    }
}

macro_rules! lists {
    ($($of:ident $add:ident)*) => {$(
        impl ser::$of for List<'_> {
            type Ok = Value;
            type Error = WriteError;

            fn $add<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), WriteError> {
                self.add(element)
            }

            fn end(self) -> Result<Value, WriteError> {
                Ok(self.finish())
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// Named values: a struct whose fields are known, or a map.
enum Fields<'s> {
    Known { shape: &'s Arc<StructShape>, values: Vec<Value>, next: usize },
    Free(Entries<'s>),
}

/// The entries of a map, perhaps the content of a variant.
struct Entries<'s> {
    shape: &'s Shape,
    entries: MapValue,
    key: Option<Text>,
    variant: Option<&'static str>,
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), WriteError> {
        match self {
            Fields::Free(entries) => entries.add(Text::from(name), value),
            Fields::Known { shape, values, next } => {
                // They nearly always come in the shape's order.
                let expected = shape.fields().get(*next).is_some_and(|field| field.name == name);
                let index = if expected { Some(*next) } else { shape.index_of(name) };
                let Some(index) = index else {
                    return Err(WriteError(format!(
                        "it has a field `{name}` that it did not have when its shape was taken"
                    )));
                };
                *next = index + 1;
                if let (Some(place), Some(field)) = (values.get_mut(index), shape.fields().get(index)) {
                    *place = value.serialize(Writer(&field.shape))?;
                }
                Ok(())
            }
        }
    }
}

impl Entries<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, name: Text, value: &T) -> Result<(), WriteError> {
        self.entries.insert(name, value.serialize(Writer(self.shape))?);
        Ok(())
    }

    fn finish(self) -> Value {
        let map = Value::Map(Arc::new(self.entries));
        match self.variant {
            Some(variant) => tagged(variant, map),
            None => map,
        }
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = Value;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), WriteError> {
        self.field(name, value)
    }

    fn end(self) -> Result<Value, WriteError> {
        Ok(match self {
            Fields::Known { shape, values, .. } => Value::Struct(StructValue::new(shape.clone(), values.into())),
            Fields::Free(entries) => entries.finish(),
        })
    }
}

impl ser::SerializeStructVariant for Entries<'_> {
    type Ok = Value;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), WriteError> {
        self.add(Text::from_static(name), value)
    }

    fn end(self) -> Result<Value, WriteError> {
        Ok(self.finish())
    }
}

impl ser::SerializeMap for Fields<'_> {
    type Ok = Value;
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        let name = match key.serialize(Writer(&Shape::Any))? {
            Value::String(name) => name,
            Value::Int(number) => number.to_string().into(),
            Value::Bool(truth) => truth.to_string().into(),
            other => return Err(WriteError(format!("{} cannot be the key of a map", other.kind()))),
        };
        match self {
            Fields::Free(entries) => {
                entries.key = Some(name);
                Ok(())
            }
            Fields::Known { shape, next, .. } => match shape.index_of(&name) {
                Some(index) => {
                    *next = index;
                    Ok(())
                }
                None => Err(WriteError(format!("it has an entry `{name}`, which its shape has not"))),
            },
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        match self {
            Fields::Free(entries) => match entries.key.take() {
                Some(name) => entries.add(name, value),
                None => Err(WriteError("a value came before its key".to_owned())),
            },
            Fields::Known { shape, next, .. } => {
                let name = shape.fields().get(*next).map(|field| field.name.clone()).unwrap_or_default();
                self.field(&name, value)
            }
        }
    }

    fn end(self) -> Result<Value, WriteError> {
        ser::SerializeStruct::end(self)
    }
}
