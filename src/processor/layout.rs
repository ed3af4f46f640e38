//! A store as a processor of a plan knows it.

use std::sync::Arc;

use crate::record::Shape;
use crate::serdes::{Deserializer, Serializer};

/// What a processor's view of a store needs to know.
#[derive(Clone, Debug)]
pub(crate) struct StoreLayout {
    /// The name that the processor calls it by.
    pub(crate) name: Arc<str>,
    /// Writes keys.
    pub(crate) key_writer: Serializer,
    /// Reads keys.
    pub(crate) key_reader: Deserializer,
    /// The shape of keys.
    pub(crate) key: Shape,
    /// The shape of values.
    pub(crate) value: Shape,
}
