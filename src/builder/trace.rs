//! The shape of a type: what its `Deserialize` asks for.
//!
//! A type is deserialized from nothing a few times, and every question it asks on the way is noted: which fields, of
//! which kinds, which variants. What a type does not say that way (because it takes anything, checks what it is given,
//! or contains itself) is [`Shape::Any`], and is checked record by record.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use crate::record::{EnumShape, Field, Fields, Shape, StructShape, Text};

/// More variants than this, in all enums together, are not looked at one by one.
const MAX_PASSES: usize = 256;
/// Types that contain themselves without an end are given up at this depth.
const MAX_DEPTH: usize = 32;

/// The shape of the values of a type.
pub(super) fn shape_of<T: DeserializeOwned>() -> Shape {
    look_at::<T>().0
}

/// The shape of the values of a type, and what it reads of others.
pub(super) fn read_by<T: DeserializeOwned>() -> (Shape, Fields) {
    match look_at::<T>() {
        (shape, false) => {
            let fields = fields_of(&shape);
            (shape, fields)
        }
        // It may read a field under another name.
        (shape, true) => (shape, Fields::All),
    }
}

fn fields_of(shape: &Shape) -> Fields {
    match shape.required() {
        Shape::Struct(shape) => {
            Fields::Some(shape.fields().iter().map(|field| (field.name.to_string(), fields_of(&field.shape))).collect())
        }
        _ => Fields::All,
    }
}

/// The shape of the values of a type, and whether it has fields of several names.
fn look_at<T: DeserializeOwned>() -> (Shape, bool) {
    let mut trace = Trace::default();
    let mut shape = Shape::Any;
    for _ in 0..MAX_PASSES {
        shape = Shape::Any;
        trace.again = false;
        trace.open.clear();
        // An error ends the pass; what was found until then stands.
        let _found = T::deserialize(Tracer { trace: &mut trace, shape: &mut shape });
        if !trace.again {
            break;
        }
    }
    (shape, !trace.aliases.is_empty())
}

/// What is known of the types that were met.
#[derive(Default)]
struct Trace {
    /// Of each enum, how many of its variants were looked at, and whether all of them had no content.
    enums: BTreeMap<&'static str, (usize, bool)>,
    /// Names by which a field may be read, too: by struct.
    aliases: Vec<(&'static str, &'static str)>,
    /// The structs around the current place.
    open: Vec<&'static str>,
    /// Whether another pass would show more.
    again: bool,
}

/// Why a pass ended early.
#[derive(Debug)]
enum TraceError {
    /// A field was given under two names.
    Duplicate,
    /// Something was not to a type's liking.
    Refused,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape of this type is not known")
    }
}

impl std::error::Error for TraceError {}

impl serde::de::Error for TraceError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        TraceError::Refused
    }

    fn duplicate_field(_field: &'static str) -> Self {
        TraceError::Duplicate
    }
}

/// Answers one question, and notes it.
struct Tracer<'t> {
    trace: &'t mut Trace,
    shape: &'t mut Shape,
}

impl Tracer<'_> {
    /// Whether a struct is being looked at within itself.
    fn within_itself(&self) -> bool {
        self.trace.open.split_last().is_some_and(|(last, outer)| outer.contains(last))
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $shape:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
            *self.shape = $shape;
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = TraceError;

    plain! {
        deserialize_bool visit_bool false, Shape::Bool;
        // One, as some types refuse zero.
        deserialize_i8 visit_i8 1, Shape::Int;
        deserialize_i16 visit_i16 1, Shape::Int;
        deserialize_i32 visit_i32 1, Shape::Int;
        deserialize_i64 visit_i64 1, Shape::Int;
        deserialize_u8 visit_u8 1, Shape::Int;
        deserialize_u16 visit_u16 1, Shape::Int;
        deserialize_u32 visit_u32 1, Shape::Int;
        deserialize_u64 visit_u64 1, Shape::Int;
        deserialize_f32 visit_f32 1.0, Shape::Double;
        deserialize_f64 visit_f64 1.0, Shape::Double;
        deserialize_char visit_char 'a', Shape::String;
        deserialize_str visit_borrowed_str "", Shape::String;
        deserialize_string visit_borrowed_str "", Shape::String;
        deserialize_identifier visit_borrowed_str "", Shape::String;
        deserialize_bytes visit_borrowed_bytes b"", Shape::Bytes;
        deserialize_byte_buf visit_borrowed_bytes b"", Shape::Bytes;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.shape = Shape::Any;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        *self.shape = Shape::Null;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, TraceError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        if self.within_itself() {
            return visitor.visit_none();
        }
        let mut inner = Shape::Any;
        let found = visitor.visit_some(Tracer { trace: self.trace, shape: &mut inner });
        *self.shape = inner.optional();
        found
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, TraceError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let length = usize::from(!self.within_itself());
        self.elements(length, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, TraceError> {
        self.elements(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        self.elements(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut value = Shape::Any;
        let left = !self.within_itself();
        let found = visitor.visit_map(Entry { trace: self.trace, value: &mut value, left });
        *self.shape = Shape::map(value);
        found
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let aliases = &self.trace.aliases;
        let names: Vec<&'static str> =
            fields.iter().copied().filter(|field| !aliases.contains(&(name, *field))).collect();
        let mut shapes = vec![Shape::Any; names.len()];
        self.trace.open.push(name);
        let within_itself = self.within_itself();
        let mut access = FieldsOf { trace: &mut *self.trace, names: &names, shapes: &mut shapes, next: 0 };
        let mut found = visitor.visit_map(&mut access);
        let last = access.next;
        self.trace.open.pop();
        if let (Err(TraceError::Duplicate), Some(alias)) = (&found, last.checked_sub(1).and_then(|at| names.get(at))) {
            self.trace.aliases.push((name, alias));
            self.trace.again = true;
            found = Err(TraceError::Refused);
        }
        if !within_itself {
            let fields = names.iter().zip(shapes).map(|(name, shape)| Field { name: Text::from_static(name), shape });
            *self.shape = Shape::Struct(Arc::new(StructShape::new(name, fields.collect())));
        }
        found
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let (looked_at, plain) = *self.trace.enums.entry(name).or_insert((0, true));
        let variant = variants.get(looked_at).or(variants.first()).copied().unwrap_or_default();
        if self.trace.open.len() > MAX_DEPTH {
            return Err(TraceError::Refused);
        }
        let mut unit = false;
        self.trace.open.push(name);
        let found = visitor.visit_enum(Variant { trace: &mut *self.trace, name: variant, unit: &mut unit });
        self.trace.open.pop();
        let plain = plain && unit;
        let done = if plain { (looked_at + 1).min(variants.len()) } else { variants.len() };
        self.trace.enums.insert(name, (done, plain));
        self.trace.again |= done < variants.len();
        if plain {
            let symbols = variants.iter().map(|symbol| Text::from_static(symbol)).collect();
            *self.shape = Shape::Enum(Arc::new(EnumShape { name: name.to_owned(), symbols }));
        }
        found
    }
}

impl Tracer<'_> {
    fn elements<'de, V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, TraceError> {
        let mut shape = Shape::Never;
        let found = visitor.visit_seq(Elements { trace: self.trace, shape: &mut shape, left: length });
        *self.shape = Shape::list(if shape == Shape::Never { Shape::Any } else { shape });
        found
    }
}

/// The elements of a list or tuple: what they have in common.
struct Elements<'t> {
    trace: &'t mut Trace,
    shape: &'t mut Shape,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut shape = Shape::Any;
        let found = seed.deserialize(Tracer { trace: self.trace, shape: &mut shape });
        *self.shape = self.shape.unify(&shape).unwrap_or(Shape::Any);
        found.map(Some)
    }
}

/// One entry of a map.
struct Entry<'t> {
    trace: &'t mut Trace,
    value: &'t mut Shape,
    left: bool,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        if !std::mem::take(&mut self.left) {
            return Ok(None);
        }
        let mut key = Shape::Any;
        seed.deserialize(Tracer { trace: self.trace, shape: &mut key }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        seed.deserialize(Tracer { trace: self.trace, shape: self.value })
    }
}

/// The fields of a struct, one after the other.
struct FieldsOf<'t> {
    trace: &'t mut Trace,
    names: &'t [&'static str],
    shapes: &'t mut [Shape],
    next: usize,
}

impl<'de> MapAccess<'de> for FieldsOf<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        let Some(name) = self.names.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        let Some(shape) = self.next.checked_sub(1).and_then(|at| self.shapes.get_mut(at)) else {
            return Err(TraceError::Refused);
        };
        seed.deserialize(Tracer { trace: self.trace, shape })
    }
}

/// A variant, and whether it has no content.
struct Variant<'t> {
    trace: &'t mut Trace,
    name: &'static str,
    unit: &'t mut bool,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = TraceError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), TraceError> {
        let name = seed.deserialize(StrDeserializer::<TraceError>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = TraceError;

    fn unit_variant(self) -> Result<(), TraceError> {
        *self.unit = true;
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, TraceError> {
        seed.deserialize(Tracer { trace: self.trace, shape: &mut Shape::Any })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, TraceError> {
        Tracer { trace: self.trace, shape: &mut Shape::Any }.elements(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        Tracer { trace: self.trace, shape: &mut Shape::Any }.deserialize_struct(self.name, fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is asked for")]
    struct Order {
        id: String,
        #[serde(rename = "amount", alias = "total")]
        cents: u64,
        rate: f32,
        lines: Vec<Line>,
        note: Option<String>,
        tags: BTreeMap<String, i32>,
        status: Status,
        payment: Payment,
        parent: Option<Box<Order>>,
        extra: serde_json::Value,
        last: bool,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is asked for")]
    struct Line {
        sku: String,
        count: NonZeroU32,
        pair: (i64, i64),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Open,
        InTransit,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape is asked for")]
    enum Payment {
        Cash,
        Card(String),
    }

    #[test]
    fn a_struct_shows_its_fields_in_order() {
        let symbols = ["open", "in_transit"].map(Text::from_static).to_vec();
        let line = [("sku", Shape::String), ("count", Shape::Int), ("pair", Shape::list(Shape::Int))];
        let fields = [
            ("id", Shape::String),
            ("amount", Shape::Int),
            ("rate", Shape::Double),
            ("lines", Shape::list(Shape::structure("Line", line))),
            ("note", Shape::String.optional()),
            ("tags", Shape::map(Shape::Int)),
            ("status", Shape::Enum(Arc::new(EnumShape { name: "Status".to_owned(), symbols }))),
            ("payment", Shape::Any),
            ("parent", Shape::Any),
            ("extra", Shape::Any),
            ("last", Shape::Bool),
        ];
        assert_eq!(shape_of::<Order>(), Shape::structure("Order", fields));
    }

    #[test]
    fn a_type_without_end_is_anything() {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its shape is asked for")]
        enum Sum {
            Of(Box<Sum>, Box<Sum>),
            Number(i64),
        }
        assert_eq!(shape_of::<Sum>(), Shape::Any);
    }

    #[test]
    fn primitives_and_options_are_what_they_are() {
        assert_eq!(shape_of::<i64>(), Shape::Int);
        assert_eq!(shape_of::<Option<String>>(), Shape::String.optional());
        assert_eq!(shape_of::<()>(), Shape::Null);
        assert_eq!(shape_of::<Vec<bool>>(), Shape::list(Shape::Bool));
        assert_eq!(shape_of::<(String, f64)>(), Shape::list(Shape::Any));
    }

    #[test]
    fn a_type_that_checks_what_it_is_given_shows_what_it_asked_for() {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its shape is asked for")]
        struct Host {
            address: std::net::IpAddr,
            port: u16,
        }
        let fields = [("address", Shape::String), ("port", Shape::Any)];
        assert_eq!(shape_of::<Host>(), Shape::structure("Host", fields));
    }
}
