//! The way that personal data took.

use std::collections::BTreeMap;

use crate::expression::Mark;

/// A node, by its sub-topology and position there.
pub(super) type At = (usize, usize);

/// What marks stand for.
#[derive(Debug, Default)]
pub(super) struct Traces {
    steps: Vec<Step>,
    origins: BTreeMap<String, Mark>,
    passed: BTreeMap<(Mark, At), Mark>,
}

#[derive(Debug)]
enum Step {
    /// Where it comes from, in words.
    Origin(String),
    /// A node that it went through, and where it was before.
    Through(Mark, At),
}

impl Traces {
    /// The mark of what comes from there.
    pub(super) fn origin(&mut self, text: String) -> Mark {
        if let Some(known) = self.origins.get(&text) {
            return *known;
        }
        let mark = self.add(Step::Origin(text.clone()));
        self.origins.insert(text, mark);
        mark
    }

    /// The mark of the same after it went through a node.
    pub(super) fn through(&mut self, mark: Mark, node: At) -> Mark {
        if let Some(known) = self.passed.get(&(mark, node)) {
            return *known;
        }
        let passed = mark.renumbered(self.add(Step::Through(mark, node)).number());
        self.passed.insert((mark, node), passed);
        passed
    }

    fn add(&mut self, step: Step) -> Mark {
        self.steps.push(step);
        Mark::new(self.steps.len() - 1)
    }

    /// Where it came from, and the nodes that it went through, in order.
    pub(super) fn way(&self, mark: Mark) -> (&str, Vec<At>) {
        let (mut nodes, mut mark) = (Vec::new(), mark);
        // Every step was made after the one that it leads back to.
        while let Some(step) = self.steps.get(mark.number()) {
            match step {
                Step::Through(before, node) => {
                    nodes.push(*node);
                    mark = *before;
                }
                Step::Origin(text) => {
                    nodes.reverse();
                    return (text, nodes);
                }
            }
        }
        ("a place that is not known", nodes)
    }
}
