//! The planner: from what an author wrote to what tasks run.
//!
//! It builds one graph of the whole application, streams and tables in the order in which they read each
//! other, checks every expression against the shapes that reach it, puts repartition topics where keys have
//! changed, and cuts the result into sub-topologies. A mistake is reported and stood in for by something that
//! accepts everything, so that the rest is still checked.

mod aggregates;
mod assemble;
mod cogroups;
mod deduplicate;
mod expressions;
mod fields;
mod folds;
mod foreign_keys;
mod global_joins;
mod graph;
mod grouped;
mod headers;
mod joins;
mod names;
mod personal_data;
mod process;
mod repartition;
mod shapes;
mod sinks;
mod sources;
mod steps;
mod stream_joins;
mod streams;
mod suppress;
mod tables;
mod topics;
mod versioned;
mod windows;

use std::collections::BTreeSet;

use super::PlanOptions;
use super::plan::{OnError, Topology};
use super::spec::{ErrorPolicy, OnErrorSpec, TopologySpec};
use crate::expression::NativeFunctions;
use crate::processor::Processors;
use crate::yaml::Node;
use crate::yaml::{Diagnostic, Problems};
use graph::Graph;
use names::{Definition, Names};
use topics::Topics;

/// Everything the planner knows while it works.
struct Planner<'a> {
    spec: &'a TopologySpec,
    options: &'a PlanOptions<'a>,
    /// The processors that it may name.
    processors: &'a Processors,
    /// The functions of Rust that expressions may call.
    functions: NativeFunctions,
    problems: &'a mut Problems,
    /// The application id.
    application: String,
    graph: Graph,
    names: Names<'a>,
    topics: Topics,
    /// Whether something is left out of the graph, for a reason that must be among the problems.
    incomplete: bool,
}

/// What to do with failing records.
#[derive(Clone, Copy, Debug)]
struct Policies {
    decode: OnError,
    process: OnError,
    produce: OnError,
}

/// Which errors can happen at a place, so that a policy for one that cannot is refused.
struct Possible {
    what: &'static str,
    decode: bool,
    process: bool,
    produce: bool,
}

/// Plans a topology. `None`: there are mistakes, all among the problems.
pub(super) fn plan(
    spec: &TopologySpec,
    root: &Node,
    options: &PlanOptions<'_>,
    processors: &Processors,
    functions: &NativeFunctions,
    problems: &mut Problems,
) -> Option<Topology> {
    let names = Names::collect(spec, processors, problems);
    let order = names.order(problems);
    let application = spec.topology.as_ref().map(|name| name.text.clone()).unwrap_or_default();
    let topics = Topics::default();
    let (functions, graph) = (functions.clone(), Graph::default());
    let mut planner = Planner {
        spec,
        options,
        processors,
        functions,
        problems,
        application,
        graph,
        names,
        topics,
        incomplete: false,
    };
    planner.declare_topics();
    for name in &order {
        planner.build_source(name);
    }
    for name in &order {
        planner.build(name);
    }
    for (position, sink) in spec.sinks.iter().flatten().enumerate() {
        planner.sink(position, sink);
    }
    if spec.sources.is_none()
        && let Some(name) = &spec.topology
    {
        let problem = Diagnostic::new(name.span.clone(), format!("the topology `{}` reads nothing", name.text));
        planner.problems.report(problem.help("name what it reads: `sources: {NAME: {topic: TOPIC}}`"));
    }
    let dead_letters = planner.dead_letters();
    planner.report_unused(root);
    if planner.problems.count() > 0 || planner.incomplete {
        return None;
    }
    let mut topology = planner.assemble(dead_letters)?;
    personal_data::check(&mut topology, spec, root, options.registry, problems);
    Some(topology)
}

impl Planner<'_> {
    /// Builds a stream or table; everything it reads has been built.
    fn build(&mut self, name: &str) {
        let flow = match self.names.get(name).map(|entity| entity.definition) {
            Some(Definition::Stream(Some(stream))) => self.stream(name, stream),
            Some(Definition::Table(Some(table))) => self.table(name, table),
            _ => return,
        };
        self.incomplete |= flow.is_unknown();
        self.names.built(name, flow);
    }

    /// The policies at a place: its own, else the defaults', else dead letters where a topic is configured
    /// for them.
    fn policies(&mut self, own: Option<&OnErrorSpec>, possible: &Possible) -> Policies {
        let defaults = self.spec.defaults.as_ref();
        let dlq = defaults.is_some_and(|defaults| defaults.dlq.is_some());
        let general = defaults.and_then(|defaults| defaults.on_error.as_ref());
        if let Some(own) = own {
            let given = [("decode", own.decode, possible.decode), ("process", own.process, possible.process)];
            for (field, policy, possible_here) in given.into_iter().chain([("produce", own.produce, possible.produce)])
            {
                if policy.is_some() && !possible_here {
                    let message = format!("{} cannot fail to {field}", possible.what);
                    let help = format!("set `{field}` where it can happen, or in `defaults`");
                    self.problems.report(Diagnostic::new(own.span.clone(), message).help(help));
                }
            }
        }
        let without = if dlq { OnError::DeadLetter } else { OnError::Fail };
        let mut choose = |pick: fn(&OnErrorSpec) -> Option<ErrorPolicy>, otherwise: OnError| {
            let (policy, place) = match (own.and_then(pick), general.and_then(pick)) {
                (Some(policy), _) => (policy, own),
                (None, Some(policy)) => (policy, general),
                (None, None) => return otherwise,
            };
            if policy == ErrorPolicy::DeadLetter
                && !dlq
                && let Some(place) = place
            {
                let problem =
                    Diagnostic::new(place.span.clone(), "there is no dead letter topic to send failing records to");
                self.problems.report(problem.help("name one: `defaults: {dlq: TOPIC}`"));
            }
            match policy {
                ErrorPolicy::DeadLetter => OnError::DeadLetter,
                ErrorPolicy::Skip => OnError::Skip,
                ErrorPolicy::Fail => OnError::Fail,
            }
        };
        Policies {
            decode: choose(|spec| spec.decode, without),
            process: choose(|spec| spec.process, without),
            produce: choose(|spec| spec.produce, OnError::Fail),
        }
    }

    /// The policy for expressions of a stream or table.
    fn process_policy(&mut self, own: Option<&OnErrorSpec>, what: &'static str) -> OnError {
        let possible = Possible { what, decode: false, process: true, produce: false };
        self.policies(own, &possible).process
    }

    /// Reports names and topics that nothing uses. What a definition mentions that could not be read counts
    /// as used.
    fn report_unused(&mut self, root: &Node) {
        let mut mentioned = BTreeSet::new();
        let sources = self
            .spec
            .sources
            .iter()
            .flat_map(|sources| &sources.0)
            .map(|(name, body)| ("sources", name, body.is_some()));
        let streams = self
            .spec
            .streams
            .iter()
            .flat_map(|streams| &streams.0)
            .map(|(name, body)| ("streams", name, body.is_some()));
        let tables =
            self.spec.tables.iter().flat_map(|tables| &tables.0).map(|(name, body)| ("tables", name, body.is_some()));
        for (section, name, readable) in sources.chain(streams).chain(tables) {
            if !readable && let Some(node) = root.get(section).and_then(|section| section.get(&name.text)) {
                names::mentions(node, &mut mentioned);
            }
        }
        if self.unreadable_sinks(root)
            && let Some(sinks) = root.get("sinks")
        {
            names::mentions(sinks, &mut mentioned);
        }
        self.names.report_unread(&mentioned, self.problems);
        self.report_unused_topics(&mentioned);
    }

    /// Whether some sink could not be read.
    fn unreadable_sinks(&self, root: &Node) -> bool {
        let written = match root.get("sinks").map(|node| &node.content) {
            Some(crate::yaml::Content::Sequence(items)) => items.len(),
            Some(_) => return true,
            None => 0,
        };
        self.spec.sinks.as_ref().map_or(0, Vec::len) != written
    }
}
