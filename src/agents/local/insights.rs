//! The agent `insights`: what a customer wants, how urgent it is, and what to do.

use std::sync::Arc;

use super::phrases::plain;
use super::rules::{ASKS_FOR_PERSON, INTENTS, Intent, THREATENS, URGENCY};
use super::sentiment::{Mood, mood};
use crate::agents::fields::{self, Input, structure};
use crate::agents::{Agent, AgentError};
use crate::record::{Shape, StructShape, Value};

const NAME: &str = "insights";

/// An intent needs this much weight to be named; with less, the message is a general inquiry.
const LEAST_WEIGHT: f64 = 1.0;
/// What an earlier message's intent counts, where the message itself says little ("Xbox One").
const HISTORY_SHARE: f64 = 0.6;
/// How many of the latest earlier messages are read, so that the cost of an answer is bounded.
const HISTORY_LIMIT: usize = 5;

/// Finds a message's intent and urgency, and suggests what to do.
///
/// Reads `{text: string, history: list<string>}`; `history` holds the customer's earlier messages of the
/// conversation, oldest first, of which the last five count. Gives `{intent: string, urgency: string,
/// suggested_actions: list<string>, requires_escalation: bool}`.
///
/// `intent` is the one whose phrases weigh most: `account_security`, `refund`, `billing`, `cancellation`,
/// `delivery`, `order_status`, `account_access`, `tech_support`, `product_complaint`, `service_complaint`,
/// `feature_request`, `praise` or `general_inquiry`.
///
/// `urgency` comes from points: words (5 for danger and the law, 2.5 for "urgent" and fraud, 1.5 for
/// deadlines, 1 for repetition; the strongest counts whole, the next half), up to 1.5 for a negative
/// mood, and then 0.5 for each earlier message up to 1.5. From 1 point it is `medium`, from 2.5 `high`,
/// from 4.5 `critical` (which takes a word of at least 2.5), and `low` below. Praise is never more than
/// `low`.
///
/// A conversation `requires_escalation` when it is critical, asks for a manager or a person, threatens with
/// the law or an authority, or is negative now and was in two earlier messages.
pub struct InsightsAgent {
    input: Shape,
    output: Shape,
    answer: Arc<StructShape>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Low,
    Medium,
    High,
    Critical,
}

impl Urgency {
    fn as_str(self) -> &'static str {
        match self {
            Urgency::Low => "low",
            Urgency::Medium => "medium",
            Urgency::High => "high",
            Urgency::Critical => "critical",
        }
    }

    fn of_points(points: f64) -> Urgency {
        match points {
            points if points >= 4.5 => Urgency::Critical,
            points if points >= 2.5 => Urgency::High,
            points if points >= 1.0 => Urgency::Medium,
            _ => Urgency::Low,
        }
    }
}

/// The weight of each intent in a text, in the order of [`Intent::ALL`]. A phrase counts once.
fn weights(text: &str) -> [f64; Intent::ALL.len()] {
    let mut weights = [0.0; Intent::ALL.len()];
    let mut seen: Vec<usize> = Vec::with_capacity(16);
    for ((intent, weight), phrase) in INTENTS.matches(text) {
        // Repeating a word does not make it another reason.
        if seen.len() < 64 && !seen.contains(&phrase) {
            seen.push(phrase);
            if let Some(total) = weights.get_mut(intent as usize) {
                *total += weight;
            }
        }
    }
    weights
}

fn intent(text: &str, history: &[&str], mood: &Mood) -> Intent {
    let mut weights = weights(text);
    let own: f64 = weights.iter().sum();
    if own < 2.0 {
        // The message leans on what was said before.
        if let Some(before) =
            history.iter().rev().map(|text| self::weights(&plain(text))).find(|w| w.iter().sum::<f64>() >= 2.0)
        {
            for (weight, earlier) in weights.iter_mut().zip(before) {
                *weight += earlier * HISTORY_SHARE;
            }
        }
    }
    if let Some(praise) = weights.get_mut(Intent::Praise as usize) {
        // "Thanks" in a complaint is politeness, and in praise it is the point.
        *praise *= if mood.is_negative() {
            0.1
        } else if mood.sentiment() == "positive" {
            1.1
        } else {
            0.4
        };
    }
    let mut best = (Intent::GeneralInquiry, LEAST_WEIGHT);
    for (intent, weight) in Intent::ALL.into_iter().zip(weights) {
        if weight > best.1 || (weight >= LEAST_WEIGHT && best.0 == Intent::GeneralInquiry && weight == best.1) {
            best = (intent, weight);
        }
    }
    best.0
}

fn urgency(text: &str, history: &[&str], mood: &Mood, intent: Intent) -> Urgency {
    if intent == Intent::Praise {
        return Urgency::Low;
    }
    let (mut strongest, mut second) = (0.0_f64, 0.0_f64);
    let mut counted = None;
    for (points, phrase) in URGENCY.matches(text) {
        // The same phrase once more is emphasis, not another reason.
        if points > strongest {
            second = strongest;
            strongest = points;
            counted = Some(phrase);
        } else if counted != Some(phrase) {
            second = second.max(points);
        }
    }
    let mut points = strongest + second / 2.0;
    if mood.is_negative() {
        points += 0.5 + mood.score.abs();
        points += (history.len() as f64 * 0.5).min(1.5);
    }
    // Mood, deadlines and repetition alone are no emergency: that takes a word for it.
    if strongest < 2.5 {
        points = points.min(4.0);
    }
    Urgency::of_points(points)
}

fn requires_escalation(text: &str, history: &[&str], mood: &Mood, urgency: Urgency) -> bool {
    let negative_before = || history.iter().filter(|text| self::mood(text).is_negative()).count();
    urgency == Urgency::Critical
        || ASKS_FOR_PERSON.any(text)
        || THREATENS.any(text)
        || (mood.is_negative() && history.len() >= 2 && negative_before() >= 2)
}

fn actions(intent: Intent, urgency: Urgency, escalate: bool, negative: bool) -> Vec<Value> {
    let mut actions = Vec::with_capacity(5);
    if escalate {
        actions.push("Hand over to a senior agent");
    }
    match urgency {
        Urgency::Critical => actions.push("Reply at once, before anything else in the queue"),
        Urgency::High => actions.push("Reply within the hour"),
        Urgency::Medium | Urgency::Low => {}
    }
    actions.extend(intent.actions());
    if negative && !matches!(intent, Intent::ProductComplaint | Intent::ServiceComplaint) {
        actions.push("Acknowledge the trouble before asking for anything");
    }
    actions.into_iter().map(Value::from).collect()
}

impl InsightsAgent {
    /// The agent.
    pub fn new() -> Self {
        let output = Shape::structure(
            "InsightsAnswer",
            [
                ("intent", Shape::String),
                ("urgency", Shape::String),
                ("suggested_actions", Shape::list(Shape::String)),
                ("requires_escalation", Shape::Bool),
            ],
        );
        let history = Shape::list(Shape::String);
        let input = Shape::structure("InsightsQuestion", [("text", Shape::String), ("history", history)]);
        InsightsAgent { input, answer: fields::of(&output), output }
    }
}

impl Default for InsightsAgent {
    fn default() -> Self {
        InsightsAgent::new()
    }
}

impl Agent for InsightsAgent {
    fn name(&self) -> &str {
        NAME
    }

    fn input(&self) -> &Shape {
        &self.input
    }

    fn output(&self) -> &Shape {
        &self.output
    }

    fn answer(&self, input: &Value) -> Result<Value, AgentError> {
        let input = Input::new(NAME, input);
        let text = plain(input.text("text")?);
        let history = input.texts("history")?;
        let history = history.get(history.len().saturating_sub(HISTORY_LIMIT)..).unwrap_or_default();
        let mood = mood(&text);
        let intent = intent(&text, history, &mood);
        let urgency = urgency(&text, history, &mood, intent);
        let escalate = requires_escalation(&text, history, &mood, urgency);
        let values = vec![
            Value::from(intent.as_str()),
            Value::from(urgency.as_str()),
            Value::list(actions(intent, urgency, escalate, mood.is_negative())),
            Value::Bool(escalate),
        ];
        Ok(structure(&self.answer, values))
    }
}
