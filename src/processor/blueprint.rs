//! What a supplier is asked, and what it answers: how processors are made, what they give, which stores they have.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{Processor, ProcessorError};
use crate::record::{Fields, Shape};
use crate::serdes::Format;

/// What a topology asks of a supplier, at one step.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) key: Shape,
    pub(crate) value: Shape,
    pub(crate) config: Json,
    pub(crate) stores: Vec<StoreDeclaration>,
}

impl Request {
    /// The shape of the keys that arrive.
    pub fn key(&self) -> &Shape {
        &self.key
    }

    /// The shape of the values that arrive. Any of them may be null besides.
    pub fn value(&self) -> &Shape {
        &self.value
    }

    /// What stands under `config` in the topology, as a type of the program; an empty mapping where nothing stands.
    ///
    /// # Errors
    /// When it is not such a one. To be handed on, so that it is shown at its place.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ProcessorError> {
        let config = match &self.config {
            Json::Null => Json::Object(serde_json::Map::new()),
            config => config.clone(),
        };
        Ok(serde_json::from_value(config)?)
    }

    /// A store that the topology gives the step, by its name.
    pub fn store(&self, name: &str) -> Option<&StoreDeclaration> {
        self.stores.iter().find(|store| store.name == name)
    }
}

/// Makes processors.
#[derive(Clone)]
pub(crate) struct Factory(Arc<dyn Fn() -> Box<dyn Processor> + Send + Sync>);

impl Factory {
    /// One processor.
    pub(crate) fn make(&self) -> Box<dyn Processor> {
        (self.0)()
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Factory")
    }
}

/// How the processors of a step are made, and what the plan has to know of them.
#[derive(Clone, Debug)]
pub struct Blueprint {
    pub(crate) factory: Factory,
    /// The one output, where there are no children.
    pub(crate) output: Output,
    pub(crate) children: Vec<(String, Output)>,
    pub(crate) stores: Vec<StoreDeclaration>,
    pub(crate) reads: Fields,
}

impl Blueprint {
    /// Processors that `make` makes: one for each task, and a new one whenever a task goes back to its last commit. It
    /// has one output, with the keys that arrive or others of that shape, and any values.
    pub fn new<P: Processor + 'static>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Blueprint {
            factory: Factory(Arc::new(move || Box::new(make()))),
            output: Output::new(),
            children: Vec::new(),
            stores: Vec::new(),
            reads: Fields::All,
        }
    }

    /// What comes out of the one output.
    #[must_use]
    pub fn gives(self, output: Output) -> Self {
        Blueprint { output, ..self }
    }

    /// What comes out of one of [`super::ProcessorSupplier::children`].
    #[must_use]
    pub fn child(mut self, name: impl Into<String>, output: Output) -> Self {
        let name = name.into();
        self.children.retain(|(other, _)| *other != name);
        self.children.push((name, output));
        self
    }

    /// A store of the step's own. In the topology it is named `STREAM-NAME`.
    #[must_use]
    pub fn store(mut self, store: StoreDeclaration) -> Self {
        self.stores.push(store);
        self
    }

    /// Which part of the values that arrive is needed; all of it, if this is not said. The processor is given no more: other
    /// fields are null, and other entries of maps are not there. What nobody needs is not decoded.
    #[must_use]
    pub fn reads(self, fields: Fields) -> Self {
        Blueprint { reads: fields, ..self }
    }
}

/// What the keys of an output are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OutputKey {
    /// Of the shape and format of those that arrive, maybe others.
    AsInput,
    /// Those that arrive.
    Kept,
    /// Of this shape.
    Of(Shape),
}

/// What comes out of a processor, or of one of its children.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) key: OutputKey,
    pub(crate) value: Shape,
    pub(crate) keeps_timestamp: bool,
    pub(crate) clears_personal_data: bool,
}

impl Output {
    /// Keys of the shape that arrives, maybe others; any values.
    pub fn new() -> Self {
        Output { key: OutputKey::AsInput, value: Shape::Any, keeps_timestamp: false, clears_personal_data: false }
    }

    /// Values of this shape; each may be null besides. What is forwarded is checked against it, record by record, and
    /// what reads it when the topology is planned.
    #[must_use]
    pub fn values(self, value: Shape) -> Self {
        Output { value, ..self }
    }

    /// Keys of this shape.
    #[must_use]
    pub fn keys(self, key: Shape) -> Self {
        Output { key: OutputKey::Of(key), ..self }
    }

    /// Records keep the keys that they came with, so that nothing after the step needs a repartition topic. Forwarding
    /// another key is an error. What is forwarded while no record is at hand must have a key that such a record could
    /// have in this partition, such as one of a store.
    #[must_use]
    pub fn keeps_key(self) -> Self {
        Output { key: OutputKey::Kept, ..self }
    }

    /// Records keep the timestamps that they came with; what is forwarded while no record is at hand has the time at which
    /// the processor was called. Forwarding another one is an error. Timestamps then hold nothing of what the processor is
    /// given, also where personal data comes out.
    #[must_use]
    pub fn keeps_timestamp(self) -> Self {
        Output { keeps_timestamp: true, ..self }
    }

    /// Says that values, headers and timestamps that are set and keys of another shape ([`Output::keys`]) hold nothing of
    /// the personal data that the processor is given or has stored: it redacts or counts. Keys that may be those that came
    /// are what they were, also where they were stored before they are handed on. Whoever says so answers for it. Without
    /// this, a topology that writes what comes out to a topic not declared for personal data is refused.
    #[must_use]
    pub fn clears_personal_data(self) -> Self {
        Output { clears_personal_data: true, ..self }
    }
}

impl Default for Output {
    fn default() -> Self {
        Output::new()
    }
}

/// A store of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreDeclaration {
    pub(crate) name: String,
    pub(crate) key: Format,
    pub(crate) value: Shape,
}

impl StoreDeclaration {
    /// A value for each key. `name` is what the processor calls it by.
    pub fn key_value(name: impl Into<String>, key: Format, value: Shape) -> Self {
        StoreDeclaration { name: name.into(), key, value }
    }

    /// The name that the processor calls it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How keys are written.
    pub fn key(&self) -> &Format {
        &self.key
    }

    /// The shape of the values.
    pub fn value(&self) -> &Shape {
        &self.value
    }
}
