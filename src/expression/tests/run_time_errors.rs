//! Expressions that compile and then fail on a record.

use super::{Expression, Input, evaluate, record, scope};
use crate::record::Value;

#[test]
fn what_a_record_does_not_allow_is_an_error() {
    let cases = [
        ("9223372036854775807 + value.id", "the result of `+` does not fit into 64 bits"),
        ("value.json.max * 2", "the result of `*` does not fit into 64 bits"),
        ("-(-9223372036854775807 - value.id / 42)", "the result of `-` does not fit into 64 bits"),
        ("(-9223372036854775807 - value.id / 42) / -1", "the result of `/` does not fit into 64 bits"),
        ("value.counter - 6u", "the result of `-` does not fit into 64 bits"),
        ("sum([value.json.max, 1])", "the result of `+` does not fit into 64 bits"),
        ("math.abs(-9223372036854775807 - value.id / 42)", "the result of `math.abs` does not fit into 64 bits"),
        ("1 / 0", "division by zero"),
        ("value.id % (value.id - 42)", "division by zero"),
        ("1u / 0u", "division by zero"),
        ("value.numbers[3]", "index 3 is outside the list, which has 3 elements"),
        ("value.numbers[-1]", "index -1 is outside the list, which has 3 elements"),
        ("value.referrer.name", "the value is null, so it has no `name`; guard it with `has(...)` or `... != null &&`"),
        ("value.scores.fear", "there is no `fear`; guard it with `has(...)` or `in`"),
        ("value.json.absent", "there is no `absent`; guard it with `has(...)` or `in`"),
        (
            "value.json.nothing.deeper",
            "the value is null, so it has no `deeper`; guard it with `has(...)` or `... != null &&`",
        ),
        ("value.json.n.deeper", "expected something with a field `deeper`, found int"),
        ("value[value.text]", "there is no `Grüße, Welt`; guard it with `has(...)` or `in`"),
        ("headers['absent']", "the record has no header `absent`; guard it with `'absent' in headers`"),
        ("value.json.n + value.json.d", "`+` cannot be applied to int and double"),
        ("value.json.s < 3", "`<` cannot be applied to string and int"),
        ("value.json.s + 1", "`+` cannot be applied to string and int"),
        ("value.json.n ? 1 : 2", "expected bool, found int"),
        ("value.note + 'x'", "`+` cannot be applied to null and string"),
        ("value.note.size()", "expected string, bytes, list or map for `size`, found null"),
        ("value.json.n.exists(x, true)", "expected list or map, found int"),
        ("[1, 0].all(x, 1 / x > 0)", "division by zero"),
        ("[0, 2].exists(x, 1 / x > 0)", "division by zero"),
        ("[0, 1].exists_one(x, 1 / x > 0)", "division by zero"),
        ("false || 1 / 0 > 0", "division by zero"),
        ("1 / 0 > 0 && true", "division by zero"),
        ("int(value.text)", "'Grüße, Welt' cannot be converted to int"),
        ("int(1e19 + value.confidence)", "10000000000000000000 cannot be converted to int"),
        ("uint(-value.id)", "-42 cannot be converted to uint"),
        ("value.text.substring(12)", "position 12 is outside the text, which has 11 characters"),
        ("value.text.substring(5, 2)", "the end of a substring lies before its start"),
        ("value.text.substring(-1)", "-1 is negative; a position or a count cannot be"),
        ("value.numbers.slice(2, 9)", "the slice 2..9 is not within the list, which has 3 elements"),
        ("sort(value.json.list)", "`sort` cannot be applied to int and string"),
        ("{key: 1, 'tenant-1': 2}", "the key `tenant-1` occurs twice"),
        ("value.text.matches(value.text + '(')", "the regular expression cannot be read: unclosed group"),
        (
            "timestamp(253402300799990) + acc",
            "the result is no timestamp; timestamps go from the year 1 to the year 9999",
        ),
        ("duration('87660000h') - duration(-acc)", "the result is no duration; durations go up to 10,000 years"),
        (
            "value.created.getHours(value.text)",
            "`Grüße, Welt` is not a time zone known here; write `UTC` or the hours and minutes east of it, such as `+05:30`",
        ),
        ("math.greatest([1].filter(x, x > 5))", "an empty list has neither a greatest nor a least element"),
        (
            "'aaaaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')",
            "the text would be longer than 67108864 bytes",
        ),
        ("coalesce(1 / 0, 2)", "division by zero"),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source).map(|(value, _)| value), Err(expected.to_owned()), "{source}");
    }
}

#[test]
fn an_error_names_the_part_that_failed() {
    let expression = Expression::compile("value.id > 3 && 10 / (value.id - 42) > 1", &scope()).unwrap();
    let record = record();
    let error = expression.test(&Input::of(&record)).unwrap_err();
    assert_eq!(error.range(), 16..36);
    assert_eq!(
        error.to_string(),
        "`10 / (value.id - 42)` in `value.id > 3 && 10 / (value.id - 42) > 1`: division by zero"
    );
}

#[test]
fn what_the_place_does_not_provide_is_an_error_not_a_panic() {
    for source in ["timestamp", "headers['a']", "topic", "window.start", "window", "acc", "old"] {
        let expression = Expression::compile(source, &scope()).unwrap();
        let input = Input { key: &Value::Null, value: &Value::Null, record: None, locals: &[] };
        assert!(expression.evaluate(&input).is_err(), "{source}");
    }
}

#[test]
fn a_value_of_another_shape_than_announced_is_an_error_not_a_panic() {
    for source in [
        "value.id + 1",
        "value.customer.name",
        "value.tags[0]",
        "value.numbers.map(n, n)",
        "merge(value.customer, {'a': 1})",
        "without(value, 'id')",
    ] {
        let expression = Expression::compile(source, &scope()).unwrap();
        for value in [Value::Null, Value::Int(1), Value::list(vec![]), super::json(vec![("id", "x".into())])] {
            let input = Input { key: &Value::Null, value: &value, record: None, locals: &[] };
            assert!(expression.evaluate(&input).is_err(), "{source}");
        }
    }
}
