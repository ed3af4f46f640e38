//! Agents: analysers that a topology's `call` step asks about a record.
//!
//! An [`Agent`] declares the shape of what it reads and of what it gives, so that a plan is checked
//! before it runs. The agents of [`Agents::local`] are deterministic analysers in this binary: lexicon
//! and rules, no model and no network, fast enough to run in line on the stream thread.

mod fields;
pub mod local;

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::error::{Classified, ErrorClass};
use crate::record::{Shape, Value};

/// Something that answers a question about a record.
pub trait Agent: Send + Sync {
    /// The name that topologies call it by.
    fn name(&self) -> &str;

    /// The shape of what it reads: a struct, whose fields it reads by name.
    fn input(&self) -> &Shape;

    /// The shape of its answer: a struct.
    fn output(&self) -> &Shape;

    /// Whether it may be asked about personal data: what it is given stays in this process and leaves no trace. A topology
    /// that gives any to another agent is refused.
    fn takes_personal_data(&self) -> bool {
        false
    }

    /// The parts of its answer that are personal data, each as the names on the way to it, `[]` for the elements of a
    /// list. The other parts hold none, whatever it was asked.
    fn personal_answers(&self) -> Vec<Vec<&str>> {
        Vec::new()
    }

    /// The parts of its answer that are what it was asked about, redacted, named in the same way. What it finds shows what
    /// it is in free text only: where it is asked about what has been cut, put together or replaced, they are personal data
    /// as that is.
    fn redacted_answers(&self) -> Vec<Vec<&str>> {
        Vec::new()
    }

    /// Answers. The same input gives the same answer.
    ///
    /// # Errors
    /// When a field of [`Agent::input`] is missing or has a value of another type.
    fn answer(&self, input: &Value) -> Result<Value, AgentError>;
}

/// Why an agent gave no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AgentError {
    /// A field that the agent needs is not in its input.
    #[error(
        "agent `{agent}` needs the field `{field}` ({expected}), which its input lacks: add it to the call's `input`"
    )]
    MissingField {
        /// The agent's name.
        agent: &'static str,
        /// The path of the field.
        field: String,
        /// What it must hold.
        expected: &'static str,
    },
    /// A field holds a value of another type than the agent reads.
    #[error(
        "agent `{agent}` reads {expected} from the field `{field}`, which holds {found}: change the call's `input`"
    )]
    WrongType {
        /// The agent's name.
        agent: &'static str,
        /// The path of the field.
        field: String,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The agent could not be reached, or would not answer.
    #[error("agent `{agent}` gave no answer: {reason}")]
    Unavailable {
        /// The agent's name.
        agent: String,
        /// Why.
        reason: String,
    },
}

impl Classified for AgentError {
    fn class(&self) -> ErrorClass {
        match self {
            AgentError::MissingField { .. } | AgentError::WrongType { .. } | AgentError::Unavailable { .. } => {
                ErrorClass::Skip
            }
        }
    }
}

/// The agents that a deployment knows, by name.
#[derive(Clone, Default)]
pub struct Agents {
    by_name: BTreeMap<String, Arc<dyn Agent>>,
}

impl Agents {
    /// No agents.
    pub fn new() -> Self {
        Agents::default()
    }

    /// The analysers in this binary: `pii`, `sentiment`, `insights` and `summary`.
    pub fn local() -> Self {
        let mut agents = Agents::new();
        agents.add(Arc::new(local::PiiAgent::new()));
        agents.add(Arc::new(local::SentimentAgent::new()));
        agents.add(Arc::new(local::InsightsAgent::new()));
        agents.add(Arc::new(local::SummaryAgent::new()));
        agents
    }

    /// Adds an agent under its name; one of that name is replaced.
    pub fn add(&mut self, agent: Arc<dyn Agent>) {
        self.by_name.insert(agent.name().to_owned(), agent);
    }

    /// The agent of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Agent>> {
        self.by_name.get(name)
    }

    /// The names of the agents, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for dyn Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StructValue;

    #[test]
    fn the_local_agents_are_known_by_name() {
        let agents = Agents::local();
        assert_eq!(agents.names().collect::<Vec<_>>(), vec!["insights", "pii", "sentiment", "summary"]);
        assert!(agents.get("sentiment").is_some_and(|agent| agent.name() == "sentiment"));
        assert!(agents.get("oracle").is_none());
    }

    #[test]
    fn a_missing_field_and_a_wrong_type_are_named() {
        let agents = Agents::local();
        let agent = agents.get("sentiment").expect("known");
        let missing = agent.answer(&Value::Null).expect_err("no text");
        assert_eq!(
            missing.to_string(),
            "agent `sentiment` needs the field `text` (a string), which its input lacks: add it to the call's `input`"
        );
        let Shape::Struct(shape) = Shape::structure("", [("text", Shape::Int)]) else { unreachable!() };
        let input = Value::Struct(StructValue::new(shape, vec![Value::Int(1)].into()));
        let wrong = agent.answer(&input).expect_err("an int");
        assert_eq!(
            wrong.to_string(),
            "agent `sentiment` reads a string from the field `text`, which holds int: change the call's `input`"
        );
        assert_eq!(wrong.class(), ErrorClass::Skip);
    }
}
