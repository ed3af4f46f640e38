//! What a plan leaves to the record: values that a writer may have and the reader cannot take.

use std::sync::Arc;

use super::plan::{Node, RecordPlan, Step, Symbol};

/// The places of a plan where some record may turn out to be unreadable: path and sentence.
pub(super) fn of(plan: &Node) -> Vec<(Vec<String>, String)> {
    let mut search = Search::default();
    search.node(plan);
    search.found
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    /// The plans of records that have been looked through: several places may share one.
    seen: Vec<*const RecordPlan>,
    found: Vec<(Vec<String>, String)>,
}

impl Search {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Enum(plan) => {
                for symbol in &plan.symbols {
                    if let Symbol::Unknown(symbol) = symbol {
                        let name = &plan.name;
                        self.note(format!(
                            "the reader's enum {name} has neither the writer's symbol `{symbol}` nor a default"
                        ));
                    }
                }
            }
            Node::List { items: inner, .. } | Node::Map { values: inner, .. } => self.within("[]", inner),
            Node::Nullable { null, other, .. } => {
                if !null {
                    self.note("the writer may have null, for which the reader has nothing".to_owned());
                }
                self.node(other);
            }
            Node::Union(branches) => branches.iter().for_each(|branch| self.node(branch)),
            Node::Unreadable(mismatch) => {
                let mut path = self.path.clone();
                path.extend_from_slice(&mismatch.path);
                self.found.push((path, mismatch.message.clone()));
            }
            Node::Record(plan) => self.record(plan),
            Node::Kept { root, .. } => self.node(root),
            // A record around this place is looked through already.
            Node::Recursive(_) => {}
            Node::Null
            | Node::Boolean
            | Node::Int
            | Node::Long
            | Node::Timestamp
            | Node::TimestampOfInt
            | Node::Temporal { .. }
            | Node::IntAsDouble
            | Node::LongAsDouble
            | Node::IntAsFloat
            | Node::LongAsFloat
            | Node::Float
            | Node::Double
            | Node::String
            | Node::Bytes
            | Node::Fixed(_)
            | Node::Decimal { .. }
            | Node::Uuid
            | Node::UuidOfFixed
            | Node::Duration => {}
        }
    }

    fn record(&mut self, plan: &Arc<RecordPlan>) {
        if self.seen.contains(&Arc::as_ptr(plan)) {
            return;
        }
        self.seen.push(Arc::as_ptr(plan));
        for step in &plan.steps {
            if let Step::Read { name, node, .. } = step {
                self.within(name, node);
            }
        }
    }

    fn within(&mut self, segment: &str, node: &Node) {
        self.path.push(segment.to_owned());
        self.node(node);
        self.path.pop();
    }

    fn note(&mut self, message: String) {
        self.found.push((self.path.clone(), message));
    }
}
