//! The suppliers that a program knows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::ProcessorSupplier;

/// The processors that topologies may name.
#[derive(Clone, Default)]
pub struct Processors {
    by_name: BTreeMap<String, Arc<dyn ProcessorSupplier>>,
}

impl Processors {
    /// No processors.
    pub fn new() -> Self {
        Processors::default()
    }

    /// Adds a supplier under its name; one of that name is replaced.
    pub fn add(&mut self, supplier: impl ProcessorSupplier + 'static) {
        self.by_name.insert(supplier.name().to_owned(), Arc::new(supplier));
    }

    /// As [`Processors::add`], for a list that is made in one go.
    #[must_use]
    pub fn with(mut self, supplier: impl ProcessorSupplier + 'static) -> Self {
        self.add(supplier);
        self
    }

    /// The supplier of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn ProcessorSupplier>> {
        self.by_name.get(name)
    }

    /// The names of the suppliers, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
