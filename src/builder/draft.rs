//! What a builder has been told: a graph of sources, steps, streams and tables, which becomes a topology in YAML whose
//! expressions call the closures.
//!
//! A step is written into the stream or table that reads it where nobody else does and it has no name of its own, so
//! that a chain of calls becomes one stream of several steps, as a person would write it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::yaml::Tree;
use crate::expression::{NativeFunction, NativeFunctions};
use crate::processor::{ProcessorSupplier, Processors};

/// A node of the graph.
pub(super) type NodeId = usize;

/// What all handles of a builder share.
pub(super) type Shared = Rc<RefCell<Draft>>;

/// What is written, and what it calls.
pub(super) struct Draft {
    /// The application id.
    pub(super) application: String,
    /// What it does, for people.
    pub(super) description: Option<String>,
    /// Defaults, as `defaults` has them.
    pub(super) defaults: BTreeMap<&'static str, Tree>,
    /// Topics, as `topics` has them.
    pub(super) topics: BTreeMap<String, Tree>,
    /// Rows that are to be read as types that they are not of, which the planner does not see.
    pub(super) misread: Vec<Misread>,
    nodes: Vec<Node>,
    sinks: Vec<Tree>,
    functions: Vec<(String, NativeFunction)>,
    processors: Processors,
}

/// A node: something with a name, or a step.
struct Node {
    name: Option<String>,
    on_error: Option<Tree>,
    /// Whether the step that follows is the other half of what was asked for.
    half: bool,
    kind: Kind,
}

/// What a node is.
enum Kind {
    /// A source, by its fields.
    Source(Tree),
    /// What a stream or table starts from, by its fields.
    Stream(Tree),
    Table(Tree),
    /// A step of a stream.
    Step {
        of: NodeId,
        step: Tree,
    },
    /// A branch of a stream that ends in some.
    Branch {
        of: NodeId,
        name: String,
    },
}

/// Rows of a table that cannot be read as a type, and why.
#[derive(Clone)]
pub(super) struct Misread {
    pub(super) table: String,
    pub(super) row: &'static str,
    pub(super) reason: String,
}

/// The text of a topology, and which of its names nobody has given.
pub(super) struct Written {
    pub(super) yaml: String,
    pub(super) functions: NativeFunctions,
    pub(super) processors: Processors,
    pub(super) unnamed: BTreeSet<String>,
}

impl Draft {
    /// Nothing yet.
    pub(super) fn new(application: &str) -> Self {
        Draft {
            application: application.to_owned(),
            description: None,
            defaults: BTreeMap::new(),
            topics: BTreeMap::new(),
            misread: Vec::new(),
            nodes: Vec::new(),
            sinks: Vec::new(),
            functions: Vec::new(),
            processors: Processors::new(),
        }
    }

    fn add(&mut self, name: Option<String>, kind: Kind) -> NodeId {
        self.nodes.push(Node { name, on_error: None, half: false, kind });
        self.nodes.len() - 1
    }

    /// A source.
    pub(super) fn source(&mut self, name: &str, fields: Tree) -> NodeId {
        self.add(Some(name.to_owned()), Kind::Source(fields))
    }

    /// A step behind another node.
    pub(super) fn step(&mut self, of: NodeId, verb: &str, argument: Tree) -> NodeId {
        self.add(None, Kind::Step { of, step: Tree::map([(verb, argument)]) })
    }

    /// The first of two steps that are one to whoever asks for it.
    pub(super) fn half_step(&mut self, of: NodeId, verb: &str, argument: Tree) -> NodeId {
        let id = self.step(of, verb, argument);
        if let Some(node) = self.nodes.get_mut(id) {
            node.half = true;
        }
        id
    }

    /// A stream that starts from several others.
    pub(super) fn stream(&mut self, name: Option<&str>, fields: Tree) -> NodeId {
        self.add(name.map(str::to_owned), Kind::Stream(fields))
    }

    /// A table.
    pub(super) fn table(&mut self, name: Option<&str>, fields: Tree) -> NodeId {
        self.add(name.map(str::to_owned), Kind::Table(fields))
    }

    /// A step that is a processor. It stands in a stream of this name, after which its stores are named.
    pub(super) fn processor(
        &mut self,
        of: NodeId,
        name: &str,
        supplier: impl ProcessorSupplier + 'static,
        stores: Option<Tree>,
    ) -> NodeId {
        self.processors.add(supplier);
        let step = Tree::map([("process", Tree::map([("processor", Tree::text(name))]).with("stores", stores))]);
        self.add(Some(name.to_owned()), Kind::Step { of, step })
    }

    /// What an output of a step sends.
    pub(super) fn output(&mut self, of: NodeId, name: &str) -> NodeId {
        self.add(None, Kind::Branch { of, name: name.to_owned() })
    }

    /// Says what becomes of records that fail where nothing else is said.
    pub(super) fn default_policy(&mut self, policy: Tree) {
        let policies = self.defaults.entry("on_error").or_insert_with(|| Tree::map([]));
        if let Tree::Map(fields) = policy {
            fields.into_iter().for_each(|(name, word)| policies.set(&name, word));
        }
    }

    /// Adds a branch to a step that is `branch`, and gives what it sends.
    pub(super) fn branch(&mut self, of: NodeId, name: &str, condition: Option<Tree>) -> NodeId {
        if let Some(Node { kind: Kind::Step { step, .. }, .. }) = self.nodes.get_mut(of)
            && let Some(branches) = step.get_mut("branch")
        {
            match condition {
                Some(condition) => branches.insert(name, condition),
                None => branches.insert("default", Tree::text(name)),
            }
        }
        self.output(of, name)
    }

    /// A sink.
    pub(super) fn sink(&mut self, fields: Tree) {
        self.sinks.push(fields);
    }

    /// Gives a stream or table a name.
    pub(super) fn name(&mut self, node: NodeId, name: &str) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.name = Some(name.to_owned());
        }
    }

    /// Says what becomes of records on which a node fails, or the half before it.
    pub(super) fn on_error(&mut self, node: NodeId, policy: Tree) {
        for part in self.halves(node).into_iter().flatten() {
            if let Some(part) = self.nodes.get_mut(part) {
                part.on_error = Some(policy.clone());
            }
        }
    }

    /// Says that what a node calls, or the half before it, gives nothing of the personal data that it is given.
    pub(super) fn clear_personal_data(&mut self, node: NodeId) {
        let mut called = Vec::new();
        for part in self.halves(node).into_iter().flatten() {
            match self.nodes.get(part).map(|part| &part.kind) {
                Some(Kind::Stream(tree) | Kind::Table(tree) | Kind::Step { step: tree, .. }) => {
                    tree.calls(&mut |function| called.push(function));
                }
                Some(Kind::Source(_) | Kind::Branch { .. }) | None => {}
            }
        }
        for function in called {
            if let Some((_, function)) = self.functions.get_mut(function) {
                *function = function.clone().clearing_personal_data();
            }
        }
    }

    /// A node and the half before it, if it is half of what was asked for.
    fn halves(&self, node: NodeId) -> [Option<NodeId>; 2] {
        let before = match self.nodes.get(node) {
            Some(Node { kind: Kind::Step { of, .. }, .. }) => {
                self.nodes.get(*of).filter(|before| before.half).map(|_| *of)
            }
            _ => None,
        };
        [before, Some(node)]
    }

    /// Takes a function in; gives a call of it.
    pub(super) fn call(&mut self, verb: &str, arguments: &str, function: NativeFunction) -> Tree {
        self.functions.push((verb.to_owned(), function));
        Tree::Call { function: self.functions.len() - 1, arguments: arguments.to_owned() }
    }

    /// The whole topology.
    pub(super) fn write(&self) -> Written {
        let plan = Plan::of(self);
        let mut sections: [Vec<(String, Tree)>; 3] = Default::default();
        let mut functions = BTreeMap::new();
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| !plan.absorbed.contains(id)) {
            let (section, mut fields) = match &node.kind {
                Kind::Source(fields) => (0, fields.clone()),
                Kind::Stream(fields) => (1, fields.clone()),
                Kind::Table(fields) => (2, self.with_steps(fields, &plan)),
                Kind::Step { .. } => {
                    let (from, steps) = self.chain(id, &plan);
                    (1, Tree::map([("from", Tree::Reference(from)), ("steps", Tree::List(steps))]))
                }
                Kind::Branch { .. } => continue,
            };
            if let Some(policy) = &node.on_error {
                fields.insert("on_error", policy.clone());
            }
            if let (Some(name), Some(section)) = (plan.names.get(&id), sections.get_mut(section)) {
                self.name_functions(&mut fields, name, &mut functions);
                section.push((name.clone(), fields));
            }
        }
        let [sources, streams, tables] = sections.map(Tree::Map);
        let mut all = vec![("topology".to_owned(), Tree::text(&self.application))];
        all.extend(self.description.as_ref().map(|text| ("description".to_owned(), Tree::text(text))));
        let owned = |(name, tree): (&&str, &Tree)| ((*name).to_owned(), tree.clone());
        let defaults = Tree::Map(self.defaults.iter().map(owned).collect());
        let topics = Tree::Map(self.topics.iter().map(|(name, tree)| (name.clone(), tree.clone())).collect());
        let sinks = Tree::List(self.sinks.iter().map(|sink| self.written_sink(sink, &plan, &mut functions)).collect());
        for (name, section) in [
            ("defaults", defaults),
            ("topics", topics),
            ("sources", sources),
            ("streams", streams),
            ("tables", tables),
            ("sinks", sinks),
        ] {
            if !section.is_empty() {
                all.push((name.to_owned(), section));
            }
        }
        let yaml = Tree::Map(all).to_yaml(&plan.names);
        Written {
            yaml,
            functions: functions.into_iter().collect(),
            processors: self.processors.clone(),
            unnamed: plan.unnamed,
        }
    }

    /// A sink whose functions have names, after what it writes.
    fn written_sink(&self, sink: &Tree, plan: &Plan, named: &mut BTreeMap<String, NativeFunction>) -> Tree {
        let mut sink = sink.clone();
        let from = match sink.get("from") {
            Some(Tree::Reference(from)) => plan.names.get(from).map_or("", String::as_str),
            _ => "",
        };
        self.name_functions(&mut sink, &format!("{from}-sink"), named);
        sink
    }

    /// Names the functions that a stream or table calls after it, so that a call is the same call after a change
    /// elsewhere: what is kept is compared with the topology at the start, expressions too.
    fn name_functions(&self, tree: &mut Tree, owner: &str, named: &mut BTreeMap<String, NativeFunction>) {
        match tree {
            Tree::Call { function, arguments } => {
                let Some(call) = self.named_call(*function, arguments, owner, named) else { return };
                *tree = Tree::Text(call);
            }
            Tree::Aggregate { name, call, limit } => {
                let Tree::Call { function, arguments } = call.as_ref() else { return };
                let Some(call) = self.named_call(*function, arguments, owner, named) else { return };
                *tree = Tree::aggregate(name, &call, limit.as_deref());
            }
            Tree::List(items) => items.iter_mut().for_each(|item| self.name_functions(item, owner, named)),
            Tree::Map(fields) => fields.iter_mut().for_each(|(_, field)| self.name_functions(field, owner, named)),
            Tree::Text(_) | Tree::Plain(_) | Tree::Reference(_) => {}
        }
    }

    /// A call of a function under a name that no other has.
    fn named_call(
        &self,
        function: usize,
        arguments: &str,
        owner: &str,
        named: &mut BTreeMap<String, NativeFunction>,
    ) -> Option<String> {
        let (verb, function) = self.functions.get(function)?;
        let base = format!("{verb}_{owner}").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let mut name = base.clone();
        let mut number = 1;
        while named.contains_key(&name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        let call = format!("{name}({arguments})");
        named.insert(name, function.clone());
        Some(call)
    }

    /// A table whose stream's steps are its own, where nobody else reads them.
    fn with_steps(&self, fields: &Tree, plan: &Plan) -> Tree {
        let mut fields = fields.clone();
        if let Some(Tree::Reference(read)) = fields.get_mut("from")
            && plan.absorbed.contains(read)
        {
            let (from, steps) = self.chain(*read, plan);
            *read = from;
            fields.insert_second("steps", Tree::List(steps));
        }
        fields
    }

    /// The steps up to a node that are written in one place, and what they start from.
    fn chain(&self, last: NodeId, plan: &Plan) -> (NodeId, Vec<Tree>) {
        let mut steps = Vec::new();
        let mut at = last;
        while let Some(Node { kind: Kind::Step { of, step }, .. }) = self.nodes.get(at) {
            steps.push(step.clone());
            at = *of;
            if !plan.absorbed.contains(&at) {
                break;
            }
        }
        steps.reverse();
        (at, steps)
    }
}

/// Which node is written where, under which name.
struct Plan {
    /// Steps that stand in what reads them.
    absorbed: BTreeSet<NodeId>,
    names: BTreeMap<NodeId, String>,
    unnamed: BTreeSet<String>,
}

impl Plan {
    fn of(draft: &Draft) -> Plan {
        let absorbed = absorbed(draft);
        let taken: BTreeSet<&str> = draft.nodes.iter().filter_map(|node| node.name.as_deref()).collect();
        let mut plan = Plan { absorbed, names: BTreeMap::new(), unnamed: BTreeSet::new() };
        // A node comes after those it reads.
        for (id, node) in draft.nodes.iter().enumerate() {
            let name = match (&node.name, &node.kind) {
                (Some(name), _) => name.clone(),
                (None, Kind::Branch { of, name }) => {
                    format!("{}.{name}", plan.names.get(of).map_or("", String::as_str))
                }
                (None, kind) => {
                    let base = read_by(kind).and_then(|read| plan.names.get(&read)).cloned().unwrap_or_default();
                    let base = base.split_once("-unnamed-").map_or(base.as_str(), |(base, _)| base);
                    let base = if base.is_empty() { "stream".to_owned() } else { base.replace('.', "-") };
                    let free = |number: &usize| {
                        let name = format!("{base}-unnamed-{number}");
                        !taken.contains(name.as_str()) && !plan.unnamed.contains(&name)
                    };
                    let number = (1..).find(free).unwrap_or_default();
                    let name = format!("{base}-unnamed-{number}");
                    if !plan.absorbed.contains(&id) {
                        plan.unnamed.insert(name.clone());
                    }
                    name
                }
            };
            plan.names.insert(id, name);
        }
        plan
    }
}

/// What a node reads first.
fn read_by(kind: &Kind) -> Option<NodeId> {
    match kind {
        Kind::Step { of, .. } | Kind::Branch { of, .. } => Some(*of),
        Kind::Source(fields) | Kind::Stream(fields) | Kind::Table(fields) => {
            let mut first = None;
            fields.references(&mut |read| first = first.or(Some(read)));
            first
        }
    }
}

/// The steps that stand in what reads them: those that one step or table reads and nobody else, and that nothing sets
/// apart.
fn absorbed(draft: &Draft) -> BTreeSet<NodeId> {
    let mut readers = vec![0_usize; draft.nodes.len()];
    let mut absorbed = BTreeSet::new();
    let mut count = |read: NodeId| {
        if let Some(readers) = readers.get_mut(read) {
            *readers += 1;
        }
    };
    for node in &draft.nodes {
        match &node.kind {
            Kind::Source(fields) | Kind::Stream(fields) | Kind::Table(fields) => fields.references(&mut count),
            Kind::Step { of, step } => {
                count(*of);
                step.references(&mut count);
            }
            // A branch is no reader of its own: the stream ends in all of them.
            Kind::Branch { .. } => {}
        }
    }
    draft.sinks.iter().for_each(|sink| sink.references(&mut count));
    for node in &draft.nodes {
        let read = match &node.kind {
            Kind::Step { of, .. } => *of,
            Kind::Table(fields) => match fields.get("from") {
                Some(Tree::Reference(read)) => *read,
                _ => continue,
            },
            _ => continue,
        };
        let Some(before) = draft.nodes.get(read) else { continue };
        let Kind::Step { step, .. } = &before.kind else { continue };
        let alone = readers.get(read) == Some(&1) && before.name.is_none();
        let unruled = before.on_error.is_none() && node.on_error.is_none();
        if alone && (before.half || unruled) && step.get("branch").is_none() {
            absorbed.insert(read);
        }
    }
    absorbed
}
