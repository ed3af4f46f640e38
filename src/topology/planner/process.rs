//! `process`: a step that the program has written, asked what it makes of what arrives.

use std::sync::Arc;

use super::Planner;
use super::graph::{Flow, FlowKind, KeyInfo, Port};
use super::repartition::key_format;
use super::steps::Place;
use crate::processor::{Blueprint, Output, OutputKey, ProcessorSupplier, Request, StoreDeclaration, StoreLayout};
use crate::record::{Fields, Shape};
use crate::state::{StoreKind, StoreSpec};
use crate::topology::plan::{StoreId, Verb};
use crate::topology::process::{Process, ProcessOutput};
use crate::topology::spec::{Name, ProcessSpec};
use crate::yaml::{Diagnostic, Span, suggest};

/// A store that a step is to have.
struct Wanted<'w> {
    /// What the processor calls it and what it holds.
    declared: StoreDeclaration,
    /// Its name among the application's.
    name: String,
    /// Where it stands.
    span: &'w Span,
    /// Whether other steps may have it too.
    shared: bool,
}

impl Planner<'_> {
    /// The step `process`. Its children, where it has some, are what others read instead of the stream.
    pub(super) fn process(&mut self, flow: Flow, spec: &ProcessSpec, place: &Place<'_>) -> Flow {
        let Some(supplier) = self.processor(&spec.processor) else { return self.unknown_children(place, None) };
        if !supplier.children().is_empty() && self.refuse_in_tables(&spec.processor.text, place) {
            return Flow::unknown();
        }
        if !supplier.children().is_empty() && !place.last {
            let message = format!("`{}` has several outputs, and must be the last step", spec.processor.text);
            let problem = Diagnostic::new(place.span.clone(), message);
            self.problems.report(problem.help("go on with its outputs: `from: stream.output`"));
        }
        let own = spec.stores.iter().flatten().map(|store| {
            let serde = self.serde(&store.value);
            let shape = serde.map_or(Shape::Any, |serde| serde.shape().clone());
            (StoreDeclaration::key_value(&store.name.text, store.key.format.clone(), shape), &store.name)
        });
        let own: Vec<(StoreDeclaration, &Name)> = own.collect();
        let request = Request {
            key: flow.key.shape.clone(),
            value: flow.value.clone(),
            config: spec.config.as_ref().map_or(serde_json::Value::Null, |config| config.json.clone()),
            stores: own.iter().map(|(declared, _)| declared.clone()).collect(),
        };
        if flow.is_unknown() {
            return self.unknown_children(place, Some(supplier.as_ref()));
        }
        let blueprint = match supplier.plan(&request) {
            Ok(blueprint) => blueprint,
            Err(error) => {
                let place_of_error = spec.config.as_ref().map_or(&spec.processor.span, |config| &config.span);
                let message = format!("`{}` cannot work here: {error}", spec.processor.text);
                self.problems.report(Diagnostic::new(place_of_error.clone(), message));
                return self.unknown_children(place, Some(supplier.as_ref()));
            }
        };
        let Some(outputs) = self.outputs(&flow, supplier.as_ref(), &blueprint, spec) else {
            return self.unknown_children(place, Some(supplier.as_ref()));
        };
        let Some(stores) = self.stores(own, &blueprint, spec, place) else {
            return self.unknown_children(place, Some(supplier.as_ref()));
        };
        self.process_node(flow, supplier.as_ref(), blueprint, outputs, stores, spec, place)
    }

    /// A processor by name. One that does not exist is reported, with the nearest, or those that there are.
    fn processor(&mut self, name: &Name) -> Option<Arc<dyn ProcessorSupplier>> {
        let processors = self.processors;
        let found = processors.get(&name.text).cloned();
        if found.is_none() {
            let help = match processors.names().next() {
                Some(_) => suggest(&name.text, processors.names()),
                None => Some(
                    "this program has registered none; build one that does: `signalstream::cli::main_with`".to_owned(),
                ),
            };
            let problem = Diagnostic::new(name.span.clone(), format!("there is no processor `{}`", name.text));
            self.problems.report(problem.help_if(help));
        }
        found
    }

    /// What stands for a step with a mistake, and for its children.
    fn unknown_children(&mut self, place: &Place<'_>, supplier: Option<&dyn ProcessorSupplier>) -> Flow {
        for child in supplier.map(ProcessorSupplier::children).unwrap_or_default() {
            self.names.built(&format!("{}.{child}", place.owner), Flow::unknown());
        }
        Flow::unknown()
    }

    /// What comes out, in the order of the children.
    fn outputs(
        &mut self,
        flow: &Flow,
        supplier: &dyn ProcessorSupplier,
        blueprint: &Blueprint,
        spec: &ProcessSpec,
    ) -> Option<Vec<(ProcessOutput, KeyInfo)>> {
        let children = supplier.children();
        if children.is_empty() && blueprint.children.is_empty() {
            return self.output(flow, None, &blueprint.output, spec).map(|output| vec![output]);
        }
        if let Some((unknown, _)) = blueprint.children.iter().find(|(name, _)| !children.contains(&name.as_str())) {
            let message = format!(
                "`{}` says what comes out of `{unknown}`, which is none of its outputs: its `children` must name it",
                spec.processor.text
            );
            self.problems.report(Diagnostic::new(spec.processor.span.clone(), message));
            return None;
        }
        let said = |name: &str| blueprint.children.iter().find(|(child, _)| child == name).map(|(_, output)| output);
        let outputs: Vec<_> = children
            .iter()
            .map(|name| self.output(flow, Some(name), said(name).unwrap_or(&blueprint.output), spec))
            .collect();
        outputs.into_iter().collect()
    }

    fn output(
        &mut self,
        flow: &Flow,
        name: Option<&str>,
        output: &Output,
        spec: &ProcessSpec,
    ) -> Option<(ProcessOutput, KeyInfo)> {
        let key = match &output.key {
            OutputKey::AsInput | OutputKey::Kept => flow.key.clone(),
            OutputKey::Of(shape) => KeyInfo { shape: shape.clone(), format: key_format(shape) },
        };
        let output = ProcessOutput {
            name: name.map(str::to_owned),
            key: key.shape.clone(),
            key_writer: self.key_serializer(&key.shape, &key.format, &spec.processor.span)?,
            same_format: key.format == flow.key.format,
            keeps_key: output.key == OutputKey::Kept,
            key_as_it_came: !matches!(output.key, OutputKey::Of(_)),
            keeps_timestamp: output.keeps_timestamp,
            value: output.value.clone(),
            clears_personal_data: output.clears_personal_data,
        };
        Some((output, key))
    }

    /// The stores of the step: those that the topology gives it, then the processor's own.
    fn stores(
        &mut self,
        given: Vec<(StoreDeclaration, &Name)>,
        blueprint: &Blueprint,
        spec: &ProcessSpec,
        place: &Place<'_>,
    ) -> Option<Vec<(StoreId, Arc<StoreLayout>)>> {
        let given = given.into_iter().map(|(declared, name)| {
            let (name, span) = (name.text.clone(), &name.span);
            Wanted { name, declared, span, shared: true }
        });
        let own = blueprint.stores.iter().map(|declared| Wanted {
            name: format!("{}-{}", place.owner, declared.name),
            declared: declared.clone(),
            span: &spec.processor.span,
            shared: false,
        });
        let mut stores: Vec<(StoreId, Arc<StoreLayout>)> = Vec::new();
        for wanted in given.chain(own) {
            if stores.iter().any(|(_, other)| *other.name == *wanted.declared.name) {
                let message =
                    format!("`{}` has two stores that it calls `{}`", spec.processor.text, wanted.declared.name);
                let problem = Diagnostic::new(wanted.span.clone(), message);
                self.problems.report(problem.help("leave it out of `stores`, if the processor has it itself"));
                return None;
            }
            let serde = self.serde_of(&wanted.declared.key, wanted.span)?;
            let layout = StoreLayout {
                name: wanted.declared.name.as_str().into(),
                key_writer: self.key_serializer(serde.shape(), &wanted.declared.key, wanted.span)?,
                key_reader: serde.deserializer(&Fields::All),
                key: serde.shape().clone(),
                value: wanted.declared.value.clone(),
            };
            stores.push((self.process_store(wanted)?, Arc::new(layout)));
        }
        Some(stores)
    }

    /// A store by its name: a new one, or the one that another step has given the same description.
    fn process_store(&mut self, wanted: Wanted<'_>) -> Option<StoreId> {
        let Wanted { declared: StoreDeclaration { key, value, .. }, name, span, shared } = wanted;
        let Some(id) = self.graph.stores.iter().position(|store| store.spec.name == name) else {
            return Some(self.new_store(&name, value, &key, StoreKind::KeyValue, span));
        };
        let of_processors = |node: &super::graph::DraftNode| match &node.verb {
            Verb::Process(process) => process.stores.contains(&id),
            _ => false,
        };
        if !shared || !self.graph.nodes.iter().any(of_processors) {
            let problem = Diagnostic::new(span.clone(), format!("there is a store `{name}` already"));
            self.problems
                .report(problem.help("give one of the two another name; only `stores` of steps can be shared"));
            return None;
        }
        let other = &self.graph.stores[id];
        let StoreSpec { shape, .. } = &other.spec;
        if (&other.key, shape) != (&key, &value) {
            let message = format!(
                "the store `{name}` has keys in {} and values of {shape} elsewhere, and here keys in {key} and values of \
                 {value}",
                other.key
            );
            let problem = Diagnostic::new(span.clone(), message);
            self.problems.report(problem.help("steps that share a store describe it alike"));
            return None;
        }
        Some(id)
    }

    #[allow(clippy::too_many_arguments, reason = "everything that is known of one step, put together once")]
    fn process_node(
        &mut self,
        mut flow: Flow,
        supplier: &dyn ProcessorSupplier,
        blueprint: Blueprint,
        outputs: Vec<(ProcessOutput, KeyInfo)>,
        stores: Vec<(StoreId, Arc<StoreLayout>)>,
        spec: &ProcessSpec,
        place: &Place<'_>,
    ) -> Flow {
        let (outputs, keys): (Vec<ProcessOutput>, Vec<KeyInfo>) = outputs.into_iter().unzip();
        let (stores, layouts): (Vec<StoreId>, Vec<Arc<StoreLayout>>) = stores.into_iter().unzip();
        let verb = Verb::Process(Process {
            processor: supplier.name().into(),
            description: supplier.description().to_owned(),
            factory: blueprint.factory,
            outputs: outputs.clone(),
            stores,
            layouts: layouts.into(),
            reads: blueprint.reads,
        });
        let name = spec.name.as_ref().map(|name| format!("{}/{}", place.owner, name.text));
        let node = name.unwrap_or_else(|| place.node.clone());
        let place = Place { node, owner: place.owner, span: place.span, ..*place };
        self.chain(&mut flow, verb, &place);
        let of_output = |position: usize| {
            let (output, key) = outputs.get(position).zip(keys.get(position))?;
            let port = match flow.port {
                Port::Node(node, _) => Port::Node(node, position),
                other => other,
            };
            Some(Flow {
                port,
                kind: FlowKind::Stream,
                key: key.clone(),
                value: output.value.clone(),
                rekeyed: flow.rekeyed || !output.keeps_key,
                windows: flow.windows.filter(|_| output.keeps_key),
                ..flow.clone()
            })
        };
        for (position, output) in outputs.iter().enumerate() {
            if let (Some(child), Some(flow)) = (&output.name, of_output(position)) {
                self.names.built(&format!("{}.{child}", place.owner), flow);
            }
        }
        of_output(0).unwrap_or_else(Flow::unknown)
    }
}
