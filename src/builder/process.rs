//! Steps that are processors.

use super::data::Data;
use super::handle::Handle;
use super::stream::KStream;
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

/// The outputs of a processor that has several.
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
    /// the plan knows of them is what the supplier says:
    ///
    /// ```
    /// use signalstream::builder::{Consumed, Data, Produced, Serdes, StreamsBuilder};
    /// use signalstream::processor::{
    ///     Blueprint, Context, Output, Processor, ProcessorError, ProcessorSupplier, Record, Request,
    /// };
    ///
    /// /// Hands on how far a record's time is from a moment.
    /// struct Distance(i64);
    ///
    /// impl Processor for Distance {
    ///     fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
    ///         let distance = record.timestamp - self.0;
    ///         context.forward(record.with_value(distance))?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// struct DistanceFrom(i64);
    ///
    /// impl ProcessorSupplier for DistanceFrom {
    ///     fn name(&self) -> &str {
    ///         "distance"
    ///     }
    ///
    ///     fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
    ///         let moment = self.0;
    ///         Ok(Blueprint::new(move || Distance(moment)).gives(Output::new().values(i64::shape()).keeps_key()))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new("app");
    /// builder
    ///     .stream("in", Consumed::with(Serdes::string(), Serdes::string()))
    ///     .process::<String, i64>("distances", DistanceFrom(1_000))
    ///     .filter(|_, distance| *distance > 0)
    ///     .to("out", Produced::with(Serdes::string(), Serdes::long()));
    /// builder.build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process<K2: Data, R: Data>(&self, name: &str, supplier: impl ProcessorSupplier + 'static) -> KStream<K2, R> {
        KStream::at(self.processed(name, supplier))
    }

    /// The same with a processor of several outputs.
    pub fn process_to_outputs(&self, name: &str, supplier: impl ProcessorSupplier + 'static) -> Outputs {
        Outputs { handle: self.processed(name, supplier) }
    }

    fn processed(&self, name: &str, supplier: impl ProcessorSupplier + 'static) -> Handle {
        let supplier = Named { name: name.to_owned(), supplier };
        let node = self.handle.shared.borrow_mut().processor(self.handle.node, name, supplier);
        self.handle.at(node).rekeyed()
    }
}
