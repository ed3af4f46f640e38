//! Steps that are processors.

use super::data::Data;
use super::handle::Handle;
use super::serdes::Serde;
use super::stream::KStream;
use super::yaml::Tree;
use crate::processor::{Blueprint, ProcessorError, ProcessorSupplier, Request};

/// A supplier under the name of its step, so that two steps may have suppliers of one name.
struct Named<S> {
    name: String,
    supplier: S,
}

impl<S: ProcessorSupplier> ProcessorSupplier for Named<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        self.supplier.description()
    }

    fn children(&self) -> &[&str] {
        self.supplier.children()
    }

    fn plan(&self, request: &Request) -> Result<Blueprint, ProcessorError> {
        self.supplier.plan(request)
    }
}

/// A key-value store that is given to processors: steps that are given one of a name share it. A processor finds it under
/// that name.
///
/// ```
/// use signalstream::builder::{Serdes, StateStore};
///
/// // For `process_with_stores` and `process_to_outputs`.
/// let _seen = [StateStore::key_value("seen", Serdes::string(), Serdes::json::<Vec<i64>>())];
/// ```
#[derive(Clone, Debug)]
pub struct StateStore {
    fields: Tree,
}

impl StateStore {
    /// A store of this name, with keys and values that are written so.
    pub fn key_value<K: Data, V: Data>(name: &str, key: Serde<K>, value: Serde<V>) -> Self {
        StateStore { fields: Tree::map([("name", Tree::text(name)), ("key", key.tree()), ("value", value.tree())]) }
    }
}

/// The outputs of a processor that has several.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, Data, Produced, Serdes, StateStore, StreamsBuilder};
/// use signalstream::processor::{
///     Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Record, Request,
/// };
/// # use signalstream::testing::TopologyTestDriver;
///
/// /// Tells values that are new under their keys from those that are known.
/// struct Changes;
///
/// impl Processor for Changes {
///     fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
///         let mut last = context.store("last")?;
///         let output = if last.get(&record.key)?.as_ref() == Some(&record.value) { "known" } else { "new" };
///         last.put(&record.key, record.value.clone())?;
///         Ok(context.forward_to(output, record)?)
///     }
/// }
///
/// struct TellingChanges;
///
/// impl ProcessorSupplier for TellingChanges {
///     fn name(&self) -> &str {
///         "changes"
///     }
///
///     fn children(&self) -> &[&str] {
///         &["new", "known"]
///     }
///
///     fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
///         let output = Output::new().values(String::shape()).keeps_key();
///         Ok(Blueprint::new(|| Changes).child("new", output.clone()).child("known", output))
///     }
/// }
///
/// let builder = StreamsBuilder::new("changes");
/// let last = StateStore::key_value("last", Serdes::string(), Serdes::string());
/// let outputs = builder
///     .stream("in", Consumed::with(Serdes::string(), Serdes::string()))
///     .process_to_outputs("changes", TellingChanges, &[last]);
/// let texts = || Produced::with(Serdes::string(), Serdes::string());
/// outputs.stream("new").to("new", texts());
/// outputs.stream("known").to("known", texts());
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # for text in ["a", "b", "b"] {
/// #     driver.pipe("in", "k", text, 0)?;
/// # }
/// # assert_eq!((driver.read::<String, String>("new")?.len(), driver.read::<String, String>("known")?.len()), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outputs {
    handle: Handle,
}

impl Outputs {
    /// What the processor forwards to the output of this name, with keys and values of these types.
    pub fn stream<K: Data, V: Data>(&self, name: &str) -> KStream<K, V> {
        let node = self.handle.shared.borrow_mut().output(self.handle.node, name);
        KStream::at(self.handle.at(node))
    }
}

impl<K: Data, V: Data> KStream<K, V> {
    /// A step that is a processor, of this name, after which its stores are named: records, stores, headers, times; see
    /// [`processor`](crate::processor). What it forwards has keys and values of the types that are asked for here; what
    /// the plan knows of them is what the supplier says. [`Outputs`] has an example.
    pub fn process<K2: Data, R: Data>(&self, name: &str, supplier: impl ProcessorSupplier + 'static) -> KStream<K2, R> {
        KStream::at(self.processed(name, supplier, &[]))
    }

    /// The same with stores that it is given, beside those it has itself.
    pub fn process_with_stores<K2: Data, R: Data>(
        &self,
        name: &str,
        supplier: impl ProcessorSupplier + 'static,
        stores: &[StateStore],
    ) -> KStream<K2, R> {
        KStream::at(self.processed(name, supplier, stores))
    }

    /// The same with a processor of several outputs, and any stores.
    pub fn process_to_outputs(
        &self,
        name: &str,
        supplier: impl ProcessorSupplier + 'static,
        stores: &[StateStore],
    ) -> Outputs {
        Outputs { handle: self.processed(name, supplier, stores) }
    }

    fn processed(&self, name: &str, supplier: impl ProcessorSupplier + 'static, stores: &[StateStore]) -> Handle {
        let supplier = Named { name: name.to_owned(), supplier };
        let stores = Tree::List(stores.iter().map(|store| store.fields.clone()).collect());
        let stores = (!stores.is_empty()).then_some(stores);
        let node = self.handle.shared.borrow_mut().processor(self.handle.node, name, supplier, stores);
        self.handle.at(node).rekeyed()
    }
}
