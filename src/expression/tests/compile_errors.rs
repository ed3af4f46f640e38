//! Expressions that are refused, with everything that is reported about them.

use super::{Expression, describe, scope};

#[track_caller]
fn refused(source: &str) -> String {
    match Expression::compile(source, &scope()) {
        Ok(expression) => panic!("{source} compiles: {expression:?}"),
        Err(errors) => {
            for error in &errors {
                assert!(source.get(error.range.clone()).is_some(), "{source}: {error:?} is out of range");
            }
            describe(&errors)
        }
    }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(source, expected)| (source, expected, refused(source)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(source, expected, found)| format!("{source}\n  expected: {expected}\n  found:    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_name_is_told_with_the_nearest_one() {
    check(&[
        ("valeu.id", "0..5 `valeu` is not known here | did you mean `value`?"),
        ("sentiment == 'x'", "0..9 `sentiment` is not known here | did you mean the field `value.sentiment`?"),
        ("value.sentimnt", "6..14 `Message` has no field `sentimnt` | did you mean `sentiment`?"),
        ("value.customer.mail", "15..19 `Customer` has no field `mail` | the fields are `name`, `age`"),
        ("value['idd']", "6..11 `Message` has no field `idd` | did you mean `id`?"),
        ("{'a': 1}.b", "9..10 this value has no field `b` | the fields are `a`"),
        ("window.begin", "7..12 `window` has no field `begin` | the fields are `start`, `end`"),
        ("value.text.startWith('a')", "11..20 there is no function `startWith` | did you mean `startsWith`?"),
        ("siz(value.tags)", "0..3 there is no function `siz` | did you mean `size`?"),
        ("math.abss(1)", "0..9 there is no function `math.abss` | did you mean `math.abs`?"),
        ("[1].exist(x, x > 0)", "4..9 there is no function `exist` | did you mean `exists`?"),
        ("value.tags.exists(tag, tog == 'x')", "23..26 `tog` is not known here | did you mean `tag`?"),
    ]);
}

#[test]
fn an_unknown_symbol_of_an_enumeration_is_refused() {
    check(&[
        (
            "value.sentiment == 'negativ'",
            "19..28 `negativ` is not a symbol of enum Sentiment | did you mean `negative`?",
        ),
        (
            "value.sentiment in ['negative', 'angry']",
            "32..39 `angry` is not a symbol of enum Sentiment | the symbols are `positive`, `neutral`, `negative`",
        ),
        (
            "'Positive' != value.sentiment",
            "0..10 `Positive` is not a symbol of enum Sentiment | did you mean `positive`?",
        ),
    ]);
}

#[test]
fn operands_that_do_not_go_together_are_refused() {
    check(&[
        (
            "1 + 1.0",
            "0..7 `+` cannot be applied to an int and a double; it does not combine them | convert the other one with `double(...)`",
        ),
        (
            "1u * 1",
            "0..6 `*` cannot be applied to a uint and an int; it does not combine them | convert one of them with `int(...)`",
        ),
        (
            "value.text + value.id",
            "0..21 `+` cannot be applied to a string and an int; it does not combine them | convert with `string(...)` or `int(...)`",
        ),
        (
            "value.text == 1",
            "0..15 `==` cannot be applied to a string and an int; they are never equal | convert with `string(...)` or `int(...)`",
        ),
        (
            "value.tags < value.tags",
            "0..23 `<` cannot be applied to a list<string> and a list<string>; they have no order",
        ),
        ("1.5 % 2.0", "0..9 `%` cannot be applied to a double and a double; it does not combine them"),
        ("1 in ['a']", "0..10 `in` cannot be applied to an int and a list<string>; it is never in there"),
        ("1 in 2", "5..6 `in` needs a list or a map on its right, and this is an int"),
        ("1 in headers", "0..12 `in` cannot be applied to an int and a map<string, string>; it is never in there"),
        ("-value.text", "1..11 `-` needs an int, a double, a decimal or a duration, and this is a string"),
        ("!value.id", "1..9 a bool is expected here, and this is an int"),
        ("value.id && true", "0..8 a bool is expected here, and this is an int"),
        ("value.id ? 1 : 2", "0..8 a bool is expected here, and this is an int"),
        (
            "true ? 1 : 'a'",
            "7..14 the two results differ: an int and a string; both must be of one type | convert with `string(...)` or `int(...)`",
        ),
        ("value.tags['a']", "11..14 a list is indexed by an int, and this is a string"),
        ("value.id[0]", "0..8 an int cannot be indexed; only lists and maps can"),
        ("value.id.x", "9..10 an int has no fields, so there is no `x` in it"),
        ("{1: 2}", "1..2 the keys of a map are strings, and this is an int"),
        ("{'a': 1, 'a': 2}", "9..12 the key `a` occurs twice"),
        (
            "timestamp + timestamp",
            "0..21 `+` cannot be applied to a timestamp and a timestamp; it does not combine them",
        ),
    ]);
}

#[test]
fn calls_are_checked() {
    check(&[
        ("size()", "0..6 `size` takes 1 argument, and 0 are given"),
        ("value.text.split()", "0..18 `split` takes 1 to 2 arguments, and 0 are given"),
        ("size(1)", "5..6 `size` needs string, bytes, list or map here, and this is an int"),
        ("value.text.contains(1)", "20..21 `contains` needs string here, and this is an int"),
        (
            "contains(value.text, 'a')",
            "0..8 `contains` is a method | write it behind its first argument: `x.contains(...)`",
        ),
        ("value.id.string()", "9..15 `string` is not a method | write `string(x)`"),
        ("value.text.matches('(')", "19..22 the regular expression cannot be read: unclosed group"),
        (
            "timestamp('yesterday')",
            "0..22 'yesterday' cannot be converted to timestamp, which is written as '2026-01-31T12:00:00Z'",
        ),
        (
            "duration('5 minutes')",
            "0..21 '5 minutes' cannot be converted to duration, which is written as '1h30m' or '1.5s'",
        ),
        ("int('x')", "0..8 'x' cannot be converted to int"),
        (
            "timestamp.getHours('Europe/Berlin')",
            "19..34 `Europe/Berlin` is not a time zone known here | write `UTC` or the hours and minutes east of it, such as `+05:30`",
        ),
        ("value.text.all(c, true)", "0..10 `all` goes over a list or the keys of a map, and this is a string"),
        ("value.tags.exists(true)", "0..23 `exists` is written `list.exists(x, x > 0)`"),
        ("value.tags.filter(t, t)", "21..22 a bool is expected here, and this is a string"),
        ("has(value)", "0..10 `has` is written `has(value.field)`"),
        ("has(value.idd)", "10..13 `Message` has no field `idd` | did you mean `id`?"),
        ("sum(value.tags)", "4..14 `sum` adds numbers or durations, and this is a list of string"),
        ("sort(value.customers)", "5..20 values of Customer have no order to sort by"),
        ("value.numbers.join(',')", "0..13 `join` joins a list of strings, and this is a list of int"),
        (
            "coalesce(value.note, 1)",
            "21..22 an int does not go with a string before it; all arguments of `coalesce` must be of one type | convert with `string(...)` or `int(...)`",
        ),
        ("merge(value, 1)", "13..14 `merge` needs structs or maps, and this is an int"),
        ("without(value.customer, 'nme')", "24..29 `Customer` has no field `nme` | did you mean `name`?"),
        ("Thing{a: 1}", "5..6 there is no message type `Thing` to build | write a map: `{'name': value}`"),
    ]);
}

#[test]
fn all_errors_of_an_expression_are_reported() {
    check(&[
        (
            "vlue.x + value.idd > 3 && fooo(1) && value.text == 5",
            "0..4 `vlue` is not known here | did you mean `value`?\n\
             15..18 `Message` has no field `idd` | did you mean `id`?\n\
             26..30 there is no function `fooo`\n\
             37..52 `==` cannot be applied to a string and an int; they are never equal | convert with `string(...)` or `int(...)`",
        ),
        (
            "{'a': valeu, 'b': [1 + 'x', value.nope1]}",
            "6..11 `valeu` is not known here | did you mean `value`?\n\
             19..26 `+` cannot be applied to an int and a string; it does not combine them | convert with `string(...)` or `int(...)`\n\
             34..39 `Message` has no field `nope1` | some of the 16 fields are `id`, `text`, `confidence`, `sentiment`, `tags`, `numbers`, `scores`, `customer`, `referrer`, `note`, `customers`, `json`",
        ),
    ]);
}

#[test]
fn syntax_errors_are_short_and_in_place() {
    check(&[
        ("", "0..0 an expression is expected here, and there is none"),
        ("  // nothing", "0..12 an expression is expected here, and there is none"),
        ("value.id +", "10..10 the expression ends here, where a value is expected"),
        ("(value.id", "0..1 this `(` is never closed; `)` is expected"),
        ("[1, 2", "0..1 this `[` is never closed; `]` is expected"),
        ("value.id)", "8..9 this `)` closes nothing"),
        ("[1, 2)", "5..6 `]` is expected here to close `[`, found `)`"),
        ("value.text == 'abc", "14..18 this text is never closed; `'` is expected"),
        ("value.id = 3", "9..10 `=` is not expected here | to compare, write `==`"),
        ("true and false", "5..8 `and` is not expected here | write `&&`"),
        ("true or false", "5..7 `or` is not expected here | write `||`"),
        ("not true", "4..8 `true` is not expected here | for `not`, write `!`"),
        ("1 2", "2..3 `2` is not expected here"),
        ("value id", "6..8 `id` is not expected here | an operator such as `==`, `&&` or `+` is missing before it"),
        ("value.", "6..6 the expression ends here, where a value is expected"),
        ("a ? b", "5..5 the expression ends here, where a value is expected"),
        ("9223372036854775808", "0..19 `9223372036854775808` does not fit into a signed 64-bit integer"),
        ("while", "0..5 `while` is a reserved word and cannot be a name"),
        ("'ä' + @", "7..8 `@` is not expected here"),
        ("1 +\n  * 2", "6..7 `*` is not expected here"),
    ]);
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(refused(&deep).contains("brackets nest more than 64 deep"));
    let chain = vec!["1"; 8_000].join("+");
    assert!(refused(&chain).contains("nests more than 200 operations"));
    let members = format!("value{}", ".a".repeat(8_000));
    assert!(refused(&members).contains("nests more than 200 operations"));
    let ternaries = format!("{}1", "true ? 1 : ".repeat(1_000));
    assert!(refused(&ternaries).contains("nests too deep for the parser"));
    let negations = format!("{}true", "!".repeat(10_001));
    assert!(Expression::compile(&negations, &scope()).is_ok());
    let long = format!("'{}'", "a".repeat(20_000));
    assert!(refused(&long).contains("at most 16384 are allowed"));
    let wide = vec!["value.id == 1"; 300].join(" || ");
    assert!(Expression::compile(&wide, &scope()).is_ok());
}

#[test]
fn no_input_makes_the_compiler_panic() {
    let pieces = [
        "value", ".", "id", "(", ")", "[", "]", "{", "}", "'", "\"", "\\", "?", ":", "&&", "||", "!", "-", "1", "0x",
        "1e", "u", "ä", "`", "r'", "b\"", ",", "in", "has(", ".map(x,", "\n", "//", "@", "\u{0}",
    ];
    let mut state = 12_345_u64;
    for _ in 0..1_500 {
        let mut source = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            source.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        if let Err(errors) = Expression::compile(&source, &scope()) {
            assert!(!errors.is_empty(), "{source}");
            for error in errors {
                assert!(source.get(error.range.clone()).is_some(), "{source:?}: {error:?}");
                assert!(!error.message.contains("gave up"), "{source:?}: {error:?}");
            }
        }
    }
}
