//! Types of Rust go through the engine and come out as they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use signalstream::builder::{Consumed, Data, Produced, Serdes, StreamsBuilder, TopologyError};
use signalstream::record::{Fields, Shape};
use signalstream::testing::TopologyTestDriver;

use crate::harness::{built, driven};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    #[serde(rename = "amount")]
    cents: u64,
    rate: f32,
    lines: Vec<Line>,
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<i8>,
    tags: BTreeMap<u16, Option<bool>>,
    status: Status,
    payment: Payment,
    parent: Option<Box<Order>>,
    pair: (i64, String),
    unit: (),
    letter: char,
    any: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    sku: Sku,
    count: i16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sku(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    InTransit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Payment {
    Cash,
    Card { number: String, month: u8 },
    Voucher(i64),
    Split(i64, i64),
}

fn order(payment: Payment, parent: Option<Box<Order>>) -> Order {
    Order {
        id: 7,
        cents: 1 << 40,
        rate: 0.5,
        lines: vec![Line { sku: Sku("a".to_owned()), count: -2 }, Line { sku: Sku(String::new()), count: 3 }],
        note: None,
        coupon: parent.as_ref().map(|_| 3),
        tags: BTreeMap::from([(1, Some(true)), (20, None)]),
        status: Status::InTransit,
        payment,
        parent,
        pair: (-1, "é".to_owned()),
        unit: (),
        letter: 'ß',
        any: serde_json::json!({"deep": [1, 2.5, null, {"x": "y"}]}),
    }
}

/// Through a stream, a store and a repartition topic, each in its own form.
#[test]
fn a_struct_goes_through_streams_stores_and_topics_unchanged() {
    let builder = StreamsBuilder::new("app");
    builder
        .stream("orders", Consumed::with(Serdes::string(), Serdes::json::<Order>()))
        .map_values(|order| order)
        .repartition("again")
        .map(|key, order| (key, order))
        .group_by_key()
        .reduce("latest", |_, order| order)
        .to_stream()
        .to("out", Produced::with(Serdes::string(), Serdes::json()));
    let mut driver = TopologyTestDriver::new(&Arc::new(built(&builder)), builder.schemas()).unwrap();
    let card = Payment::Card { number: "4".to_owned(), month: 12 };
    let orders = [
        order(Payment::Cash, None),
        order(card, Some(Box::new(order(Payment::Voucher(5), None)))),
        order(Payment::Split(1, 2), None),
    ];
    for (time, order) in orders.iter().enumerate() {
        driver.pipe("orders", "k", order, i64::try_from(time).unwrap()).unwrap();
    }
    // The first is read again from the store, and given to the closure.
    driver.crash().unwrap();
    driver.pipe("orders", "k", &orders[0], 10).unwrap();
    let out: Vec<Order> = driver.read::<String, Order>("out").unwrap().into_iter().map(|(_, order)| order).collect();
    assert_eq!(out, [orders[0].clone(), orders[1].clone(), orders[2].clone(), orders[0].clone()]);
}

#[test]
fn what_is_known_of_a_type_is_what_it_reads() {
    let Shape::Struct(fields) = Order::shape() else { panic!("{:?}", Order::shape()) };
    let shape = |name: &str| fields.field(name).map(|field| field.shape.clone()).unwrap_or(Shape::Never);
    assert_eq!(shape("amount"), Shape::Int);
    assert_eq!(shape("note"), Shape::String.optional());
    assert!(matches!(shape("status"), Shape::Enum(symbols) if symbols.symbols == ["open", "in_transit"]));
    assert_eq!(shape("payment"), Shape::Any);
    assert_eq!(shape("any"), Shape::Any);
}

#[test]
fn a_number_that_is_too_large_is_an_error_of_its_record() {
    let builder = StreamsBuilder::new("app").dead_letters("dead");
    builder
        .stream("in", Consumed::with(Serdes::string(), Serdes::long()))
        .map_values(|number| u64::MAX - u64::try_from(number).unwrap_or(0))
        .to("out", Produced::with(Serdes::string(), Serdes::json()));
    let outputs = driven(built(&builder), &[("in", r#""a""#, "1", 0)], true);
    assert!(outputs[0].value.to_string().contains("more than an int holds"), "{outputs:?}");
}

#[test]
fn an_error_names_the_field_that_is_not_of_the_type() {
    let builder = StreamsBuilder::new("app").dead_letters("dead");
    builder
        .stream("in", Consumed::with(Serdes::string(), Serdes::json::<Vec<Line>>()))
        .map_values(|lines| lines.len())
        .to("out", Produced::with(Serdes::string(), Serdes::json()));
    let input = [("in", r#""a""#, r#"[{"sku": "x", "count": "many"}]"#, 0)];
    let outputs = driven(built(&builder), &input, true);
    let message = outputs[0].value.to_string();
    assert!(message.contains("count: invalid type: string"), "{message}");
}

const SCHEMA: &str = r#"{"type": "record", "name": "Total", "fields": [
    {"name": "customer", "type": "string"}, {"name": "cents", "type": "long"},
    {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["open", "in_transit"]}}]}"#;

#[test]
fn avro_is_read_and_written_and_checked_before_anything_runs() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Total {
        customer: String,
        cents: i64,
        status: Status,
    }
    #[derive(Serialize, Deserialize)]
    struct Wrong {
        customer: String,
        cents: String,
    }
    let builder = StreamsBuilder::new("app").schema("Total.avsc", SCHEMA).unwrap();
    let totals = builder.stream("in", Consumed::with(Serdes::string(), Serdes::avro::<Total>("Total")));
    let twice = totals.map_values(|total| Total { cents: total.cents * 2, ..total });
    twice.to("out", Produced::with(Serdes::string(), Serdes::avro("Total")));
    let mut driver = TopologyTestDriver::new(&Arc::new(built(&builder)), builder.schemas()).unwrap();
    driver.pipe("in", "a", &Total { customer: "ada".to_owned(), cents: 3, status: Status::Open }, 0).unwrap();
    let out: Vec<(String, Total)> = driver.read("out").unwrap();
    assert_eq!(out[0].1, Total { customer: "ada".to_owned(), cents: 6, status: Status::Open });

    totals
        .map_values(|total| Wrong { customer: total.customer, cents: String::new() })
        .to("wrong", Produced::with(Serdes::string(), Serdes::avro("Total")));
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::Mistakes(_)));
    assert!(error.to_string().contains("cents"), "{error}");
    assert!(error.to_string().contains("status"), "{error}");
}

#[test]
fn schemas_come_from_a_directory() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let builder = StreamsBuilder::new("app").schemas_in(&directory).unwrap();
    let moods = Serdes::avro::<serde_json::Value>("TenantMood");
    let how = Consumed::with(Serdes::string(), moods.clone());
    builder.stream("in", how).to("out", Produced::with(Serdes::string(), moods));
    built(&builder);
    let nowhere = StreamsBuilder::new("app").schemas_in(&directory.join("nowhere")).err().unwrap();
    assert!(matches!(nowhere, TopologyError::Schemas(_)), "{nowhere}");
}

#[test]
fn only_the_fields_that_closures_read_are_decoded() {
    #[derive(Serialize, Deserialize)]
    struct Cents {
        cents: i64,
    }
    let builder = StreamsBuilder::new("app").schema("Total.avsc", SCHEMA).unwrap();
    let totals = || builder.stream("in", Consumed::with(Serdes::string(), Serdes::avro::<Cents>("Total")));
    let out = || Produced::with(Serdes::string(), Serdes::long());
    totals().filter(|_, total| total.cents > 0).map_values(|total| total.cents).to("out", out());
    let topology = built(&builder);
    assert_eq!(topology.subtopologies[0].sources[0].fields, Fields::path(&["cents"]));
    let mut driver = TopologyTestDriver::new(&Arc::new(topology), builder.schemas()).unwrap();
    let total = serde_json::json!({"customer": "ada", "cents": 3, "status": "open"});
    driver.pipe("in", "a", &total, 0).unwrap();
    assert_eq!(driver.read::<String, i64>("out").unwrap(), [("a".to_owned(), 3)]);
}

#[test]
fn a_type_that_the_schema_cannot_give_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Misread {
        cents: String,
    }
    let builder = StreamsBuilder::new("app").schema("Total.avsc", SCHEMA).unwrap();
    builder
        .stream("in", Consumed::with(Serdes::string(), Serdes::avro::<Misread>("Total")))
        .map_values(|total| total.cents)
        .to("out", Produced::with(Serdes::string(), Serdes::string()));
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("`cents`: string is expected, and this is int"), "{error}");
}
