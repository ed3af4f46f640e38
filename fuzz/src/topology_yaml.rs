//! Any text is a topology or a list of mistakes, each with a place in the text; a topology can be described.

use std::sync::LazyLock;

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::topology::{DescribeFormat, PlanOptions, describe, load};

use super::outcome;

/// What topologies are planned against.
static AROUND: LazyLock<(SchemaRegistry, Agents)> = LazyLock::new(|| {
    let mut registry = SchemaRegistry::new();
    for (name, schema) in [
        ("MessageCreated", include_str!("../../schemas/MessageCreated.avsc")),
        ("SentimentResult", include_str!("../../schemas/SentimentResult.avsc")),
        ("InsightsResult", include_str!("../../schemas/InsightsResult.avsc")),
        ("TenantMood", include_str!("../../schemas/TenantMood.avsc")),
        ("ErrorEvent", include_str!("../../schemas/ErrorEvent.avsc")),
    ] {
        registry.add(&format!("{name}.avsc"), schema).unwrap_or_else(|error| panic!("{error}"));
    }
    (registry, Agents::local())
});

/// Loads a topology.
pub fn run(data: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(data) else { return outcome::NONE };
    let (registry, agents) = &*AROUND;
    let options = PlanOptions { registry, agents, projection: true };
    match load("fuzz.yaml", text, &options) {
        Ok(topology) => {
            use DescribeFormat::{Dot, Json, Mermaid, Text};
            let pictures = [Text, Mermaid, Dot, Json].map(|format| describe(&topology, format));
            assert!(pictures.iter().all(|picture| !picture.is_empty()));
            outcome::of(pictures[0].lines().map(|line| line.trim_start().split(' ').next().unwrap_or_default()))
        }
        Err(mistakes) => {
            let lines = text.lines().count().max(1) + 1;
            for mistake in mistakes.iter() {
                assert!(
                    (1..=lines).contains(&mistake.line()),
                    "line {} of {lines}: {}",
                    mistake.line(),
                    mistake.message()
                );
                assert!(!mistake.message().is_empty());
            }
            assert!(!mistakes.render(false).is_empty() && mistakes.count() > 0);
            outcome::of(mistakes.iter().map(|mistake| mistake.message()))
        }
    }
}
