//! Aggregates against what they stand for, and merging against adding everything to one.

use proptest::prelude::*;

use super::*;
use crate::record::{Headers, Origin, TopicPartition};

/// All kinds, with limits small enough to be reached.
fn kinds() -> Vec<AggregateKind> {
    vec![
        AggregateKind::Count,
        AggregateKind::CountIf,
        AggregateKind::Sum,
        AggregateKind::Min,
        AggregateKind::Max,
        AggregateKind::Avg,
        AggregateKind::Stddev,
        AggregateKind::First,
        AggregateKind::Last,
        AggregateKind::Collect { limit: 5 },
        AggregateKind::CollectSet { limit: 5 },
        AggregateKind::TopK { k: 3 },
        AggregateKind::ApproxDistinct,
        AggregateKind::ApproxQuantile { millionths: 500_000 },
    ]
}

fn shape_of(kind: AggregateKind) -> Option<Shape> {
    match kind {
        AggregateKind::Avg => Some(Shape::structure("", [("sum", Shape::Double), ("count", Shape::Int)])),
        AggregateKind::Stddev => {
            Some(Shape::structure("", [("count", Shape::Int), ("mean", Shape::Double), ("squares", Shape::Double)]))
        }
        AggregateKind::TopK { .. } => {
            Some(Shape::list(Shape::structure("", [("value", Shape::Any), ("count", Shape::Int)])))
        }
        _ => None,
    }
}

fn argument(kind: AggregateKind, number: i64) -> Value {
    if kind == AggregateKind::CountIf { Value::Bool(number % 2 == 0) } else { Value::Int(number) }
}

fn added(kind: AggregateKind, numbers: &[i64]) -> Value {
    let shape = shape_of(kind);
    numbers
        .iter()
        .fold(Value::Null, |state, number| add(kind, &state, argument(kind, *number), shape.as_ref()).unwrap())
}

fn double(value: &Value) -> f64 {
    numbers::number(value).unwrap()
}

fn assert_close(a: &Value, b: &Value) {
    match (a, b) {
        (Value::Null, Value::Null) => {}
        (a, b) => assert!((double(a) - double(b)).abs() <= 1e-9 * double(b).abs().max(1.0), "{a:?} and {b:?}"),
    }
}

/// Values of [`AggregateKind`] that rounding may tell apart.
fn rounds(kind: AggregateKind) -> bool {
    matches!(kind, AggregateKind::Avg | AggregateKind::Stddev)
}

fn sample_deviation(numbers: &[i64]) -> f64 {
    let mean = numbers.iter().sum::<i64>() as f64 / numbers.len() as f64;
    let squares: f64 = numbers.iter().map(|number| (*number as f64 - mean).powi(2)).sum();
    (squares / (numbers.len() as f64 - 1.0)).sqrt()
}

proptest! {
    #[test]
    fn merging_is_adding_everything_to_one(
        earlier in prop::collection::vec(-20..20_i64, 0..40),
        later in prop::collection::vec(-20..20_i64, 0..40),
    ) {
        let all: Vec<i64> = earlier.iter().chain(&later).copied().collect();
        for kind in kinds() {
            let (a, b) = (added(kind, &earlier), added(kind, &later));
            let merged = merge::merge(kind, &a, &b, shape_of(kind).as_ref()).unwrap();
            let whole = added(kind, &all);
            if rounds(kind) {
                assert_close(&finish(kind, &merged).unwrap(), &finish(kind, &whole).unwrap());
            } else {
                prop_assert_eq!(&merged, &whole, "{:?}", kind);
            }
        }
    }

    #[test]
    fn what_was_added_can_be_subtracted(
        kept in prop::collection::vec(-1_000..1_000_i64, 1..30),
        gone in prop::collection::vec(-1_000..1_000_i64, 0..30),
    ) {
        let all: Vec<i64> = gone.iter().chain(&kept).copied().collect();
        let reversible =
            [AggregateKind::Count, AggregateKind::CountIf, AggregateKind::Sum, AggregateKind::Avg, AggregateKind::Stddev];
        for kind in reversible {
            let shape = shape_of(kind);
            let left = gone.iter().fold(added(kind, &all), |state, number| {
                subtract(kind, &state, argument(kind, *number), shape.as_ref()).unwrap()
            });
            assert_close(&finish(kind, &left).unwrap(), &finish(kind, &added(kind, &kept)).unwrap());
        }
    }

    #[test]
    fn the_deviation_is_that_of_the_sample(numbers in prop::collection::vec(0..1_000_i64, 2..50)) {
        let state = added(AggregateKind::Stddev, &numbers);
        assert_close(&finish(AggregateKind::Stddev, &state).unwrap(), &Value::Double(sample_deviation(&numbers)));
    }

    #[test]
    fn a_quantile_is_near_the_number_at_its_rank(
        mut numbers in prop::collection::vec(prop_oneof![-1e9..1e9_f64, Just(0.0), -1.0..1.0_f64], 1..300),
        millionths in 0..=1_000_000_u32,
    ) {
        let kind = AggregateKind::ApproxQuantile { millionths };
        let add = |state: Value, number: &f64| add(kind, &state, Value::Double(*number), None).unwrap();
        let given = double(&finish(kind, &numbers.iter().fold(Value::Null, add)).unwrap());
        numbers.sort_by(f64::total_cmp);
        let rank = f64::from(millionths) / 1e6 * (numbers.len() - 1) as f64;
        let exact = numbers[rank.floor() as usize];
        prop_assert!((given - exact).abs() <= 0.0101 * exact.abs(), "{given} stands for {exact}");
    }
}

#[test]
fn a_deviation_survives_large_numbers_that_differ_little() {
    let numbers: Vec<i64> = (0..1_000).map(|n| 1_000_000_000_000 + n % 3).collect();
    let state = added(AggregateKind::Stddev, &numbers);
    let small: Vec<i64> = (0..1_000).map(|n| n % 3).collect();
    let (given, exact) = (double(&finish(AggregateKind::Stddev, &state).unwrap()), sample_deviation(&small));
    assert!((given - exact).abs() < 1e-3, "{given} stands for {exact}");
}

#[test]
fn a_deviation_of_fewer_than_two_numbers_is_null() {
    for numbers in [&[][..], &[7]] {
        assert_eq!(finish(AggregateKind::Stddev, &added(AggregateKind::Stddev, numbers)).unwrap(), Value::Null);
    }
}

#[test]
fn distinct_values_are_counted_exactly_while_few_and_within_a_few_percent_beyond() {
    let kind = AggregateKind::ApproxDistinct;
    let mut state = Value::Null;
    let mut worst: f64 = 0.0;
    let mut squares = 0.0;
    let mut looks = 0.0;
    for n in 1..=200_000_i64 {
        for _ in 0..2 {
            state = add(kind, &state, Value::text(format!("user-{n}")), None).unwrap();
        }
        let given = double(&finish(kind, &state).unwrap());
        if n <= 256 {
            assert_eq!(given, n as f64);
        } else if n % 997 == 0 {
            let error = given / n as f64 - 1.0;
            worst = worst.max(error.abs());
            squares += error * error;
            looks += 1.0;
        }
    }
    assert!(worst < 0.05, "the worst error is {worst}");
    assert!((squares / looks as f64).sqrt() < 0.025, "the mean error is {}", (squares / looks as f64).sqrt());
    assert!(matches!(&state, Value::Bytes(bytes) if bytes.len() == 4_096));
}

#[test]
fn the_sketches_of_many_values_merge_into_that_of_all() {
    let numbers = |from: i64, to: i64| (from..to).collect::<Vec<_>>();
    for kind in [AggregateKind::ApproxDistinct, AggregateKind::ApproxQuantile { millionths: 900_000 }] {
        for (a, b) in [((0, 2_000), (1_000, 3_000)), ((0, 200), (100, 5_000)), ((0, 200), (150, 350))] {
            let (left, right) = (numbers(a.0, a.1), numbers(b.0, b.1));
            let merged = merge::merge(kind, &added(kind, &left), &added(kind, &right), None).unwrap();
            assert_eq!(merged, added(kind, &[left, right].concat()), "{kind:?}");
        }
    }
}

#[test]
fn a_quantile_of_numbers_of_all_magnitudes_stays_small_and_right_at_the_top() {
    let kind = AggregateKind::ApproxQuantile { millionths: 990_000 };
    let numbers: Vec<f64> = (-15_000..15_000).map(|n| 10_f64.powf(f64::from(n) / 50.0)).collect();
    let state = numbers.iter().fold(Value::Null, |state, n| add(kind, &state, Value::Double(*n), None).unwrap());
    assert!(matches!(&state, Value::Bytes(bytes) if bytes.len() <= 2_048 * 12));
    let exact = numbers[(0.99 * 29_999.0_f64).floor() as usize];
    let given = double(&finish(kind, &state).unwrap());
    assert!((given / exact - 1.0).abs() <= 0.0101, "{given} stands for {exact}");
}

#[test]
fn extremes_and_what_is_no_number_do_no_harm_to_a_quantile() {
    let kind = AggregateKind::ApproxQuantile { millionths: 0 };
    let numbers = [f64::MAX, f64::MIN_POSITIVE, 5e-324, -f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0];
    let state = numbers.iter().fold(Value::Null, |state, n| add(kind, &state, Value::Double(*n), None).unwrap());
    assert!(double(&finish(kind, &state).unwrap()) < -1e307);
    assert!(add(kind, &state, Value::text("a"), None).is_err());
    assert!(add(kind, &Value::Bytes("x".into()), Value::Int(1), None).is_err());
    assert!(add(AggregateKind::ApproxDistinct, &Value::Bytes("x".into()), Value::Int(1), None).is_err());
}

#[test]
fn a_top_k_that_had_to_leave_values_out_is_never_too_low_after_a_merge() {
    let kind = AggregateKind::TopK { k: 1 };
    let numbers = |from: i64| -> Vec<i64> { (from..from + 1_200).chain((0..300).map(|_| 7)).collect() };
    let (a, b) = (added(kind, &numbers(10)), added(kind, &numbers(1_000)));
    let merged = merge::merge(kind, &a, &b, shape_of(kind).as_ref()).unwrap();
    let Value::List(candidates) = &merged else { panic!("no list") };
    assert_eq!(candidates.len(), 1_000);
    let seven = candidates.iter().find(|candidate| candidate.get("value") == Some(&Value::Int(7))).unwrap();
    assert!(double(seven.get("count").unwrap()) >= 600.0);
    assert_eq!(finish(kind, &merged).unwrap(), Value::list(vec![Value::Int(7)]));
}

#[test]
fn whole_states_merge_field_by_field() {
    let kinds = kinds();
    let names: Vec<String> = (0..kinds.len()).map(|n| format!("f{n}")).collect();
    let shapes = kinds.iter().map(|kind| shape_of(*kind).unwrap_or(Shape::Any));
    let shape = Shape::structure("", names.iter().map(String::as_str).zip(shapes));
    let aggregates: Vec<NamedAggregate> = kinds
        .iter()
        .zip(&names)
        .map(|(kind, name)| NamedAggregate { name: name.clone(), kind: *kind, argument: None })
        .collect();
    let named = Named::new(&aggregates, &shape, &shape);
    let state = |numbers: &[i64]| {
        let values: Vec<Value> = kinds.iter().map(|kind| added(*kind, numbers)).collect();
        Value::Struct(StructValue::new(named.state.clone(), values.into()))
    };
    let origin = Origin { source: Arc::new(TopicPartition::new("t", 0)), offset: 0 };
    let (headers, value) = (Headers::default(), Value::Null);
    let joining = Record { key: None, window: None, value, old: None, timestamp: 0, headers, origin, latest: true };
    let merged = |earlier, later| named.merge(earlier, later, &joining).unwrap();
    assert_eq!(merged(state(&[1, 2]), state(&[3])), state(&[1, 2, 3]));
    assert_eq!(merged(Value::Null, state(&[3])), state(&[3]));
    assert_eq!(merged(state(&[3]), Value::Null), state(&[3]));
}
