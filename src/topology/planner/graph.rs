//! The graph as it grows: sources, nodes and stores of the whole application, before it is cut into
//! sub-topologies.

use std::collections::BTreeMap;

use crate::expression::Expression;
use crate::record::Shape;
use crate::serdes::{Format, Serde};
use crate::state::{StoreKind, StoreSpec};
use crate::topology::TopicPattern;
use crate::topology::global::GlobalTable;
use crate::topology::plan::{Aggregate, Edge, Function, OffsetReset, OnError, StoreId, Verb};
use crate::window::Windows;

/// Where records come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Of a source.
    Source(usize),
    /// Of an output of a node.
    Node(usize, usize),
    /// Nowhere: what should be there has a mistake, which has been reported.
    Nowhere,
}

/// How the values of a source are read.
#[derive(Clone, Debug)]
pub(super) enum DraftPayload {
    /// By a serde.
    Serde(Serde),
    /// By the engine's internal encoding.
    Internal(Shape),
}

impl DraftPayload {
    /// How values are written; those of the engine's own are shown as bytes.
    pub(super) fn format(&self) -> Format {
        match self {
            DraftPayload::Serde(serde) => serde.format.clone(),
            DraftPayload::Internal(_) => Format::Bytes,
        }
    }
}

/// A source whose needed fields are not known yet.
#[derive(Clone, Debug)]
pub(super) struct DraftSource {
    pub(super) name: String,
    /// The topics that it reads by name.
    pub(super) topics: Vec<String>,
    /// What the names of those match that it reads by pattern.
    pub(super) pattern: Option<TopicPattern>,
    pub(super) personal_data: bool,
    pub(super) key: Serde,
    pub(super) value: DraftPayload,
    pub(super) timestamp: Option<Expression>,
    pub(super) offset_reset: OffsetReset,
    pub(super) on_decode_error: OnError,
    pub(super) outputs: Vec<Edge>,
}

/// A node; its edges and stores count within the whole application.
#[derive(Clone, Debug)]
pub(super) struct DraftNode {
    pub(super) name: String,
    pub(super) verb: Verb,
    pub(super) on_process_error: OnError,
    pub(super) outputs: Vec<Vec<Edge>>,
}

/// A store and what its changelog needs to be created.
#[derive(Clone, Debug)]
pub(super) struct DraftStore {
    pub(super) spec: StoreSpec,
    pub(super) key: Format,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) sources: Vec<DraftSource>,
    pub(super) nodes: Vec<DraftNode>,
    pub(super) stores: Vec<DraftStore>,
    pub(super) globals: Vec<GlobalTable>,
    /// The line of the file that declares each store, by the store's name.
    pub(super) places: BTreeMap<String, String>,
}

impl Graph {
    /// Adds a source.
    pub(super) fn source(&mut self, source: DraftSource) -> Port {
        self.sources.push(source);
        Port::Source(self.sources.len() - 1)
    }

    /// The source that reads a topic.
    pub(super) fn reader_of(&self, topic: &str) -> Option<&str> {
        let tables = self.globals.iter().map(|table| (&*table.source.topic, table.source.name.as_str()));
        let named = self.sources.iter().flat_map(|source| source.topics.iter().map(|topic| (topic, &source.name)));
        let mut sources = named.map(|(topic, name)| (topic.as_str(), name.as_str())).chain(tables);
        sources.find(|(read, _)| *read == topic).map(|(_, name)| name)
    }

    /// Adds a node that takes records from `inputs`; gives its first output.
    pub(super) fn node(&mut self, name: String, verb: Verb, on_process_error: OnError, inputs: &[Port]) -> Port {
        let index = self.nodes.len();
        let (joins, outputs) = match &verb {
            Verb::TableTableJoin { .. } | Verb::StreamStreamJoin(_) | Verb::ForeignKeyAnswer(_) => (true, 1),
            Verb::Aggregate(Aggregate { function: Function::Cogroup(_), .. }) => (true, 1),
            Verb::Branch { conditions, default } => (false, conditions.len() + usize::from(*default)),
            Verb::Process(process) => (false, process.outputs.len()),
            _ => (false, 1),
        };
        let name = self.unique(name);
        self.nodes.push(DraftNode { name, verb, on_process_error, outputs: vec![Vec::new(); outputs] });
        for (position, input) in inputs.iter().enumerate() {
            let edge = Edge { node: index, input: if joins { position } else { 0 } };
            match *input {
                Port::Source(source) => self.sources[source].outputs.push(edge),
                Port::Node(node, output) => self.nodes[node].outputs[output].push(edge),
                Port::Nowhere => {}
            }
        }
        Port::Node(index, 0)
    }

    /// Several sinks may take one stream to one topic; names of nodes are unique nevertheless.
    fn unique(&self, name: String) -> String {
        let taken = |candidate: &str| self.nodes.iter().any(|node| node.name == candidate);
        if !taken(&name) {
            return name;
        }
        (2..).map(|n| format!("{name}-{n}")).find(|candidate| !taken(candidate)).unwrap_or(name)
    }

    /// The first node that hands records to one; `None`: only sources do.
    pub(super) fn before(&self, node: usize) -> Option<usize> {
        let leads = |other: &DraftNode| other.outputs.iter().flatten().any(|edge| edge.node == node);
        self.nodes.iter().position(leads)
    }

    /// Adds a store that is backed by the changelog `<application>-<name>-changelog`.
    pub(super) fn store(
        &mut self,
        application: &str,
        name: &str,
        shape: Shape,
        key: Format,
        kind: StoreKind,
    ) -> StoreId {
        let changelog = Some(format!("{application}-{name}-changelog").into());
        self.stores.push(DraftStore { spec: StoreSpec { name: name.to_owned(), changelog, shape, kind }, key });
        self.stores.len() - 1
    }
}

/// What a key is and how it is written.
#[derive(Clone, Debug)]
pub(super) struct KeyInfo {
    pub(super) shape: Shape,
    pub(super) format: Format,
}

/// Whether records are events or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowKind {
    /// Events.
    Stream,
    /// Changes of a table, which may have its rows in a store.
    Table(Option<StoreId>),
    /// The rows of a global table, by its position; only joins read them.
    Global(usize),
    /// There is a mistake, which has been reported: everything is accepted.
    Unknown,
}

/// A stream or table as those who read it see it.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) port: Port,
    pub(super) kind: FlowKind,
    pub(super) key: KeyInfo,
    pub(super) value: Shape,
    /// Whether the key may have changed since the records were partitioned by it.
    pub(super) rekeyed: bool,
    /// The windows of the keys, after a windowed aggregation.
    pub(super) windows: Option<Windows>,
    /// Whether it derives from a source whose records may hold personal data.
    pub(super) personal_data: bool,
    /// The topic that determines the partitions, and how many these are, where that is declared.
    pub(super) partitions: Option<(String, i32)>,
}

impl Flow {
    /// What stands for a stream or table with a mistake.
    pub(super) fn unknown() -> Self {
        Flow {
            port: Port::Nowhere,
            kind: FlowKind::Unknown,
            key: KeyInfo { shape: Shape::Any, format: Format::Json },
            value: Shape::Any,
            rekeyed: false,
            windows: None,
            personal_data: false,
            partitions: None,
        }
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, FlowKind::Table(_))
    }

    /// Whether it stands for a mistake.
    pub(super) fn is_unknown(&self) -> bool {
        self.kind == FlowKind::Unknown
    }
}
