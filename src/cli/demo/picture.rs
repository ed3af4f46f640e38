//! A demo's result for people: a few conversations, then the totals.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde_json::Value as Json;

use super::super::output::{color_is_wanted, grouped, page_width, table};
use super::conversations::Conversation;
use super::totals::Totals;

const INDENT: &str = "  ";

/// The escape sequences of a terminal, or nothing.
struct Style {
    color: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Green for what goes well, yellow for what does not, red for what goes badly.
    fn graded(&self, grade: i64, text: &str) -> String {
        let code = match grade {
            70.. => "32",
            45..70 => "33",
            _ => "31",
        };
        self.paint(code, text)
    }
}

/// Writes the picture.
pub(super) fn draw(out: &mut impl Write, conversations: &[Conversation], totals: &Totals) -> io::Result<()> {
    let style = Style { color: io::stdout().is_terminal() && color_is_wanted() };
    let width = page_width();
    for conversation in conversations {
        writeln!(out, "{}", draw_conversation(conversation, width, &style))?;
    }
    let mut topics = table(&["TOPIC", "RECORDS"], &[1]);
    for (name, written) in &totals.topics {
        topics.add_row([name.clone(), grouped(*written)]);
    }
    writeln!(out, "{}\n", topics.trim_fmt())?;
    let seconds = totals.elapsed.as_secs_f64();
    let rate = grouped(totals.records_per_second().round() as u64);
    let summary = format!(
        "{} messages of {} conversations in {seconds:.2} s: {rate} a second",
        grouped(totals.records_in),
        grouped(totals.conversations),
    );
    writeln!(out, "{}", style.bold(&summary))?;
    writeln!(out, "{} dead letters, {} late records", grouped(totals.dead_lettered), grouped(totals.late))
}

fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

fn flag(json: &Json, pointer: &str) -> bool {
    json.pointer(pointer).and_then(Json::as_bool).unwrap_or(false)
}

fn number(json: &Json, pointer: &str) -> i64 {
    json.pointer(pointer).and_then(Json::as_i64).unwrap_or(0)
}

fn list<'a>(json: &'a Json, pointer: &str) -> Vec<&'a str> {
    let items = json.pointer(pointer).and_then(Json::as_array);
    items.map(|items| items.iter().filter_map(Json::as_str).collect()).unwrap_or_default()
}

fn draw_conversation(conversation: &Conversation, width: usize, style: &Style) -> String {
    let Conversation { intelligence, state } = conversation;
    let score = number(intelligence, "/quality_score");
    let channels = list(state, "/channels").join(", ");
    let mut title = format!("{} · {}", text(intelligence, "/tenant_id"), text(intelligence, "/conversation_id"));
    if !channels.is_empty() {
        title = format!("{title} · {channels}");
    }
    let quality = format!("quality {score}/100");
    let gap = width.saturating_sub(title.chars().count() + quality.chars().count()).max(2);
    let mut page = format!("{}{:gap$}{}\n", style.bold(&title), "", style.graded(score, &quality));
    if !state.is_null() {
        let (customer, agent) = (number(state, "/customer_messages"), number(state, "/agent_messages"));
        let status = text(state, "/status");
        line(&mut page, &style.dim(&format!("{customer} messages from the customer, {agent} from agents; {status}")));
    }
    judgement(&mut page, intelligence, style);
    for wrapped in wrap(text(intelligence, "/summary/tldr"), width.saturating_sub(INDENT.len())) {
        line(&mut page, &wrapped);
    }
    for point in list(intelligence, "/summary/key_points") {
        for (n, wrapped) in wrap(point, width.saturating_sub(INDENT.len() + 2)).iter().enumerate() {
            line(&mut page, &format!("{} {wrapped}", if n == 0 { "•" } else { " " }));
        }
    }
    if flag(intelligence, "/pii/has_pii") {
        let reference = text(intelligence, "/pii/pii_ref");
        line(&mut page, &style.dim(&format!("personal data: redacted here, kept in support.ai.pii as {reference}")));
    }
    page
}

fn judgement(page: &mut String, intelligence: &Json, style: &Style) {
    let mut parts = Vec::new();
    if let Some(sentiment) = intelligence.get("sentiment").filter(|part| !part.is_null()) {
        let tone = text(sentiment, "/sentiment");
        let grade = match tone {
            "positive" => 100,
            "negative" => 0,
            _ => 50,
        };
        let confidence = sentiment.pointer("/confidence").and_then(Json::as_f64).unwrap_or(0.0);
        parts.push(style.graded(grade, &format!("{tone} ({}, {confidence:.2})", text(sentiment, "/emotion"))));
    }
    if let Some(insights) = intelligence.get("insights").filter(|part| !part.is_null()) {
        let urgency = text(insights, "/urgency");
        let grade = match urgency {
            "critical" | "high" => 0,
            "medium" => 50,
            _ => 100,
        };
        parts.push(text(insights, "/intent").replace('_', " "));
        parts.push(style.graded(grade, &format!("urgency {urgency}")));
        if flag(insights, "/requires_escalation") {
            parts.push(style.paint("1;31", "escalate"));
        }
    }
    if flag(intelligence, "/summary/follow_up_needed") {
        parts.push("follow-up needed".to_owned());
    }
    if !parts.is_empty() {
        line(page, &parts.join(" · "));
    }
}

fn line(page: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _written = writeln!(page, "{INDENT}{text}");
}

/// Breaks text into lines of at most `width` characters, between words where it can.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > width {
            lines.push(std::mem::take(&mut current));
            length = 0;
        }
        if length > 0 {
            current.push(' ');
            length += 1;
        }
        current.push_str(word);
        length += size;
    }
    if length > 0 {
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinary", 5), ["extraordinary"]);
        assert_eq!(wrap(" ", 5), Vec::<String>::new());
    }

    #[test]
    fn a_conversation_is_drawn_with_what_is_known_of_it() {
        let intelligence = json!({
            "conversation_id": "c-1", "tenant_id": "acme", "quality_score": 35,
            "sentiment": {"sentiment": "negative", "emotion": "angry", "confidence": 0.89, "reasoning": ""},
            "pii": {"has_pii": true, "pii_ref": "p-1"},
            "insights": {"intent": "refund", "urgency": "high", "suggested_actions": [], "requires_escalation": true},
            "summary": null,
        });
        let state = json!({"customer_messages": 3, "agent_messages": 1, "channels": ["chat"], "status": "open"});
        let page = draw_conversation(&Conversation { intelligence, state }, 60, &Style { color: false });
        for part in ["acme · c-1 · chat", "quality 35/100", "negative (angry, 0.89) · refund · urgency high · escalate"]
        {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        assert!(!page.contains('\u{1b}'));
    }

    #[test]
    fn totals_are_drawn_without_conversations_too() {
        let mut out = Vec::new();
        draw(&mut out, &[], &Totals::new(1_211, Duration::from_millis(500))).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("1,211 messages of 0 conversations in 0.50 s: 2,422 a second"), "{text}");
    }
}
