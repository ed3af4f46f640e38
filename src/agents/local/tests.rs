//! Messages and what the agents must say of them, and what holds for every text.

use std::time::Instant;

use proptest::prelude::*;

use crate::agents::{Agent, Agents, fields};
use crate::record::{Shape, Value};

mod cases;

fn agent(name: &str) -> std::sync::Arc<dyn Agent> {
    Agents::local().get(name).expect("a local agent").clone()
}

fn question(agent: &dyn Agent, values: Vec<Value>) -> Value {
    fields::structure(&fields::of(agent.input()), values)
}

fn ask(name: &str, values: Vec<Value>) -> Value {
    let agent = agent(name);
    agent.answer(&question(agent.as_ref(), values)).expect("an answer")
}

fn text_of(answer: &Value, field: &str) -> String {
    answer.get(field).and_then(Value::as_str).expect("a text field").to_owned()
}

fn number_of(answer: &Value, field: &str) -> i64 {
    match answer.get(field) {
        Some(Value::Int(number)) => *number,
        other => panic!("{field} is {other:?}"),
    }
}

fn texts(texts: &[&str]) -> Value {
    Value::list(texts.iter().map(|text| Value::text(*text)).collect())
}

/// Messages for the agent `summary`: a sender and a text each.
fn conversation(messages: &[(&str, &str)]) -> Value {
    let agent = agent("summary");
    let shape = match fields::of(agent.input()).field("messages").map(|field| field.shape.clone()) {
        Some(Shape::List(element)) => fields::of(&element),
        other => panic!("messages are {other:?}"),
    };
    let message =
        |(sender, text): &(&str, &str)| fields::structure(&shape, vec![Value::text(*sender), Value::text(*text)]);
    Value::list(messages.iter().map(message).collect())
}

fn summary(previous: Option<&str>, messages: &[(&str, &str)], covered: i64, history: i64) -> Value {
    let previous = previous.map_or(Value::Null, Value::text);
    ask("summary", vec![previous, conversation(messages), Value::Int(covered), Value::Int(history)])
}

#[test]
fn entities_count_characters_and_the_text_is_redacted() {
    let answer = ask("pii", vec![Value::text("Größe 👍: ada@example.org!")]);
    assert_eq!(answer.get("has_pii"), Some(&Value::Bool(true)));
    assert_eq!(text_of(&answer, "redacted"), "Größe 👍: [REDACTED:email]!");
    let Some(Value::List(entities)) = answer.get("entities") else { panic!("no entities in {answer:?}") };
    let entity = &entities[0];
    assert_eq!(text_of(entity, "type"), "email");
    assert_eq!(text_of(entity, "value"), "ada@example.org");
    assert_eq!(text_of(entity, "redacted"), "[REDACTED:email]");
    assert_eq!((number_of(entity, "start"), number_of(entity, "end")), (9, 24));
}

#[test]
fn a_text_without_personal_data_is_given_back() {
    let answer = ask("pii", vec![Value::text("Where is my parcel?")]);
    assert_eq!(answer.get("has_pii"), Some(&Value::Bool(false)));
    assert_eq!(text_of(&answer, "redacted"), "Where is my parcel?");
    assert_eq!(answer.get("entities"), Some(&Value::list(vec![])));
}

#[test]
fn messages_feel_as_their_readers_would_say() {
    let mut wrong = Vec::new();
    for (text, sentiment, emotion) in cases::SENTIMENT {
        let answer = ask("sentiment", vec![Value::text(*text)]);
        let seen = (text_of(&answer, "sentiment"), text_of(&answer, "emotion"));
        if seen.0 != *sentiment || (!emotion.is_empty() && seen.1 != *emotion) {
            wrong.push(format!("{text:?}: {seen:?}, {:?}", text_of(&answer, "reasoning")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reasoning_names_the_words_that_decided() {
    let answer = ask("sentiment", vec![Value::text("The update is terrible and keeps crashing")]);
    let reasoning = text_of(&answer, "reasoning");
    assert!(reasoning.contains("\"terrible\"") && reasoning.contains("\"keeps crashing\""), "{reasoning}");
}

#[test]
fn capitals_exclamation_and_degree_make_a_text_stronger() {
    let score = |text: &str| super::sentiment::mood(text).score;
    assert!(score("this is very annoying") < score("this is annoying"));
    assert!(score("this is ANNOYING today") < score("this is annoying today"));
    assert!(score("this is annoying!!!") < score("this is annoying"));
    assert!(score("this is slightly annoying") > score("this is annoying"));
    assert!(score("not good") < 0.0 && score("not bad at all") > score("bad"));
}

#[test]
fn messages_want_what_their_readers_would_say() {
    let mut wrong = Vec::new();
    for (text, intent, urgency) in cases::INSIGHTS {
        let answer = ask("insights", vec![Value::text(*text), texts(&[])]);
        let seen = (text_of(&answer, "intent"), text_of(&answer, "urgency"));
        if seen.0 != *intent || (!urgency.is_empty() && seen.1 != *urgency) {
            wrong.push(format!("{text:?}: {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_short_answer_keeps_the_intent_of_what_was_said_before() {
    let answer = ask("insights", vec![Value::text("Since Monday"), texts(&["I want a refund for this"])]);
    assert_eq!(text_of(&answer, "intent"), "refund");
}

#[test]
fn escalation_follows_its_rule() {
    let escalates = |text: &str, history: &[&str]| {
        ask("insights", vec![Value::text(text), texts(history)]).get("requires_escalation") == Some(&Value::Bool(true))
    };
    assert!(escalates("Let me speak to a manager", &[]));
    assert!(escalates("My lawyer will be in touch", &[]));
    assert!(escalates("The charger caught fire, this is an emergency", &[]));
    assert!(escalates("Still broken, this is awful", &["This is terrible", "I am so frustrated"]));
    assert!(!escalates("Still broken, this is awful", &["Hello", "Thanks"]));
    assert!(!escalates("How do I change my e-mail address?", &[]));
}

#[test]
fn repeated_contact_raises_urgency() {
    let urgency = |history: &[&str]| {
        text_of(&ask("insights", vec![Value::text("It is broken again, useless"), texts(history)]), "urgency")
    };
    assert_eq!(urgency(&[]), "medium");
    assert_eq!(urgency(&["It broke", "Still broken", "Hello?"]), "high");
}

#[test]
fn a_first_message_is_its_own_summary() {
    let answer = summary(None, &[("customer", "@Shop Hi there! My parcel never arrived. Can you help?")], 0, 0);
    assert_eq!(text_of(&answer, "customer_issue"), "My parcel never arrived.");
    assert!(text_of(&answer, "tldr").starts_with("My parcel never arrived."));
    assert_eq!(answer.get("follow_up_needed"), Some(&Value::Bool(true)));
    assert_eq!(number_of(&answer, "history_tokens"), 14);
}

#[test]
fn the_issue_stays_while_the_conversation_goes_on() {
    let messages = [
        ("customer", "My parcel never arrived, I ordered it three weeks ago."),
        ("agent", "Sorry to hear that! Which carrier was it? ^AB"),
        ("customer", "It was the red one."),
        ("agent", "We have sent a replacement parcel today."),
        ("customer", "Great, thanks so much!"),
    ];
    let mut tldr: Option<String> = None;
    let mut history = 0;
    let mut last = Value::Null;
    for n in 0..messages.len() {
        last = summary(tldr.as_deref(), &messages[..=n], n as i64, history);
        history = number_of(&last, "history_tokens");
        tldr = Some(text_of(&last, "tldr"));
    }
    assert_eq!(text_of(&last, "customer_issue"), "My parcel never arrived, I ordered it three weeks ago.");
    assert_eq!(last.get("follow_up_needed"), Some(&Value::Bool(false)));
    let whole: i64 = messages.iter().map(|(_, text)| super::tokens::model_tokens(text)).sum();
    assert_eq!(history, whole);
}

#[test]
fn a_question_or_a_promise_of_the_other_side_needs_a_follow_up() {
    let follow_up = |text: &str| {
        let messages = [("customer", "My app crashes."), ("agent", text)];
        summary(None, &messages, 0, 0).get("follow_up_needed") == Some(&Value::Bool(true))
    };
    assert!(follow_up("Which version do you have?"));
    assert!(follow_up("We will look into it."));
    assert!(!follow_up("Restart the app, then it works."));
}

#[test]
fn a_long_conversation_is_summarised_in_constant_space_and_saves_tokens() {
    let texts: Vec<String> = (0..50).map(|n| format!("Message {n} says that my parcel is still lost and nobody helps me with problem {n}. Why is that so hard to find out?")).collect();
    let mut tldr: Option<String> = None;
    let mut history = 0;
    let mut answer = Value::Null;
    for n in 0..50_usize {
        let window: Vec<(&str, &str)> =
            texts[n.saturating_sub(4)..=n].iter().map(|text| ("customer", text.as_str())).collect();
        answer = summary(tldr.as_deref(), &window, n as i64, history);
        history = number_of(&answer, "history_tokens");
        tldr = Some(text_of(&answer, "tldr"));
        assert!(tldr.as_ref().is_some_and(|text| text.chars().count() <= 600));
    }
    assert_eq!(history, texts.iter().map(|text| super::tokens::model_tokens(text)).sum::<i64>());
    assert!(number_of(&answer, "tokens_saved") > number_of(&answer, "tokens_used"), "{answer:?}");
}

#[test]
fn without_messages_the_previous_summary_stays() {
    let answer = summary(Some("My parcel never arrived."), &[], 3, 40);
    assert_eq!(text_of(&answer, "tldr"), "My parcel never arrived.");
    assert_eq!(number_of(&answer, "history_tokens"), 40);
}

fn whole_answers(text: &str, other: &str) -> Vec<Value> {
    vec![
        ask("pii", vec![Value::text(text)]),
        ask("sentiment", vec![Value::text(text)]),
        ask("insights", vec![Value::text(text), texts(&[other, text])]),
        summary(Some(other), &[("customer", text), ("agent", other)], 1, 7),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_text_has_one_answer(text in any::<String>(), other in "[a-zA-Z '.,!?😡-]{0,200}") {
        let answers = whole_answers(&text, &other);
        prop_assert_eq!(&answers, &whole_answers(&text, &other));
        let summary = &answers[3];
        prop_assert!(text_of(summary, "tldr").chars().count() <= 600);
        for value in answers.iter().filter_map(|answer| answer.get("confidence")) {
            prop_assert!(matches!(value, Value::Double(confidence) if (0.0..=1.0).contains(confidence)));
        }
    }

    #[test]
    fn summaries_of_long_texts_are_bounded(text in "([a-z]{1,12}[ .?!\n]){0,900}") {
        let answer = summary(Some(&text), &[("customer", &text), ("agent", &text)], 0, 0);
        prop_assert!(text_of(&answer, "tldr").chars().count() <= 600);
        prop_assert!(text_of(&answer, "customer_issue").chars().count() <= 200);
        let Some(Value::List(points)) = answer.get("key_points") else { return Err(TestCaseError::fail("no points")) };
        prop_assert!(points.len() <= 5);
    }
}

/// Prints what an answer costs: `cargo test --release --lib agents -- --ignored --nocapture`.
#[test]
#[ignore = "measures; shows nothing by passing"]
fn cost_per_message() {
    let text = "Hi @Shop, my parcel has still not arrived and nobody answers my messages. I am really disappointed, \
                please refund my order 1234567 or tell me where it is! Thanks, reach me at ada@example.org";
    let messages =
        conversation(&[("customer", text), ("agent", "Sorry to hear that! Which carrier?"), ("customer", text)]);
    let questions = [
        ("pii", vec![Value::text(text)]),
        ("sentiment", vec![Value::text(text)]),
        ("insights", vec![Value::text(text), texts(&[text, text])]),
        ("summary", vec![Value::text("My parcel has not arrived."), messages, Value::Int(2), Value::Int(90)]),
    ];
    for (name, values) in questions {
        let agent = agent(name);
        let input = question(agent.as_ref(), values);
        let rounds = 5_000_u32;
        let started = Instant::now();
        let answers = (0..rounds).filter(|_| agent.answer(std::hint::black_box(&input)).is_ok()).count();
        println!("{name}: {:?} per message, {answers} answers", started.elapsed() / rounds);
    }
}
