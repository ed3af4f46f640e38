//! Tables of expressions: what each gives, or what is wrong with it.

mod compile_errors;
mod results;
mod run_time_errors;
mod unions;
mod whole;

use std::sync::Arc;

use bytes::Bytes;

use super::{Binding, Expression, Input, Scope};
use crate::record::{
    EnumShape, Header, Headers, Key, Origin, Record, Shape, StructShape, StructValue, Text, TopicPartition, Value,
};
use crate::window::Window;

/// The value that the tables read.
fn value_shape() -> Shape {
    let sentiment = EnumShape {
        name: "Sentiment".to_owned(),
        symbols: ["positive", "neutral", "negative"].map(Text::from_static).to_vec(),
    };
    let customer = Shape::structure("Customer", [("name", Shape::String), ("age", Shape::Int.optional())]);
    Shape::structure(
        "Message",
        [
            ("id", Shape::Int),
            ("text", Shape::String),
            ("confidence", Shape::Double),
            ("sentiment", Shape::Enum(Arc::new(sentiment))),
            ("tags", Shape::list(Shape::String)),
            ("numbers", Shape::list(Shape::Int)),
            ("scores", Shape::map(Shape::Double)),
            ("customer", customer.clone()),
            ("referrer", customer.clone().optional()),
            ("note", Shape::String.optional()),
            ("customers", Shape::list(customer)),
            ("json", Shape::Any),
            ("created", Shape::Timestamp),
            ("raw", Shape::Bytes),
            ("counter", Shape::UInt),
            ("active", Shape::Bool),
        ],
    )
}

fn struct_shape(shape: &Shape) -> Arc<StructShape> {
    match shape.required() {
        Shape::Struct(shape) => Arc::clone(shape),
        other => panic!("{other} is not a struct"),
    }
}

fn structure(shape: &Shape, values: Vec<Value>) -> Value {
    Value::Struct(StructValue::new(struct_shape(shape), values.into()))
}

fn json(entries: Vec<(&'static str, Value)>) -> Value {
    Value::Map(Arc::new(entries.into_iter().map(|(name, value)| (Text::from_static(name), value)).collect()))
}

fn value() -> Value {
    let shape = value_shape();
    let fields = struct_shape(&shape);
    let customer =
        |name: &'static str, age| structure(&fields.field("customer").unwrap().shape, vec![name.into(), age]);
    let any = json(vec![
        ("n", Value::Int(7)),
        ("d", Value::Double(2.5)),
        ("s", "text".into()),
        ("nothing", Value::Null),
        ("list", Value::list(vec![Value::Int(1), Value::Double(2.5), "three".into()])),
        ("inner", json(vec![("deep", Value::Bool(true))])),
        ("max", Value::Int(i64::MAX)),
    ]);
    structure(
        &shape,
        vec![
            Value::Int(42),
            "Grüße, Welt".into(),
            Value::Double(0.75),
            "negative".into(),
            Value::list(vec!["urgent".into(), "billing".into(), "urgent".into()]),
            Value::list(vec![Value::Int(3), Value::Int(1), Value::Int(2)]),
            json(vec![("joy", Value::Double(0.25)), ("anger", Value::Double(0.5))]),
            customer("Ada", Value::Int(36)),
            Value::Null,
            Value::Null,
            Value::list(vec![customer("Ada", Value::Int(36)), customer("Bob", Value::Null)]),
            any,
            Value::Timestamp(1_767_226_153_250),
            Value::Bytes(Bytes::from_static(b"\x01\x02")),
            Value::UInt(5),
            Value::Bool(true),
        ],
    )
}

fn record() -> Record {
    let header = |name: &'static str, value: Option<&'static [u8]>| Header {
        name: Text::from_static(name),
        value: value.map(Bytes::from_static),
    };
    Record {
        key: Some(Key { value: "tenant-1".into(), encoded: Bytes::from_static(b"tenant-1") }),
        window: Some(Window { start: 60_000, end: 120_000 }),
        value: value(),
        latest: true,
        old: None,
        timestamp: 90_000,
        headers: Headers::new(vec![
            header("trace", Some(b"first")),
            header("trace", Some(b"last")),
            header("x-id", Some(b"\xff!")),
        ]),
        origin: Origin { source: Arc::new(TopicPartition::new("messages", 3)), offset: 1_000 },
    }
}

fn scope() -> Scope {
    Scope::new()
        .with("key", Binding::Key, Shape::String)
        .with("value", Binding::Value, value_shape())
        .with("old", Binding::Old, value_shape().optional())
        .with("acc", Binding::Local(0), Shape::Int)
        .with_record()
        .with_window()
}

fn evaluate(source: &str) -> Result<(Value, Shape), String> {
    let expression = Expression::compile(source, &scope()).map_err(|errors| describe(&errors))?;
    let record = record();
    let input = Input { locals: &[Value::Int(10)], ..Input::of(&record) };
    let result = expression.evaluate(&input).map_err(|error| error.reason().to_string())?;
    Ok((result, expression.shape().clone()))
}

/// `12..15 message | hint`, an error a line.
fn describe(errors: &[super::ExpressionError]) -> String {
    let line = |error: &super::ExpressionError| {
        let hint = error.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{}..{} {}{hint}", error.range.start, error.range.end, error.message)
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a value is of a shape.
fn fits(value: &Value, shape: &Shape) -> bool {
    match (shape, value) {
        (Shape::Any, _) | (Shape::Optional(_) | Shape::Null, Value::Null) => true,
        (Shape::Optional(inner), value) => fits(value, inner),
        (Shape::Bool, Value::Bool(_)) | (Shape::Int, Value::Int(_)) | (Shape::UInt, Value::UInt(_)) => true,
        (Shape::Double, Value::Double(_)) | (Shape::String | Shape::Enum(_), Value::String(_)) => true,
        (Shape::Bytes, Value::Bytes(_))
        | (Shape::Timestamp, Value::Timestamp(_))
        | (Shape::Duration, Value::Duration(_)) => true,
        (Shape::List(element), Value::List(elements)) => elements.iter().all(|value| fits(value, element)),
        (Shape::Map(inner), Value::Map(map)) => map.values().all(|value| fits(value, inner)),
        (Shape::Struct(shape), Value::Struct(fields)) => {
            let names = |shape: &StructShape| shape.fields().iter().map(|field| field.name.clone()).collect::<Vec<_>>();
            names(shape) == names(fields.shape())
                && fields.values().iter().zip(shape.fields()).all(|(value, field)| fits(value, &field.shape))
        }
        _ => false,
    }
}
