//! What surrounds evaluation: the fields that are used, shapes, projections.

use super::{Binding, Expression, Input, record, scope, value_shape};
use crate::expression::Projection;
use crate::record::{Fields, Shape, Value};

fn paths(source: &str, binding: &Binding) -> String {
    fn write(fields: &Fields) -> String {
        match fields {
            Fields::All => "*".to_owned(),
            Fields::Some(fields) => {
                let parts: Vec<String> =
                    fields.iter().map(|(name, inner)| format!("{name}:{}", write(inner))).collect();
                format!("{{{}}}", parts.join(" "))
            }
        }
    }
    Expression::compile(source, &scope()).unwrap().uses(binding).map_or("-".to_owned(), write)
}

#[test]
fn only_what_is_read_counts_as_used() {
    for (source, expected) in [
        ("value.id > 3", "{id:*}"),
        ("value.customer.name + value.text", "{customer:{name:*} text:*}"),
        ("value.customer.name + string(value.customer.age)", "{customer:{age:* name:*}}"),
        ("value", "*"),
        ("value.customer == null || value.customer.name == 'x'", "{customer:*}"),
        ("value.tags.exists(t, t == value.text)", "{tags:* text:*}"),
        ("value.customers.map(c, c.name)", "{customers:*}"),
        ("has(value.customer.name)", "{customer:{name:*}}"),
        ("value['customer']['name']", "{customer:{name:*}}"),
        ("value.json.inner.deep", "{json:{inner:{deep:*}}}"),
        ("value.json[key]", "{json:*}"),
        ("merge(value, {'a': 1})", "*"),
        ("merge(value.customer, {'a': 1})", "{customer:*}"),
        ("{'a': value.id}.a", "{id:*}"),
        ("value[key]", "*"),
        ("value.text.matches('x')", "{text:*}"),
        ("[1].map(value, value)", "-"),
        ("key", "-"),
    ] {
        assert_eq!(paths(source, &Binding::Value), expected, "{source}");
    }
    assert_eq!(paths("window.start", &Binding::Window), "{start:*}");
    assert_eq!(paths("headers['a'] + headers.b", &Binding::Headers), "{a:* b:*}");
    assert_eq!(paths("headers[value.text]", &Binding::Headers), "*");
    assert_eq!(paths("'a' in headers", &Binding::Headers), "{a:*}");
    assert_eq!(paths("acc + 1", &Binding::Local(0)), "*");
    assert_eq!(paths("timestamp > 3", &Binding::Timestamp), "*");
}

#[test]
fn the_shape_of_a_result_is_known() {
    for (source, expected) in [
        ("value.id", "int"),
        ("value.note", "string or null"),
        ("value.note == null ? '' : value.note", "string"),
        ("value.note != null && value.id > 0 ? value.note : 'x'", "string"),
        ("has(value.note) ? value.note : ''", "string"),
        ("!has(value.note) ? '' : value.note", "string"),
        ("value.customers.filter(c, c.age != null).map(c, c.age)", "list<int or null>"),
        ("value.customers.map(c, c.age != null, c.age)", "list<int or null>"),
        ("value['note'] != null ? value.note : ''", "string"),
        ("coalesce(value.note, '')", "string"),
        ("coalesce(value.note, null)", "string or null"),
        ("coalesce(value.referrer.age, value.customer.age)", "int or null"),
        ("value.active ? value.id : null", "int or null"),
        ("{'a': value.id, 'b': value.note}", "{a: int, b: string or null}"),
        ("{value.text: 1}", "map<string, int>"),
        ("{}", "map<string, nothing>"),
        ("[]", "list<nothing>"),
        ("[1, null]", "list<int or null>"),
        ("[1, 'a']", "list<any>"),
        ("value.json.x", "any"),
        ("value.json.x + 1.5", "double"),
        ("value.json.x + 1", "any"),
        ("value.json.x == 1", "bool"),
        ("timestamp - value.created", "duration"),
        ("first(value.tags)", "string or null"),
        ("sum(value.numbers)", "int"),
        ("sum(value.customers.map(c, 0.5))", "double"),
        ("value.customers[0]", "Customer"),
        ("merge(value.customer, {'x': 1.5, 'age': 'old'})", "{name: string, age: string, x: double}"),
        ("without(value.customer, 'name')", "{age: int or null}"),
        ("value.sentiment", "enum Sentiment"),
    ] {
        let shape = Expression::compile(source, &scope())
            .unwrap_or_else(|errors| panic!("{source}: {errors:?}"))
            .shape()
            .to_string();
        assert_eq!(shape, expected, "{source}");
    }
}

#[test]
fn a_projection_builds_structs_of_expressions() {
    let part = |source| Projection::from(Expression::compile(source, &scope()).unwrap());
    let inner = Projection::structure([("name", part("value.customer.name"))]);
    let projection = Projection::structure([
        ("tenant", part("key")),
        ("customer", inner),
        ("ids", Projection::list(vec![part("value.id"), part("acc")])),
    ]);
    assert_eq!(projection.shape().to_string(), "{tenant: string, customer: {name: string}, ids: list<int>}");
    let record = record();
    let input = Input { locals: &[Value::Int(1)], ..Input::of(&record) };
    let value = projection.evaluate(&input).unwrap();
    assert_eq!(value.get("customer").and_then(|customer| customer.get("name")), Some(&Value::from("Ada")));
    assert_eq!(value.get("ids"), Some(&Value::list(vec![Value::Int(42), Value::Int(1)])));
    let mut expected = Fields::path(&["customer", "name"]);
    expected.merge(&Fields::path(&["id"]));
    assert_eq!(projection.uses(&Binding::Value), Some(expected));
    assert_eq!(projection.uses(&Binding::Headers), None);
}

#[test]
fn structs_made_by_one_expression_share_their_shape() {
    let expression = Expression::compile("{'a': value.id}", &scope()).unwrap();
    let record = record();
    let Value::Struct(made) = expression.evaluate(&Input::of(&record)).unwrap() else { panic!("a struct") };
    let Shape::Struct(shape) = expression.shape() else { panic!("a struct") };
    assert!(std::sync::Arc::ptr_eq(made.shape(), shape));
}

#[test]
fn a_condition_is_tested_without_a_result() {
    let record = record();
    let test = |source| Expression::compile(source, &scope()).unwrap().test(&Input::of(&record));
    assert_eq!(test("value.confidence >= 0.5"), Ok(true));
    assert!(test("value.json.n").is_err());
}

#[test]
fn names_can_be_given_a_new_meaning() {
    let scope = scope().with("left", Binding::Local(1), value_shape()).with("value", Binding::Local(0), Shape::Int);
    let expression = Expression::compile("value + left.id", &scope).unwrap();
    assert_eq!(expression.uses(&Binding::Local(1)), Some(&Fields::path(&["id"])));
    assert_eq!(expression.uses(&Binding::Value), None);
}
