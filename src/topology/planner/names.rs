//! Names: what is defined, who refers to whom, in which order things can be built, and what nobody reads.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::graph::{Flow, FlowKind};
use crate::processor::Processors;
use crate::topology::spec::{Name, SourceSpec, Step, StepSpec, StreamSpec, TableSpec, TopologySpec};
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems, list, nearest, suggest};

/// What a name stands for. `None`: its definition could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Definition<'a> {
    /// A source.
    Source(Option<&'a SourceSpec>),
    /// A stream.
    Stream(Option<&'a StreamSpec>),
    /// A branch of a stream.
    Branch(&'a str),
    /// A table.
    Table(Option<&'a TableSpec>),
}

impl Definition<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Definition::Source(_) => "source",
            Definition::Stream(_) => "stream",
            Definition::Branch(_) => "branch",
            Definition::Table(_) => "table",
        }
    }
}

/// A defined name.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    pub(super) span: Span,
    pub(super) definition: Definition<'a>,
    /// What its readers take records from, once it is built.
    pub(super) flow: Option<Flow>,
    pub(super) read: bool,
    /// Of a stream that ends in several: their names, by which alone it is read.
    pub(super) branches: Vec<String>,
    /// Of a stream that ends in a processor that is not known: it may have any outputs.
    ends_in_unknown: bool,
}

/// All names of sources, streams, branches and tables.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    entities: IndexMap<String, Entity<'a>>,
}

impl<'a> Names<'a> {
    /// Collects the names; one that is defined twice is reported.
    pub(super) fn collect(spec: &'a TopologySpec, processors: &Processors, problems: &mut Problems) -> Self {
        let mut names = Names::default();
        for (name, source) in spec.sources.iter().flat_map(|sources| &sources.0) {
            names.define(name, Definition::Source(source.as_ref()), problems);
        }
        for (name, stream) in spec.streams.iter().flat_map(|streams| &streams.0) {
            names.define(name, Definition::Stream(stream.as_ref()), problems);
        }
        for (name, table) in spec.tables.iter().flat_map(|tables| &tables.0) {
            names.define(name, Definition::Table(table.as_ref()), problems);
        }
        for (name, stream) in spec.streams.iter().flat_map(|streams| streams.iter()) {
            let branches = branches(stream, processors).map(|(branch, span)| {
                let full = Name { text: format!("{}.{branch}", name.text), span: span.clone() };
                names.define(&full, Definition::Branch(&name.text), problems);
                full.text
            });
            let branches: Vec<String> = branches.collect();
            if let Some(entity) = names.entities.get_mut(&name.text)
                && matches!(entity.definition, Definition::Stream(_))
            {
                entity.branches = branches;
                entity.ends_in_unknown = ends_in_unknown(stream, processors);
            }
        }
        names
    }

    fn define(&mut self, name: &Name, definition: Definition<'a>, problems: &mut Problems) {
        if let Some(first) = self.entities.get(&name.text) {
            let message = format!("`{}` is the name of a {} already", name.text, first.definition.kind());
            let problem = Diagnostic::new(name.span.clone(), message).related(first.span.clone(), "defined here");
            problems.report(problem.help("names are unique across sources, streams and tables"));
            return;
        }
        let (span, branches) = (name.span.clone(), Vec::new());
        let entity = Entity { span, definition, flow: None, read: false, branches, ends_in_unknown: false };
        self.entities.insert(name.text.clone(), entity);
    }

    /// Looks a name up.
    pub(super) fn get(&self, name: &str) -> Option<&Entity<'a>> {
        self.entities.get(name)
    }

    /// Says what readers of a name get.
    pub(super) fn built(&mut self, name: &str, flow: Flow) {
        if let Some(entity) = self.entities.get_mut(name) {
            entity.flow = Some(flow);
        }
    }

    /// What a reference reads. A name that does not exist is reported, with the nearest one; so is a global table.
    pub(super) fn read(&mut self, name: &Name, problems: &mut Problems) -> Flow {
        let flow = self.read_input(name, problems);
        if !matches!(flow.kind, FlowKind::Global(_)) {
            return flow;
        }
        let message = format!("`{}` is a global table; streams look it up in a `join`", name.text);
        let help = "make it a `table` source to read its changes";
        problems.report(Diagnostic::new(name.span.clone(), message).help(help));
        Flow { kind: FlowKind::Unknown, ..flow }
    }

    /// What an input of a join reads: a global table, too.
    pub(super) fn read_input(&mut self, name: &Name, problems: &mut Problems) -> Flow {
        if let Some(entity) = self.entities.get_mut(&name.text) {
            entity.read = true;
            if !entity.branches.is_empty() {
                let full: Vec<&str> = entity.branches.iter().map(String::as_str).collect();
                let message = format!("`{}` ends in branches; read one of them", name.text);
                problems.report(Diagnostic::new(name.span.clone(), message).help(format!("there is {}", list(&full))));
                return Flow::unknown();
            }
            return entity.flow.clone().unwrap_or_else(Flow::unknown);
        }
        let stream = name.text.rsplit_once('.').and_then(|(stream, _)| self.entities.get_mut(stream));
        if let Some(stream) = stream.filter(|stream| stream.ends_in_unknown) {
            stream.read = true;
            return Flow::unknown();
        }
        let message = format!("there is no source, stream or table `{}`", name.text);
        let hint = suggest(&name.text, self.entities.keys().map(String::as_str));
        let meant = nearest(&name.text, self.entities.keys().map(String::as_str)).map(str::to_owned);
        if let Some(entity) = meant.and_then(|meant| self.entities.get_mut(&meant)) {
            entity.read = true;
        }
        problems.report(Diagnostic::new(name.span.clone(), message).help_if(hint));
        Flow::unknown()
    }

    /// Streams and tables in an order in which each comes after those it reads. A cycle is reported.
    pub(super) fn order(&self, problems: &mut Problems) -> Vec<String> {
        let mut walk = Walk { names: self, done: BTreeSet::new(), path: Vec::new(), order: Vec::new() };
        for name in self.entities.keys() {
            walk.visit(name, problems);
        }
        walk.order
    }

    /// Reports what nobody reads, unless `excused` says that it may be left so.
    pub(super) fn report_unread(&self, mentioned: &BTreeSet<String>, problems: &mut Problems) {
        for (name, entity) in &self.entities {
            let excused = match entity.definition {
                Definition::Table(Some(table)) => table.store.is_some(),
                _ => !entity.branches.is_empty(),
            };
            if entity.read || excused || mentioned.contains(name) {
                continue;
            }
            let help = match entity.definition {
                Definition::Source(_) => "use it in `from`, or remove it".to_owned(),
                Definition::Table(_) => {
                    "write it to a sink, give it a `store:` to serve queries, or remove it".to_owned()
                }
                _ => "write it to a sink, or remove it".to_owned(),
            };
            let message = format!("nothing reads `{name}`");
            problems.report(Diagnostic::new(entity.span.clone(), message).help(help));
        }
    }
}

/// The branches of a stream that ends in some, or the outputs of a processor that has several: their names, and where
/// they are named.
fn branches<'a>(stream: &'a StreamSpec, processors: &'a Processors) -> impl Iterator<Item = (&'a str, &'a Span)> {
    let last = stream.steps.iter().flat_map(|steps| steps.last()).next();
    let (branches, processor) = match last.map(|step| &step.step) {
        Some(Step::Branch(spec)) => (Some(spec), None),
        Some(Step::Process(spec)) => (None, Some(&spec.processor)),
        _ => (None, None),
    };
    let branches = branches.into_iter().flat_map(|spec| spec.names()).map(|name| (name.text.as_str(), &name.span));
    let outputs = processor.into_iter().flat_map(|name| {
        let children = processors.get(&name.text).map(|supplier| supplier.children()).unwrap_or_default();
        children.iter().map(|child| (*child, &name.span))
    });
    branches.chain(outputs)
}

/// Whether a stream ends in a processor that is not known.
fn ends_in_unknown(stream: &StreamSpec, processors: &Processors) -> bool {
    let last = stream.steps.iter().flat_map(|steps| steps.last()).next();
    matches!(last.map(|step| &step.step), Some(Step::Process(spec)) if processors.get(&spec.processor.text).is_none())
}

/// What a stream or table refers to.
fn references<'a>(definition: &Definition<'a>) -> Vec<&'a Name> {
    fn merged(steps: &Option<Vec<StepSpec>>) -> impl Iterator<Item = &Name> {
        steps.iter().flatten().flat_map(|step| match &step.step {
            Step::Merge(names) => names.as_slice(),
            _ => &[],
        })
    }
    match definition {
        Definition::Stream(Some(stream)) => {
            let joined = stream.join.iter().flat_map(|join| join.inputs.iter().map(|(_, input)| input));
            let from = stream.from.iter().flat_map(|from| &from.0);
            from.chain(stream.merge.iter().flatten()).chain(joined).chain(merged(&stream.steps)).collect()
        }
        Definition::Table(Some(table)) => {
            let joined = table.join.iter().flat_map(|join| join.inputs.iter().map(|(_, input)| input));
            let cogroup = table.cogroup.iter().flat_map(|cogroup| cogroup.inputs.iter().map(|(_, input)| &input.from));
            let from = table.from.iter().flat_map(|from| &from.0);
            from.chain(joined).chain(cogroup).chain(merged(&table.steps)).collect()
        }
        _ => Vec::new(),
    }
}

/// A walk along the references, depth first.
struct Walk<'w, 'a> {
    names: &'w Names<'a>,
    done: BTreeSet<String>,
    path: Vec<String>,
    order: Vec<String>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, name: &str, problems: &mut Problems) {
        let Some(entity) = self.names.get(name) else { return };
        if let Definition::Branch(stream) = entity.definition {
            return self.visit(stream, problems);
        }
        if !self.done.insert(name.to_owned()) {
            return;
        }
        self.path.push(name.to_owned());
        for reference in references(&entity.definition) {
            let target = match self.names.get(&reference.text).map(|entity| entity.definition) {
                Some(Definition::Branch(stream)) => stream,
                _ => reference.text.as_str(),
            };
            if let Some(start) = self.path.iter().position(|step| step == target) {
                let mut cycle: Vec<&str> = self.path[start..].iter().map(String::as_str).collect();
                cycle.push(target);
                let message = format!("`{target}` is made from itself: {}", cycle.join(" <- "));
                let help = "a topology has no cycles; write to a topic and read it back if that is meant";
                problems.report(Diagnostic::new(reference.span.clone(), message).help(help));
                continue;
            }
            self.visit(target, problems);
        }
        self.path.pop();
        self.order.push(name.to_owned());
    }
}

/// Every scalar within a piece of the file, for definitions that could not be read: what they mention is not
/// reported as unread.
pub(super) fn mentions(node: &Node, found: &mut BTreeSet<String>) {
    match &node.content {
        Content::Scalar(scalar) => {
            found.insert(scalar.text.clone());
        }
        Content::Sequence(items) => items.iter().for_each(|item| mentions(item, found)),
        Content::Mapping(entries) => entries.iter().for_each(|(_, value)| mentions(value, found)),
    }
}
