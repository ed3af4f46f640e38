//! Calls of agents, in streams and in folds.

use serde::{Deserialize, Serialize};
use signalstream::builder::{Consumed, Fold, Serdes, StreamsBuilder};

use crate::harness::{Input, assert_same, json};

/// The comparisons of this file.
pub(crate) const CASES: &[fn()] = &[an_agent_answers_in_place_of_the_value_or_in_a_field, an_agent_carries_a_state_on];

#[derive(Serialize, Deserialize)]
struct Question {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Mood {
    sentiment: String,
    emotion: String,
    confidence: f64,
    reasoning: String,
}

const HEAD: &str = "
topology: app
defaults: {key: json, value: json}
sources: {texts: {topic: in, key: string, value: string}}
";

const TEXTS: [Input<'_>; 3] = [
    ("in", r#""a""#, r#""This is terrible, I hate it""#, 0),
    ("in", r#""b""#, r#""Thank you, that is wonderful""#, 1),
    ("in", r#""a""#, r#""It works""#, 2),
];

#[test]
fn an_agent_answers_in_place_of_the_value_or_in_a_field() {
    let yaml = format!(
        "{HEAD}
streams:
  moods:
    from: texts
    steps:
      - call: {{name: mood, agent: sentiment, input: {{text: value}}}}
      - map_values: value.sentiment
  both:
    from: texts
    steps:
      - map_values: {{text: value}}
      - call: {{name: mood, agent: sentiment, input: {{text: value.text}}, into: mood}}
sinks:
  - {{from: moods, topic: moods}}
  - {{from: both, topic: both}}
"
    );
    #[derive(Serialize, Deserialize)]
    struct Both {
        text: String,
        mood: Mood,
    }
    let build = |builder: &StreamsBuilder| {
        let texts = builder.stream("in", Consumed::with(Serdes::string(), Serdes::string()).named("texts"));
        let question = |text: &String| Question { text: text.clone() };
        let moods = texts.call::<Mood, _>("mood", "sentiment", move |_, text| question(text));
        moods.map_values(|mood| mood.sentiment).to("moods", json());
        texts
            .map_values(|text| Question { text })
            .call_into::<Both, _>("mood", "sentiment", "mood", move |_, value| question(&value.text))
            .filter(|_, both| both.mood.confidence >= 0.0)
            .to("both", json());
    };
    let lines = assert_same(&yaml, build, &TEXTS);
    assert_eq!(lines.iter().filter(|line| line.starts_with("moods")).count(), 3);
    assert!(lines.contains(&r#"moods "a"="negative" @0"#.to_owned()), "{lines:?}");
}

#[test]
fn an_agent_carries_a_state_on() {
    let yaml = format!(
        "{HEAD}
tables:
  moods:
    from: texts
    fold:
      init: {{texts: [], mood: null}}
      add: {{texts: 'acc.texts + [value]', mood: acc.mood}}
      call: {{agent: sentiment, input: {{text: \"acc.texts.join(' ')\"}}, into: mood}}
      result: {{texts: acc.texts.size(), mood: acc.mood.sentiment}}
sinks: [{{from: moods, topic: out}}]
"
    );
    #[derive(Serialize, Deserialize)]
    struct State {
        texts: Vec<String>,
        mood: Option<Mood>,
    }
    #[derive(Serialize, Deserialize)]
    struct Row {
        texts: usize,
        mood: Option<String>,
    }
    let build = |builder: &StreamsBuilder| {
        let add = |_: &String, text: String, state: State| {
            let mut texts = state.texts;
            texts.push(text);
            State { texts, ..state }
        };
        let moods = Fold::new(|| State { texts: Vec::new(), mood: None }, add)
            .call("sentiment", "mood", |state| Question { text: state.texts.join(" ") })
            .result(|_, state| Row { texts: state.texts.len(), mood: state.mood.map(|mood| mood.sentiment) });
        let texts = builder.stream("in", Consumed::with(Serdes::string(), Serdes::string()).named("texts"));
        texts.group_by_key().fold("moods", moods).to_stream().to("out", json());
    };
    let lines = assert_same(&yaml, build, &TEXTS);
    assert_eq!(lines[0], r#"out "a"={"texts":1,"mood":"negative"} @0"#);
}
