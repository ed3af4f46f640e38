//! What the checked plan says of a step that is a processor; part of [`super::plan`].

use std::sync::Arc;

use super::plan::StoreId;
use crate::processor::{Factory, StoreLayout};
use crate::record::{Fields, Shape};
use crate::serdes::Serializer;

/// A processor, made anew for each task.
#[derive(Clone, Debug)]
pub struct Process {
    /// The name that it is registered under.
    pub processor: Arc<str>,
    /// What it does, in a sentence; may be empty.
    pub description: String,
    /// Makes it.
    pub(crate) factory: Factory,
    /// Its outputs, in the order of the node's. One without a name is the only one.
    pub outputs: Vec<ProcessOutput>,
    /// Its stores.
    pub stores: Vec<StoreId>,
    /// What it has to know of them, in the same order.
    pub(crate) layouts: Arc<[Arc<StoreLayout>]>,
    /// Which part of the values that arrive it reads.
    pub reads: Fields,
}

/// What comes out of a processor.
#[derive(Clone, Debug)]
pub struct ProcessOutput {
    /// Its name, where the processor has several outputs.
    pub name: Option<String>,
    /// The shape of its keys.
    pub key: Shape,
    /// Writes its keys.
    pub key_writer: Serializer,
    /// Whether keys that came in are written as they were.
    pub same_format: bool,
    /// Whether records keep the keys that they came with.
    pub keeps_key: bool,
    /// Whether its keys are of the kind that comes in, and may be one that came.
    pub key_as_it_came: bool,
    /// Whether records keep the timestamps that they came with.
    pub keeps_timestamp: bool,
    /// The shape of its values.
    pub value: Shape,
    /// Whether the processor says that no personal data comes out here.
    pub clears_personal_data: bool,
}
