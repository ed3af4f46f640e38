//! Values that a program made, as a shape wants them.

use std::sync::Arc;

use super::{Decimal, MapValue, Shape, StructShape, StructValue, Temporal, UnionShape, Value, Values};

/// The value as the shape has it: maps become structs where it has those, with fields in its order and null for those
/// that may be missing, and whole numbers become doubles and times. Null fits everywhere at the top.
///
/// # Errors
/// What does not fit, and where in the value.
pub fn conform(value: Value, shape: &Shape) -> Result<Value, String> {
    if value.is_null() {
        return Ok(value);
    }
    fit(value, shape).map_err(|misfit| match misfit.path.is_empty() {
        true => misfit.message,
        false => {
            let path: Vec<String> = misfit.path.into_iter().rev().collect();
            format!("{}: {}", path.join("."), misfit.message)
        }
    })
}

/// What does not fit; the path from the inside out.
struct Misfit {
    path: Vec<String>,
    message: String,
}

impl Misfit {
    fn new(message: String) -> Self {
        Misfit { path: Vec::new(), message }
    }

    fn within(mut self, part: impl Into<String>) -> Self {
        self.path.push(part.into());
        self
    }
}

fn fit(value: Value, shape: &Shape) -> Result<Value, Misfit> {
    let fitting = match (shape, value) {
        (Shape::Any, value) => value,
        (_, Value::Null) if shape.is_nullable() => Value::Null,
        (Shape::Optional(inner), value) => return fit(value, inner),
        (Shape::Bool, value @ Value::Bool(_))
        | (Shape::Int, value @ Value::Int(_))
        | (Shape::UInt, value @ Value::UInt(_))
        | (Shape::Double, value @ Value::Double(_))
        | (Shape::String, value @ Value::String(_))
        | (Shape::Bytes, value @ Value::Bytes(_))
        | (Shape::Timestamp, value @ Value::Timestamp(_))
        | (Shape::Duration, value @ Value::Duration(_))
        | (Shape::Decimal, value @ Value::Decimal(_)) => value,
        (Shape::Temporal(unit), Value::Temporal(time)) if time.unit == *unit => Value::Temporal(time),
        (Shape::Temporal(unit), Value::Int(count)) => Value::Temporal(Temporal::new(*unit, count)),
        (Shape::Temporal(unit), Value::String(text)) => match Temporal::parse(*unit, &text) {
            Some(time) => Value::Temporal(time),
            None => return Err(Misfit::new(format!("{:?} is no {shape}", &*text))),
        },
        (Shape::Decimal, Value::Int(number)) => {
            let decimal = Decimal::whole(i128::from(number));
            decimal.map_or(Value::Null, Value::Decimal)
        }
        (Shape::Decimal, Value::String(text)) => match Decimal::parse(&text) {
            Some(decimal) => Value::Decimal(decimal),
            None => return Err(Misfit::new(format!("{:?} is no decimal of at most 38 digits", &*text))),
        },
        (Shape::Recursive(_), value) => return fit(value, &shape.resolved()),
        (Shape::Union(union), value) => return alternative(value, union, shape),
        (Shape::Timestamp, Value::Int(millis)) => Value::Timestamp(millis),
        (Shape::Duration, Value::Int(millis)) => Value::Duration(millis),
        (Shape::Double, Value::Int(number)) => Value::Double(number as f64),
        (Shape::UInt, Value::Int(number)) if number >= 0 => Value::UInt(number.unsigned_abs()),
        (Shape::Enum(symbols), Value::String(text)) => match symbols.symbols.contains(&text) {
            true => Value::String(text),
            false => return Err(Misfit::new(format!("{:?} is no symbol of {shape}", &*text))),
        },
        (Shape::List(element), Value::List(items)) => list(items, element)?,
        (Shape::Map(inner), Value::Map(entries)) => map(entries, inner)?,
        (Shape::Map(inner), Value::Struct(fields)) => {
            let entries = fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            map(Arc::new(entries), inner)?
        }
        (Shape::Struct(shape), Value::Struct(fields)) if Arc::ptr_eq(shape, fields.shape()) => Value::Struct(fields),
        (Shape::Struct(shape), value @ (Value::Struct(_) | Value::Map(_))) => structure(&value, shape)?,
        (_, value) => return Err(Misfit::new(format!("{shape} is expected, this is {}", value.kind()))),
    };
    Ok(fitting)
}

/// The alternative that a value is one of, else the first that it can be made one of.
fn alternative(value: Value, union: &UnionShape, shape: &Shape) -> Result<Value, Misfit> {
    if let Some(branch) = union.branch_of(&value).and_then(|index| union.branches().get(index)) {
        return fit(value, branch);
    }
    let fitting = union.branches().iter().find_map(|branch| fit(value.clone(), branch).ok());
    fitting.ok_or_else(|| Misfit::new(format!("{shape} is expected, this is {}", value.kind())))
}

fn list(items: Values, element: &Shape) -> Result<Value, Misfit> {
    if *element == Shape::Any {
        return Ok(Value::List(items));
    }
    let item = |(index, item): (usize, &Value)| {
        fit(item.clone(), element).map_err(|misfit| misfit.within(format!("[{index}]")))
    };
    Ok(Value::list(items.iter().enumerate().map(item).collect::<Result<_, _>>()?))
}

fn map(entries: Arc<MapValue>, inner: &Shape) -> Result<Value, Misfit> {
    if *inner == Shape::Any {
        return Ok(Value::Map(entries));
    }
    let entry = |(key, value): (&super::Text, &Value)| {
        let value = fit(value.clone(), inner).map_err(|misfit| misfit.within(key.to_string()))?;
        Ok((key.clone(), value))
    };
    Ok(Value::Map(Arc::new(entries.iter().map(entry).collect::<Result<MapValue, Misfit>>()?)))
}

fn structure(value: &Value, shape: &Arc<StructShape>) -> Result<Value, Misfit> {
    let unknown = match value {
        Value::Struct(fields) => fields.iter().map(|(name, _)| name).find(|name| shape.field(name).is_none()),
        Value::Map(entries) => entries.keys().find(|name| shape.field(name).is_none()),
        _ => None,
    };
    if let Some(unknown) = unknown {
        let known: Vec<String> = shape.fields().iter().map(|field| format!("`{}`", field.name)).collect();
        return Err(Misfit::new(format!("there is no field `{unknown}`; there are {}", known.join(", "))));
    }
    let fields = shape.fields().iter().map(|field| match value.get(&field.name) {
        Some(part) => fit(part.clone(), &field.shape).map_err(|misfit| misfit.within(field.name.to_string())),
        None if field.shape.is_nullable() => Ok(Value::Null),
        None => Err(Misfit::new(format!("the field `{}` ({}) is missing", field.name, field.shape))),
    });
    let values = fields.collect::<Result<Vec<Value>, Misfit>>()?;
    Ok(Value::Struct(StructValue::new(shape.clone(), values.into())))
}

#[cfg(test)]
mod tests {
    use super::super::Text;
    use super::*;

    fn order() -> Shape {
        Shape::structure(
            "",
            [
                ("id", Shape::String),
                ("amount", Shape::Double),
                ("at", Shape::Timestamp),
                ("tags", Shape::list(Shape::String).optional()),
            ],
        )
    }

    fn made(entries: Vec<(&'static str, Value)>) -> Value {
        Value::Map(Arc::new(entries.into_iter().map(|(name, value)| (Text::from_static(name), value)).collect()))
    }

    #[test]
    fn what_a_program_made_becomes_what_the_shape_has() {
        let value = made(vec![("at", Value::Int(7)), ("amount", Value::Int(3)), ("id", "o1".into())]);
        let Value::Struct(fields) = conform(value, &order()).unwrap() else { panic!("a struct") };
        assert_eq!(fields.values(), ["o1".into(), Value::Double(3.0), Value::Timestamp(7), Value::Null]);
        assert_eq!(conform(Value::Null, &order()), Ok(Value::Null));
        // What has the shape already stays, and is not looked into.
        let again = Value::Struct(fields);
        assert_eq!(conform(again.clone(), &Shape::Any), Ok(again));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let misfit = |entries| conform(made(entries), &order()).unwrap_err();
        assert_eq!(misfit(vec![("id", Value::Int(1))]), "id: string is expected, this is int");
        assert_eq!(misfit(vec![("id", "a".into())]), "the field `amount` (double) is missing");
        assert!(misfit(vec![("idd", "a".into())]).starts_with("there is no field `idd`; there are `id`,"));
        let tags = Value::list(vec!["a".into(), Value::Bool(true)]);
        let message = misfit(vec![("id", "a".into()), ("amount", 1.0.into()), ("at", Value::Int(1)), ("tags", tags)]);
        assert_eq!(message, "tags.[1]: string is expected, this is bool");
        assert!(conform(Value::Int(-1), &Shape::UInt).is_err());
        assert!(conform("x".into(), &Shape::Int).is_err());
    }
}
