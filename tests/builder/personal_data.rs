//! Personal data: where it is, where it may go, and which closures clear it.

use serde::{Deserialize, Serialize};
use signalstream::builder::{Consumed, KStream, Serdes, StreamsBuilder};

use crate::harness::{Input, assert_same, json};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[personal_data_goes_where_it_may];

#[derive(Serialize, Deserialize)]
struct Customer {
    id: i64,
    email: String,
}

fn customers(builder: &StreamsBuilder) -> KStream<String, Customer> {
    let how = Consumed::with(Serdes::string(), Serdes::json::<Customer>()).named("customers");
    builder.stream("in", how.personal_data_in(["email"]))
}

fn length(customer: &Customer) -> i64 {
    i64::try_from(customer.email.len()).unwrap_or(i64::MAX)
}

#[test]
fn personal_data_goes_where_it_may() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {customers: {topic: in, key: string, personal_data: [email]}}
streams:
  lengths: {from: customers, steps: [{map: {key: int(value.id), value: size(string(value.email))}}]}
tables:
  alike: {from: customers, group_by: size(string(value.email)), fold: {init: 0, add: acc + 1}}
sinks:
  - {from: customers, topic: again, personal_data: true}
  - {from: customers, topic: parts, personal_data: [email, key]}
  - {from: lengths, topic: lengths}
  - {from: alike, topic: alike}
";
    let build = |builder: &StreamsBuilder| {
        let customers = customers(builder);
        customers.to("again", json().personal_data());
        customers.to("parts", json().personal_data_in(["email", "key"]));
        let lengths = customers.map(|_, customer| (customer.id, length(&customer)));
        lengths.clears_personal_data().to("lengths", json());
        let alike = customers.group_by(|_, customer| length(customer)).count("alike");
        alike.clears_personal_data().to_stream().to("alike", json());
    };
    let input: [Input<'_>; 2] = [
        ("in", r#""a""#, r#"{"id": 1, "email": "ada@example.org"}"#, 0),
        ("in", r#""b""#, r#"{"id": 2, "email": "bob@example.org"}"#, 1),
    ];
    let lines = assert_same(yaml, build, &input);
    assert!(lines.contains(&"lengths 2=15 @1".to_owned()) && lines.contains(&"alike 15=2 @1".to_owned()), "{lines:?}");
}

/// Unless it is said, all that a closure gives is personal data that takes a type with some.
#[test]
fn what_a_closure_gives_is_personal_data_unless_it_says_otherwise() {
    let built = |clears: bool| {
        let builder = StreamsBuilder::new("app");
        let lengths = customers(&builder).map_values(|customer| length(&customer));
        let lengths = if clears { lengths.clears_personal_data() } else { lengths };
        lengths.to("lengths", json());
        builder.build().map(|_| ())
    };
    built(true).expect("it is cleared");
    let error = built(false).expect_err("it is not").to_string();
    assert!(error.contains("is personal data, and the topic `lengths` is not declared for it"), "{error}");
}
