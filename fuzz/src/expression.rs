//! Any text is an expression or a list of mistakes within it; an expression gives a value of its shape or an error, for
//! any record, and the same one each time.

use std::sync::{Arc, LazyLock};

use signalstream::expression::{Binding, Expression, ExpressionError, Input, Scope};
use signalstream::record::{EnumShape, Shape, Text, Value};

use super::feed::Feed;
use super::outcome;
use super::shapes::fits;

/// What stands between the source and the bytes that the record is made of.
const SEPARATOR: u8 = 0;

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let mood = EnumShape { name: "Mood".to_owned(), symbols: ["good", "so so", "bad"].map(Text::from_static).to_vec() };
    let person = Shape::structure("Person", [("name", Shape::String), ("age", Shape::Int.optional())]);
    Shape::structure(
        "Record",
        [
            ("i", Shape::Int),
            ("u", Shape::UInt),
            ("d", Shape::Double),
            ("s", Shape::String),
            ("b", Shape::Bool),
            ("raw", Shape::Bytes),
            ("t", Shape::Timestamp),
            ("span", Shape::Duration),
            ("mood", Shape::Enum(Arc::new(mood))),
            ("o", Shape::Int.optional()),
            ("tags", Shape::list(Shape::String)),
            ("ns", Shape::list(Shape::Int)),
            ("ds", Shape::list(Shape::Double)),
            ("m", Shape::map(Shape::Int)),
            ("p", person.clone()),
            ("q", person.clone().optional()),
            ("ps", Shape::list(person)),
            ("any", Shape::Any),
        ],
    )
});

/// Compiles and evaluates. What stands before the first zero byte is the source, the rest the record.
pub fn run(data: &[u8]) -> u64 {
    let end = data.iter().position(|byte| *byte == SEPARATOR).unwrap_or(data.len());
    let (source, rest) = data.split_at(end);
    let Ok(source) = std::str::from_utf8(source) else { return outcome::NONE };
    let scope = Scope::new()
        .with("key", Binding::Key, Shape::String)
        .with("value", Binding::Value, SHAPE.clone())
        .with("acc", Binding::Local(0), Shape::Int)
        .with("any", Binding::Local(1), Shape::Any);
    let expression = match Expression::compile(source, &scope) {
        Ok(expression) => expression,
        Err(mistakes) => return check_mistakes(source, &mistakes),
    };
    let mut feed = Feed::new(rest.get(1..).unwrap_or_default());
    let value = feed.value(&SHAPE);
    let key = feed.value(&Shape::String);
    let locals = [feed.value(&Shape::Int), feed.value(&Shape::Any)];
    let input = Input { key: &key, value: &value, record: None, locals: &locals };
    let result = expression.evaluate(&input);
    match &result {
        Ok(found) => assert!(fits(found, expression.shape()), "{found:?} is not {}", expression.shape()),
        Err(error) => {
            assert!(source.get(error.range()).is_some(), "{:?} is no part of the source", error.range());
            assert!(!error.to_string().is_empty());
        }
    }
    assert_eq!(format!("{result:?}"), format!("{:?}", expression.evaluate(&input)));
    match expression.test(&input) {
        Ok(truth) => assert_eq!(result, Ok(Value::Bool(truth))),
        Err(_) => assert!(!matches!(result, Ok(Value::Bool(_)))),
    }
    match &result {
        Ok(value) => outcome::of([value.kind(), &expression.shape().to_string()]),
        Err(error) => outcome::of([error.reason().to_string().as_str()]),
    }
}

fn check_mistakes(source: &str, mistakes: &[ExpressionError]) -> u64 {
    assert!(!mistakes.is_empty());
    for mistake in mistakes {
        assert!(source.get(mistake.range.clone()).is_some(), "{:?} is no part of the source", mistake.range);
        assert!(!mistake.message.is_empty());
    }
    outcome::of(mistakes.iter().map(|mistake| mistake.message.as_str()))
}
