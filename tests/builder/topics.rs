//! Topics: several, of a pattern, chosen; headers, times, and what becomes of what fails.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use signalstream::builder::{
    Consumed, HeaderChanges, OnError, Produced, Serdes, StreamsBuilder, TopicSettings, Topics, TopologyError,
};
use signalstream::testing::OutputRecord;

use crate::harness::{Case, Input, SECOND, json, lines, longs};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[
    sources_of_several_topics_and_of_a_pattern,
    a_sink_writes_to_the_topic_of_the_record,
    headers_are_set_and_removed,
    records_have_the_times_that_closures_give,
    what_cannot_be_read_goes_where_the_source_says,
    what_cannot_be_written_goes_where_the_sink_says,
    topics_are_made_as_said,
    keys_and_values_are_written_as_their_serdes_say,
];

fn header(record: &OutputRecord, name: &str) -> Option<String> {
    record.headers.get(name).map(|value| value.as_str().unwrap().to_owned())
}

#[test]
fn sources_of_several_topics_and_of_a_pattern() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources:
  web: {topic: [a, b], key: string, value: long}
  partners: {topic: {pattern: 'partner\\..*'}, key: string, value: long}
streams:
  all: {merge: [web, partners], steps: [{map_values: {number: value, came_by: topic, at: int(timestamp)}}]}
sinks: [{from: all, topic: out}]
";
    #[derive(Serialize, Deserialize)]
    struct Number {
        number: i64,
        came_by: String,
        at: i64,
    }
    let build = |builder: &StreamsBuilder| {
        let partners = builder.stream(Topics::matching(r"partner\..*"), longs("partners"));
        builder
            .stream(["a", "b"], longs("web"))
            .merge(&partners)
            .map_values_with_context(|_, number, from| Number {
                number,
                came_by: from.topic.clone(),
                at: from.timestamp,
            })
            .to("out", json());
    };
    let input = [("b", r#""k""#, "1", 10), ("partner.x", r#""k""#, "2", 20), ("a", r#""k""#, "3", 30)];
    let out = Case::new(yaml, &input).topics(["partner.x", "partner.y"]).assert_same(build);
    assert!(lines(&out)[1].contains(r#""came_by":"partner.x","at":20"#), "{out:?}");
}

/// Without a name of its own, a source has one that it is told by.
#[test]
fn sources_are_named_after_their_topics() {
    let builder = StreamsBuilder::new("app");
    let longs = || Consumed::with(Serdes::string(), Serdes::long());
    builder.stream(vec!["a".to_owned(), "b".to_owned()], longs()).to("out", json());
    builder.stream(Topics::matching(r"partner\..*"), longs()).to("out", json());
    builder.stream(Topics::matching(".*"), longs()).to("out", json());
    let name = "c".to_owned();
    builder.stream(&name, longs()).merge(&builder.stream("d".to_owned(), longs())).to("out", json());
    let topology = builder.build().unwrap();
    let parts = topology.subtopologies.iter();
    let sources = parts.flat_map(|part| part.sources.iter().chain(part.patterns.iter().map(|pattern| &pattern.source)));
    let names: BTreeSet<&str> = sources.map(|source| source.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["a", "c", "d", "matching", "partner"]));
}

#[test]
fn a_sink_writes_to_the_topic_of_the_record() {
    let yaml = "
topology: app
defaults: {key: string, value: json}
sources: {numbers: {topic: in, value: long}}
sinks:
  - from: numbers
    topic: {expression: \"value < 0 ? 'nowhere' : 'of-' + key\", topics: [of-a, of-b]}
    headers: {sign: \"value > 0 ? 'plus' : 'none'\", secret: null}
    on_error: {process: fail, produce: skip}
  - from: numbers
    topic: {expression: \"'tenant.' + headers.tenant\", pattern: 'tenant\\..*'}
    on_error: {process: skip, produce: skip}
";
    let build = |builder: &StreamsBuilder| {
        let plain = || Produced::with(Serdes::string(), Serdes::json());
        let numbers = builder.stream("in", longs("numbers"));
        let sign = |_: &String, number: &i64, _: &_| if *number > 0 { "plus" } else { "none" }.to_owned();
        let changes = HeaderChanges::new().set("sign", sign).remove("secret");
        numbers.to_chosen(
            ["of-a", "of-b"],
            |key, number, _| if *number < 0 { "nowhere".to_owned() } else { format!("of-{key}") },
            plain().headers(changes).on_produce_error(OnError::Skip).on_error(OnError::Fail),
        );
        numbers.to_chosen(
            Topics::matching(r"tenant\..*"),
            |_, _, from| format!("tenant.{}", from.headers.get("tenant").map_or("", String::as_str)),
            plain().on_error(OnError::Skip).on_produce_error(OnError::Skip),
        );
    };
    let input =
        [("in", r#""a""#, "1", 0), ("in", r#""b""#, "0", 1), ("in", r#""a""#, "-1", 2), ("in", r#""c""#, "5", 3)];
    let out = Case::new(yaml, &input)
        .topics(["tenant.acme"])
        .headers(0, &[("secret", "s"), ("tenant", "acme")])
        .headers(1, &[("tenant", "other")])
        .assert_same(build);
    assert_eq!(lines(&out), [r#"of-a "a"=1 @0"#, r#"tenant.acme "a"=1 @0"#, r#"of-b "b"=0 @1"#]);
    assert_eq!(out[0].headers.keys().collect::<Vec<_>>(), ["tenant", "sign"]);
}

#[test]
fn headers_are_set_and_removed() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources: {numbers: {topic: in, key: string, value: long}}
streams:
  traced:
    from: numbers
    steps:
      - set_headers:
          trace: 'has(headers.trace) ? headers.trace : key'
          raw: bytes(key)
          perhaps: 'value > 1 ? string(value) : null'
          secret: null
sinks: [{from: traced, topic: out}]
";
    let build = |builder: &StreamsBuilder| {
        #[derive(Serialize, Deserialize)]
        struct Raw(#[serde(with = "bytes")] Vec<u8>);
        let changes = HeaderChanges::new()
            .set("trace", |key: &String, _: &i64, from| from.headers.get("trace").unwrap_or(key).clone())
            .set("raw", |key, _, _| Raw(key.clone().into_bytes()))
            .set("perhaps", |_, number, _| (*number > 1).then(|| number.to_string()))
            .remove("secret");
        builder.stream("in", longs("numbers")).set_headers(changes).to("out", json());
    };
    let input = [("in", r#""a""#, "1", 0), ("in", r#""b""#, "2", 1)];
    let out = Case::new(yaml, &input)
        .headers(0, &[("trace", "t1"), ("secret", "s"), ("perhaps", "gone")])
        .headers(1, &[("other", "o")])
        .assert_same(build);
    assert_eq!((header(&out[0], "trace"), header(&out[1], "trace")), (Some("t1".to_owned()), Some("b".to_owned())));
    assert_eq!((header(&out[0], "perhaps"), header(&out[1], "perhaps")), (None, Some("2".to_owned())));
    assert_eq!((header(&out[0], "secret"), header(&out[1], "other")), (None, Some("o".to_owned())));
}

/// Bytes, as serde writes them.
mod bytes {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[test]
fn records_have_the_times_that_closures_give() {
    let yaml = "
topology: app
defaults: {key: json, value: json}
sources:
  numbers: {topic: in, key: string, value: long, timestamp: value}
  sent: {topic: sent, key: string, value: long, timestamp: int(headers.at) + int(timestamp)}
sinks:
  - {from: numbers, topic: out}
  - {from: sent, topic: sent-again}
";
    let build = |builder: &StreamsBuilder| {
        builder.stream("in", longs("numbers").timestamp(|_, number| *number)).to("out", json());
        let at = longs("sent").timestamp_with_context(|_, _, from| {
            from.timestamp + from.headers.get("at").and_then(|at| at.parse::<i64>().ok()).unwrap_or(-1)
        });
        builder.stream("sent", at).to("sent-again", json());
    };
    let input = [("in", r#""a""#, "7", 0), ("sent", r#""a""#, "1", 5)];
    let out = Case::new(yaml, &input).headers(1, &[("at", "30")]).assert_same(build);
    assert_eq!(lines(&out), [r#"out "a"=7 @7"#, r#"sent-again "a"=1 @35"#]);
}

/// Dead letters of personal data have no values; a source may leave out what it cannot read, and begin at the end.
#[test]
fn what_cannot_be_read_goes_where_the_source_says() {
    let yaml = "
topology: app
description: What fails, and where it goes
defaults: {key: json, value: json, dlq: dead, on_error: {process: fail, decode: dlq, produce: dlq}}
sources:
  secret: {topic: secret, key: string, value: long, personal_data: true}
  open: {topic: open, key: string, value: long}
  latest: {topic: latest, key: string, value: long, offset_reset: latest, on_error: {decode: skip}}
streams:
  all: {merge: [secret, open, latest]}
sinks: [{from: all, topic: out, personal_data: true}]
";
    let settings = |builder: StreamsBuilder| {
        let builder = builder.description("What fails, and where it goes").dead_letters("dead");
        builder.on_error(OnError::Fail).on_decode_error(OnError::DeadLetter).on_produce_error(OnError::DeadLetter)
    };
    let build = |builder: &StreamsBuilder| {
        let secret = builder.stream("secret", longs("secret").personal_data());
        let open = builder.stream("open", longs("open"));
        let latest = builder.stream("latest", longs("latest").from_latest().on_decode_error(OnError::Skip));
        secret.merge(&open).named("all").merge(&latest).to("out", json().personal_data());
    };
    let input: [Input<'_>; 4] = [
        ("secret", r#""a""#, "0", 0),
        ("open", r#""b""#, "0", 1),
        ("latest", r#""c""#, "0", 2),
        ("latest", r#""d""#, "4", 3),
    ];
    let case = Case::new(yaml, &input).bytes(0, "AQI=").bytes(1, "AQI=").bytes(2, "AQI=").settings(settings);
    let out = case.assert_same(build);
    assert_eq!(out.iter().map(|record| record.topic.as_str()).collect::<Vec<_>>(), ["dead", "dead", "out"]);
    assert!(out[0].value["value"].is_null() && !out[1].value["value"].is_null(), "{out:?}");
}

/// What no closure makes anew is written as it came, whatever the types say.
#[test]
fn what_cannot_be_written_goes_where_the_sink_says() {
    let yaml = "
topology: app
defaults: {key: string, value: json, dlq: dead}
sources: {numbers: {topic: in}}
sinks:
  - {from: numbers, topic: told, value: long, on_error: {produce: dlq}}
  - {from: numbers, topic: dropped, value: long, on_error: {produce: skip}}
";
    let build = |builder: &StreamsBuilder| {
        let how = Consumed::with(Serdes::string(), Serdes::json::<i64>()).named("numbers");
        let numbers = builder.stream("in", how);
        let plain = || Produced::with(Serdes::string(), Serdes::long());
        numbers.to("told", plain().on_produce_error(OnError::DeadLetter));
        numbers.to("dropped", plain().on_produce_error(OnError::Skip));
    };
    let input = [("in", r#""a""#, r#""one""#, 0), ("in", r#""a""#, "2", 1)];
    let out = Case::new(yaml, &input).settings(|builder| builder.dead_letters("dead")).assert_same(build);
    assert_eq!(lines(&out)[1..], [r#"told "a"=2 @1"#, r#"dropped "a"=2 @1"#]);
    assert_eq!(out[0].topic, "dead");
}

#[test]
fn topics_are_made_as_said() {
    let yaml = "
topology: app
defaults: {key: json, value: json, partitions: 2}
topics:
  in: {partitions: 4, retention: 1h}
  both: {cleanup: 'compact,delete', retention: 7d, delete_retention: 2d}
  latest: {cleanup: compact}
sources: {numbers: {topic: in, key: string, value: long}}
sinks:
  - {from: numbers, topic: both}
  - {from: numbers, topic: latest}
  - {from: numbers, topic: plain}
";
    let build = |builder: &StreamsBuilder| {
        let hour = 3600 * SECOND;
        builder.topic("in", TopicSettings::new().partitions(4).retention(hour));
        let both = TopicSettings::default().compacted_and_deleted().retention(7 * 24 * hour);
        builder.topic("both", both.delete_retention(48 * hour));
        let numbers = builder.stream("in", longs("numbers"));
        builder.topic("latest", TopicSettings::new().compacted());
        ["both", "latest", "plain"].into_iter().for_each(|topic| numbers.to(topic, json()));
    };
    let case = Case::new(yaml, &[("in", r#""a""#, "2", 1)]).settings(|builder| builder.default_partitions(2));
    assert_eq!(case.assert_same(build).len(), 3);
}

const TOTAL: &str = r#"{"type": "record", "name": "Total", "fields": [{"name": "cents", "type": "long"}]}"#;

#[test]
fn keys_and_values_are_written_as_their_serdes_say() {
    let yaml = "
topology: app
sources: {totals: {topic: in, key: bytes, value: {avro: Total}}}
streams:
  halves: {from: totals, steps: [{map: {key: value.cents, value: double(value.cents) / 2.0}}]}
sinks:
  - {from: totals, topic: again, key: bytes, value: {avro: Total}}
  - {from: totals, topic: bare, key: bytes, value: {avro: Total, framing: none}}
  - {from: halves, topic: halves, key: long, value: double}
";
    #[derive(Serialize, Deserialize)]
    struct Total {
        cents: i64,
    }
    let build = |builder: &StreamsBuilder| {
        let (keys, values) = (Serdes::bytes::<Vec<u8>>, || Serdes::avro::<Total>("Total"));
        let totals = builder.stream("in", Consumed::with(keys(), values()).named("totals"));
        totals.to("again", Produced::with(keys(), values()));
        totals.to("bare", Produced::with(keys(), Serdes::raw_avro::<Total>("Total")));
        let halves = totals.map(|_, total| (total.cents, total.cents as f64 / 2.0));
        halves.to("halves", Produced::with(Serdes::long(), Serdes::double()));
    };
    let settings = |builder: StreamsBuilder| builder.schema("Total.avsc", TOTAL).expect("a schema");
    let case = Case::new(yaml, &[("in", r#""AQI=""#, r#"{"cents": 7}"#, 1)]).schema("Total.avsc", TOTAL);
    let out = case.settings(settings).assert_same(build);
    assert_eq!(lines(&out), ["halves 7=3.5 @1", r#"again "AQI="={"cents":7} @1"#, r#"bare "AQI="={"cents":7} @1"#]);
}

#[test]
fn a_header_that_is_no_text_is_refused_with_its_place() {
    let builder = StreamsBuilder::new("app");
    let changes = HeaderChanges::new().set("number", |_: &String, number: &i64, _| *number);
    builder.stream("in", longs("numbers")).set_headers(changes).to("out", json());
    let error = builder.build().unwrap_err();
    assert!(matches!(error, TopologyError::Mistakes(_)));
    assert!(error.to_string().contains("a header is text or bytes; this is int"), "{error}");
}
