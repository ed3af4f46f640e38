//! Values of one type or another, records among them, and records that contain themselves.

use std::sync::Arc;

use crate::expression::{Binding, Expression, Input, Scope};
use crate::record::{RecursiveShape, Shape, StructValue, Value};

fn payload() -> Shape {
    let order = Shape::structure("Order", [("total", Shape::Decimal), ("note", Shape::String.optional())]);
    let visit = Shape::structure("Visit", [("page", Shape::String), ("note", Shape::Int)]);
    Shape::any_of([Shape::Null, Shape::String, order, visit])
}

fn scope() -> Scope {
    let own = RecursiveShape::new("Node");
    let node = Shape::structure(
        "Node",
        [("name", Shape::String), ("next", Shape::Recursive(own.clone()).optional()), ("payload", payload())],
    );
    let Shape::Struct(shape) = &node else { panic!("a struct") };
    own.set(shape);
    Scope::new().with("value", Binding::Value, node)
}

fn shape(source: &str) -> String {
    match Expression::compile(source, &scope()) {
        Ok(expression) => expression.shape().to_string(),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn a_test_of_the_type_leaves_what_it_may_be() {
    assert_eq!(shape("value.payload"), "string, Order, Visit or null");
    assert_eq!(shape("value.payload != null ? value.payload : 'none'"), "string, Order or Visit");
    assert_eq!(shape("type(value.payload) == 'Order' ? value.payload.total : decimal('0')"), "decimal");
    assert_eq!(shape("type(value.payload) == string ? value.payload : ''"), "string");
    assert_eq!(
        shape("type(value.payload) != string && value.payload != null ? value.payload : value.payload"),
        "string, Order, Visit or null"
    );
    assert_eq!(shape("!(type(value.payload) == 'Order') ? '' : value.payload.note"), "string or null");
    // Of several records the field is what it may be in any of them.
    assert_eq!(shape("value.payload.page"), "string");
    assert_eq!(shape("value.payload.note"), "any");
    assert_eq!(shape("value.payload.pge"), "none of string, Order or Visit has a field `pge`");
    assert_eq!(
        shape("type(value.payload) == 'Oder'"),
        "this is never of the type `Oder`; it is string, Order, Visit or null; did you mean `Order`?"
    );
}

#[test]
fn what_contains_itself_is_looked_into_level_by_level() {
    assert_eq!(shape("value.next.next.next.name"), "string");
    assert_eq!(shape("value.next"), "Node or null");
    assert_eq!(shape("value.next == null ? value : value.next"), "Node");
    assert_eq!(shape("[value, value.next.next]"), "list<Node or null>");
    assert_eq!(shape("value.next.nme"), "`Node` has no field `nme`; did you mean `name`?");
}

#[test]
fn the_type_of_a_record_is_its_schemas_name() {
    let Some(Shape::Struct(node)) = scope().shape("value").cloned() else { panic!("a struct") };
    let visit = payload().alternatives().iter().find_map(|branch| match branch {
        Shape::Struct(shape) if shape.name() == "Visit" => Some(Arc::clone(shape)),
        _ => None,
    });
    let visit = Value::Struct(StructValue::new(visit.unwrap(), [Value::from("/"), Value::Int(3)].into()));
    let value = Value::Struct(StructValue::new(node, [Value::from("n"), Value::Null, visit].into()));
    let evaluate = |source: &str| {
        let input = Input { key: &Value::Null, value: &value, record: None, locals: &[] };
        Expression::compile(source, &scope()).unwrap().evaluate(&input).map_err(|error| error.to_string())
    };
    assert_eq!(evaluate("type(value.payload)"), Ok(Value::from("Visit")));
    assert_eq!(evaluate("type(value.payload) == 'Order' ? 1 : 2"), Ok(Value::Int(2)));
    assert_eq!(evaluate("has(value.payload.total)"), Ok(Value::Bool(false)));
    assert_eq!(evaluate("value.payload.note"), Ok(Value::Int(3)));
    assert_eq!(
        evaluate("value.payload.total"),
        Err("`value.payload.total`: there is no `total`; guard it with `has(...)` or `in`".to_owned())
    );
}
