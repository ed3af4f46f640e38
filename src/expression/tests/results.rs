//! Each pair is two expressions of equal value and kind; the right one is the expected result.

use super::{evaluate, fits};

fn check(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (source, expected) in cases {
        let wanted = evaluate(expected).unwrap_or_else(|error| panic!("{expected}: {error}")).0;
        match evaluate(source) {
            Ok((value, shape)) if value != wanted => {
                wrong.push(format!("{source}\n  gives {value:?}, not {wanted:?} ({shape})"))
            }
            Ok((value, shape)) if !fits(&value, &shape) => {
                wrong.push(format!("{source}\n  gives {value:?}, which is not {shape}"))
            }
            Ok(_) => {}
            Err(error) => wrong.push(format!("{source}\n  {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn operators_follow_the_specification() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("7u % 4u", "3u"),
        ("7.0 / 2.0", "3.5"),
        ("1.0 / 0.0 > 1e308", "true"),
        ("-value.id", "-42"),
        ("--value.id", "42"),
        ("value.id -1", "41"),
        ("value.id-1", "41"),
        ("2 - -1", "3"),
        ("-value.numbers[0] + 3", "0"),
        ("!(value.id in [1]) && !value.numbers.exists(n, n > 9)", "true"),
        ("-9223372036854775808", "-9223372036854775807 - 1"),
        ("'a' + 'b'", "'ab'"),
        ("b'a' + b'b'", "b'ab'"),
        ("[1] + [2, 3]", "[1, 2, 3]"),
        ("1 == 1.0", "true"),
        ("1u == 1", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("9007199254740993 > 9007199254740992.0", "true"),
        ("-1 < 1u", "true"),
        ("18446744073709551615u > 9223372036854775807", "true"),
        ("-0.5 < 0", "true"),
        ("0 > -0.5", "true"),
        ("1 < 1.5 && 2 > 1.5 && -1 > -1.5 && -2 < -1.5", "true"),
        ("1e300 > 5", "true"),
        ("-1e300 < 5", "true"),
        ("double('NaN') == double('NaN')", "false"),
        ("double('NaN') < 1", "false"),
        ("0.0 == -0.0", "true"),
        ("'a' < 'b' && 'B' < 'a' && b'a' < b'b' && false < true", "true"),
        ("[1, 2] == [1.0, 2.0]", "true"),
        ("[1, 2] != [2, 1]", "true"),
        ("{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1u}", "true"),
        ("{'a': 1} == {'a': 1, 'b': null}", "false"),
        ("null == null", "true"),
        ("value.id == null", "false"),
        ("value.note == null", "true"),
        ("!true || !false", "true"),
        ("true ? 1 : 2", "1"),
        ("value.id > 40 ? 'big' : 'small'", "'big'"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("2 in [1, 2, 3]", "true"),
        ("'x' in ['a', 'b']", "false"),
        ("1.0 in [1, 2]", "true"),
        ("'joy' in value.scores", "true"),
        ("'b' in {'a': 1}", "false"),
        ("'id' in value", "true"),
        ("r'\\d' + \"\\n\" + '''x'''", "'\\\\d\\nx'"),
        ("0xFF + 1", "256"),
        ("value // a comment\n.id", "42"),
    ]);
}

#[test]
fn logic_absorbs_errors_on_either_side() {
    check(&[
        ("false && 1 / 0 > 0", "false"),
        ("1 / 0 > 0 && false", "false"),
        ("true || 1 / 0 > 0", "true"),
        ("1 / 0 > 0 || true", "true"),
        ("value.referrer != null && value.referrer.name == 'Ada'", "false"),
        ("value.referrer == null || value.referrer.name == 'Ada'", "true"),
        ("value.referrer.age > 3 || value.id == 42", "true"),
        ("has(value.referrer) ? value.referrer.name : 'nobody'", "'nobody'"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[0, 1].all(x, 1 / x == 2)", "false"),
        ("[1, 2].all(x, x > 0) && ![].exists(x, x)", "true"),
    ]);
}

#[test]
fn what_a_record_carries_is_read() {
    check(&[
        ("key", "'tenant-1'"),
        ("value.id", "42"),
        ("value['id']", "42"),
        ("value.customer.name", "'Ada'"),
        ("value.customer['age']", "36"),
        ("value.tags[1]", "'billing'"),
        ("value.scores.joy + value.scores['anger']", "0.75"),
        ("value.customers[1].name", "'Bob'"),
        ("value.sentiment == 'negative'", "true"),
        ("value.sentiment in ['negative', 'neutral']", "true"),
        ("'negative' == value.sentiment", "true"),
        ("value.sentiment + '!'", "'negative!'"),
        ("acc + 1", "11"),
        ("topic + ':' + string(partition) + ':' + string(offset)", "'messages:3:1000'"),
        ("timestamp == 90000", "true"),
        ("timestamp - window.start", "duration('30s')"),
        ("window.end", "timestamp(120000)"),
        ("window.end - window.start == 60000", "true"),
        ("int(window.start)", "60000"),
        ("window == {'start': window.start, 'end': 120000}", "true"),
        ("headers['trace']", "'last'"),
        ("headers.trace", "'last'"),
        ("headers['x-id']", "'\\uFFFD!'"),
        ("'trace' in headers", "true"),
        ("'tr' + 'ace' in headers", "true"),
        ("has(headers.trace) && !has(headers.other)", "true"),
        ("size(headers)", "2"),
        ("old == null", "true"),
        ("value.counter + 1u", "6u"),
        ("value.raw == b'\\x01\\x02'", "true"),
        ("value.active ? 1 : 0", "1"),
    ]);
}

#[test]
fn values_without_a_schema_are_dynamic() {
    check(&[
        ("value.json.n + 1", "8"),
        ("value.json.n > 6.5", "true"),
        ("value.json.d * 2.0", "5.0"),
        ("value.json.s + '!'", "'text!'"),
        ("value.json.s == 7", "false"),
        ("value.json['list'][2]", "'three'"),
        ("value.json.inner.deep", "true"),
        ("value.json.inner.deep && value.json.n == 7", "true"),
        ("has(value.json.inner.deep)", "true"),
        ("has(value.json.nothing)", "false"),
        ("has(value.json.absent.deeper)", "false"),
        ("value.json.nothing == null", "true"),
        ("value.json.list.exists(x, x == 'three')", "true"),
        ("value.json.list.filter(x, type(x) == 'double')", "[2.5]"),
        ("size(value.json)", "7"),
        ("coalesce(value.json.absent, value.json.nothing, 'z')", "'z'"),
        ("type(value.json) == map && type(value.json.n) == int", "true"),
        ("dyn(1) == dyn('1')", "false"),
        ("[1, 'a'][1]", "'a'"),
    ]);
}

#[test]
fn macros_go_over_lists_and_the_keys_of_maps() {
    check(&[
        ("value.numbers.all(n, n > 0)", "true"),
        ("value.numbers.exists(n, n == 2)", "true"),
        ("value.numbers.exists_one(n, n > 1)", "false"),
        ("value.tags.existsOne(t, t == 'billing')", "true"),
        ("value.numbers.map(n, n * 2)", "[6, 2, 4]"),
        ("value.numbers.map(n, n > 1, n * 2)", "[6, 4]"),
        ("value.numbers.filter(n, n != 1)", "[3, 2]"),
        ("value.scores.filter(name, value.scores[name] > 0.3)", "['anger']"),
        ("value.scores.exists(name, name == 'joy')", "true"),
        ("[1, 2].map(x, [10, 20].map(y, x * y))", "[[10, 20], [20, 40]]"),
        ("[1, 2].map(x, [3].map(x, x))", "[[3], [3]]"),
        ("[[1, 2], [3]].map(row, row.filter(x, x > 1))", "[[2], [3]]"),
        ("value.customers.filter(c, c.age != null && c.age > 30).map(c, c.name)", "['Ada']"),
        ("value.numbers.map(n, n + acc)", "[13, 11, 12]"),
        ("value.customers.map(c, {'name': c.name})[0].name", "'Ada'"),
        ("{'a': 1}.map(k, k)", "['a']"),
        ("value.tags.filter(value, value == 'billing')", "['billing']"),
    ]);
}

#[test]
fn text_functions_count_characters() {
    check(&[
        ("size(value.text)", "11"),
        ("value.text.size()", "11"),
        ("size(b'ab') + size([1]) + size({'a': 1}) + size({})", "4"),
        ("value.text.contains('Welt')", "true"),
        ("value.text.startsWith('Grü') && value.text.endsWith('elt')", "true"),
        ("value.text.matches('^G.*[aeiou]')", "true"),
        ("matches(value.text, 'x')", "false"),
        ("value.text.matches('W' + 'e')", "true"),
        ("value.text.matches(value.sentiment)", "false"),
        ("'ÄBc'.lowerAscii()", "'Äbc'"),
        ("'äBc'.upperAscii()", "'äBC'"),
        ("'  x '.trim()", "'x'"),
        ("'a,b,c'.split(',')", "['a', 'b', 'c']"),
        ("'a,b,c'.split(',', 2)", "['a', 'b,c']"),
        ("'äb'.split('')", "['ä', 'b']"),
        ("'abc'.split('', 2)", "['a', 'bc']"),
        ("['a', 'b'].join('-') + ['c', 'd'].join()", "'a-bcd'"),
        ("'aaa'.replace('a', 'b') + 'aaa'.replace('a', 'b', 1)", "'bbbbaa'"),
        ("value.text.substring(2, 5)", "'üße'"),
        ("value.text.substring(7)", "'Welt'"),
        ("'abc'.substring(3)", "''"),
        ("'äbc'.charAt(1) + 'a'.charAt(1)", "'b'"),
        ("'äbcb'.indexOf('b') == 1 && 'äbcb'.indexOf('b', 2) == 3 && 'x'.indexOf('y') == -1", "true"),
        ("'äbcb'.lastIndexOf('b')", "3"),
        ("'abc'.reverse()", "'cba'"),
    ]);
}

#[test]
fn lists_and_numbers_have_functions() {
    check(&[
        ("first(value.numbers)", "3"),
        ("value.numbers.last()", "2"),
        ("first([])", "null"),
        ("take(value.numbers, 2)", "[3, 1]"),
        ("take_last(value.numbers + [9], 2)", "[2, 9]"),
        ("take_last([1], 5)", "[1]"),
        ("value.numbers.slice(1, 3)", "[1, 2]"),
        ("distinct(value.tags)", "['urgent', 'billing']"),
        ("sort(value.numbers)", "[1, 2, 3]"),
        ("value.tags.sort()", "['billing', 'urgent', 'urgent']"),
        ("value.numbers.reverse()", "[2, 1, 3]"),
        ("sum(value.numbers)", "6"),
        ("sum([0.5, 0.25])", "0.75"),
        ("sum([1.0].filter(x, x > 5.0))", "0.0"),
        ("sum([1].filter(x, x > 5))", "0"),
        ("flatten([[1], [2, 3]])", "[1, 2, 3]"),
        ("math.greatest(1, 5, 3)", "5"),
        ("math.least(value.numbers)", "1"),
        ("math.greatest(1, 2.5)", "2.5"),
        ("math.abs(-3) + math.abs(value.id)", "45"),
        ("math.ceil(1.2) + math.floor(1.8) + math.round(2.5) + math.trunc(-1.5)", "5.0"),
        ("math.sqrt(16.0)", "4.0"),
        ("math.isNaN(0.0 / 0.0)", "true"),
    ]);
}

#[test]
fn values_are_converted() {
    check(&[
        ("int('12') + int(3.9) + int(4u) + int(-3.9)", "16"),
        ("uint(7) + uint('8') + uint(1.5)", "16u"),
        ("double(1) + double('0.5')", "1.5"),
        ("string(1) + string(2u) + string(1.5) + string(true) + string(b'x')", "'121.5truex'"),
        ("string(timestamp(0))", "'1970-01-01T00:00:00Z'"),
        ("string(duration('90m'))", "'5400s'"),
        ("string(duration('-1500ms'))", "'-1.5s'"),
        ("bool('true') && !bool('f')", "true"),
        ("bytes('ä') == b'\\303\\244'", "true"),
        ("timestamp('2026-01-01T00:09:13.250Z')", "value.created"),
        ("timestamp('2026-01-01T02:09:13.25+02:00') == value.created", "true"),
        ("duration('1h30m') == duration(5400000)", "true"),
        ("duration('1.5h') + duration('2d')", "duration('49.5h')"),
        ("timestamp(1000) + duration('1s')", "timestamp(2000)"),
        ("timestamp(1000) + 500", "timestamp(1500)"),
        ("duration('1s') - 250", "duration('750ms')"),
        ("value.created.getFullYear() * 10000 + value.created.getMonth() * 100 + value.created.getDate()", "20260001"),
        (
            "[value.created.getHours(), value.created.getMinutes(), value.created.getSeconds(), value.created.getMilliseconds()]",
            "[0, 9, 13, 250]",
        ),
        ("value.created.getDayOfWeek('UTC')", "4"),
        ("value.created.getDayOfYear() + value.created.getDayOfMonth()", "0"),
        ("duration('90m').getHours() * 1000 + duration('90m').getMinutes()", "1090"),
        ("type(1) == int && type(null) == null_type && type({}) == map", "true"),
    ]);
}

#[test]
fn structs_are_built_with_fields_known_beforehand() {
    check(&[
        ("{'a': 1, 'b': value.id}.b", "42"),
        ("{'a': 1, 'b': value.id}['a']", "1"),
        ("{'a': {'b': [value.id]}}.a.b[0]", "42"),
        ("{value.text: 1}[value.text]", "1"),
        ("{key: value.id, 'x': 2}.x", "2"),
        ("value[key == 'x' ? 'text' : 'id']", "42"),
        ("merge({'a': 1, 'b': 2}, {'b': 'x', 'c': value.id})", "{'a': 1, 'b': 'x', 'c': 42}"),
        ("merge(value.customer, {'age': 3})", "{'name': 'Ada', 'age': 3}"),
        ("merge(value.json.inner, {'x': 1}).x", "1"),
        ("merge(value.scores, {key: 1.0})[key]", "1.0"),
        ("without({'a': 1, 'b': value.id}, 'a')", "{'b': 42}"),
        ("without(value.customer, 'age').name", "'Ada'"),
        ("size(without(value.json, 'n', 's'))", "5"),
        ("coalesce(value.note, 'none')", "'none'"),
        ("coalesce(value.referrer.age, value.customer.age, 0) + 1", "37"),
        ("coalesce(value.note, null)", "null"),
        ("coalesce(headers['absent'], 'none')", "'none'"),
        ("has(value.customer.age) && !has(value.note) && has(value['id'])", "true"),
        ("value.id == 0 ? null : value.id", "42"),
        ("value.active ? {'a': 1, 'b': null} : {'a': 2, 'b': 'x'}", "{'a': 1, 'b': null}"),
        ("(value.active ? {'a': 1, 'b': null} : {'a': 2, 'b': 'x'}).a", "1"),
    ]);
}

#[test]
fn the_deepest_expressions_that_compile_also_evaluate() {
    let sum = vec!["value.id"; 190].join(" + ");
    let nested = format!("{}value.id{}", "[1].map(x, x + ".repeat(60), ")[0]".repeat(60));
    let lists = format!("{}1{} != []", "[".repeat(60), "]".repeat(60));
    check(&[(&sum, "7980"), (&nested, "102"), (&lists, "true")]);
}
