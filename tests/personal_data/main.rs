//! Personal data: what of an expression's result, and of what each verb hands on, comes from it (two tables), what becomes
//! of real records (soundness: what comes out was foreseen), and what is said of it.

mod dead_letters;
mod expressions;
mod generator;
mod processors;
mod reports;
mod soundness;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::topology::{Diagnostics, PlanOptions, Topology, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/personal_data")
}

fn schemas() -> &'static SchemaRegistry {
    static SCHEMAS: LazyLock<SchemaRegistry> = LazyLock::new(|| {
        let mut registry = SchemaRegistry::new();
        for name in ["Person", "Mark", "Whole", "Part", "Node", "Account", "Event"] {
            let text =
                fs::read_to_string(directory().join(format!("schemas/{name}.avsc"))).expect("the schema is there");
            registry.add(&format!("schemas/{name}.avsc"), &text).expect("the schema is valid");
        }
        registry
    });
    &SCHEMAS
}

fn plan(text: &str) -> Result<Topology, Diagnostics> {
    let agents = Agents::local();
    load("topology.yaml", text, &PlanOptions { registry: schemas(), agents: &agents, projection: true })
}

/// What a topology is refused for: each part that is personal data, and where it would go. Any other mistake is one of
/// the test.
fn leaks(text: &str) -> Vec<String> {
    let Err(found) = plan(text) else { return Vec::new() };
    let leaks = found.iter().flat_map(|mistake| {
        let quoted: Vec<&str> = mistake.message().split('`').skip(1).step_by(2).collect();
        let of = |place: &str, parts: &[&str]| parts.iter().map(|part| format!("{place}: {part}")).collect::<Vec<_>>();
        match (mistake.message(), quoted.as_slice()) {
            (message, [parts @ .., topic]) if message.contains("not declared for it") => of(topic, parts),
            (message, [parts @ .., topic]) if message.contains("for other parts only") => of(topic, parts),
            (message, parts) if message.contains(".avsc does not mark it so") => of("unmarked", parts),
            (message, [_, parts @ ..]) if message.starts_with("`peek` would write") => of("log", parts),
            (message, [agent, parts @ ..]) if message.starts_with("the agent") => of(agent, parts),
            (message, _) if message.starts_with("a topic would be named") => vec!["the name of a topic".to_owned()],
            _ => panic!("{text}\n{}", found.render(false)),
        }
    });
    leaks.collect()
}
