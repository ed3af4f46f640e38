//! What each verb makes of personal data: which parts of what goes on come from which parts of what comes in.

use std::cell::Cell;
use std::sync::Arc;

use super::analysis::Topics;
use super::traces::{At, Traces};
use super::{Handles, folds};
use crate::agents::Agent;
use crate::expression::{Given, Mark, Part, Path, Projection, Taint};
use crate::topology::foreign_key::{Answer, PARTITION, Resolve, Subscribe};
use crate::topology::plan::{Aggregate, Function, HeaderChange, NEW, Node, OLD, Sink, StoreId, Verb};
use crate::topology::process::Process;
use crate::topology::spec::RecordPart;

/// Which parts of records, or of what a store holds, are personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::topology) struct Contents {
    pub(in crate::topology) key: Taint,
    pub(in crate::topology) value: Taint,
    pub(in crate::topology) headers: Taint,
    pub(in crate::topology) timestamp: Taint,
}

impl Contents {
    /// Adds what `other` says; whether that says more than was known.
    pub(super) fn join(&mut self, other: &Contents) -> bool {
        let key = self.key.join(&other.key);
        let value = self.value.join(&other.value);
        let headers = self.headers.join(&other.headers);
        let timestamp = self.timestamp.join(&other.timestamp);
        key || value || headers || timestamp
    }

    /// What expressions see of it.
    pub(super) fn given(&self, locals: Vec<Taint>) -> Given {
        let Contents { key, value, headers, timestamp } = self.clone();
        Given { key, value, headers, timestamp, locals }
    }

    /// Whether there is any in it.
    pub(super) fn handles(&self) -> Handles {
        let (keys, times) = (!self.key.is_clean(), !self.timestamp.is_clean());
        Handles { any: keys || times || !self.value.is_clean() || !self.headers.is_clean(), keys, times }
    }

    /// One of its parts.
    pub(super) fn part(&mut self, part: RecordPart) -> &mut Taint {
        match part {
            RecordPart::Key => &mut self.key,
            RecordPart::Value => &mut self.value,
            RecordPart::Headers => &mut self.headers,
        }
    }

    /// The same record with another value.
    fn with_value(&self, value: Taint) -> Contents {
        Contents { value, ..self.clone() }
    }

    fn marked(&self, traces: &mut Traces, at: At) -> Contents {
        let mut through = |mark| traces.through(mark, at);
        Contents {
            key: self.key.marked(&mut through),
            value: self.value.marked(&mut through),
            headers: self.headers.marked(&mut through),
            timestamp: self.timestamp.marked(&mut through),
        }
    }
}

/// A node at work.
pub(super) struct Step<'a> {
    pub(super) at: At,
    pub(super) node: &'a Node,
    /// What comes in, by input.
    pub(super) inputs: &'a [Contents],
    /// The stores of the sub-topology.
    pub(super) stores: &'a mut [Contents],
    /// What is written to topics.
    pub(super) topics: &'a mut Topics,
    pub(super) globals: &'a [Contents],
    pub(super) traces: &'a mut Traces,
    /// Whether a store or topic holds more than was known.
    pub(super) more: bool,
    /// What it has seen beside what comes in and goes out.
    pub(super) saw: Cell<Handles>,
}

impl Step<'_> {
    /// What goes out, by output.
    pub(super) fn outputs(&mut self) -> Vec<Contents> {
        let node = self.node;
        let input = together(self.inputs);
        let out = match &node.verb {
            Verb::Filter { .. } | Verb::Peek { .. } | Verb::Branch { .. } | Verb::Merge | Verb::ToStream => input,
            Verb::Map { key, value, .. } => {
                let given = input.given(Vec::new());
                let new_key = key.as_ref().map(|key| key.expression.flow(&given));
                let new_value = value.as_ref().map(|value| value.flow(&given));
                Contents { key: new_key.unwrap_or(input.key), value: new_value.unwrap_or(input.value), ..input }
            }
            Verb::FlatMap { items, .. } => {
                let item = items.flow(&input.given(Vec::new())).element();
                Contents { key: item.field("key"), value: item.field("value"), ..input }
            }
            Verb::FlatMapValues { items } => input.with_value(items.flow(&input.given(Vec::new())).element()),
            Verb::SetHeaders { changes } => Contents { headers: with_headers(&input, changes), ..input },
            Verb::Call { agent, input: asked, into, .. } => {
                let changed = asked.flow_of_changed(&input.given(Vec::new()));
                let answer = answer(agent.as_ref(), self.traces).joined(&not_redacted(agent.as_ref(), &changed));
                self.sees(Contents { value: answer.clone(), ..Contents::default() }.handles());
                let value = match into {
                    Some(into) => into.flow(&input.given(vec![answer])),
                    None => answer,
                };
                input.with_value(value)
            }
            Verb::Process(process) => return self.process(process, &input),
            Verb::Deduplicate { by, store, .. } => {
                let by = by.as_ref().map(|by| by.expression.flow(&input.given(Vec::new())));
                let key = by.unwrap_or_else(|| input.key.clone());
                self.keep(*store, Contents { key, ..Contents::default() });
                input
            }
            Verb::ToTable { store, .. } => {
                self.keep(*store, input.clone());
                input
            }
            Verb::VersionedTable { versions, .. } => {
                self.keep(versions.latest, input.clone());
                self.keep(versions.history, input.clone());
                input
            }
            Verb::GroupBy(group) => {
                let given = input.given(Vec::new());
                let value = group.value.as_ref().map_or_else(|| input.value.clone(), |value| value.flow(&given));
                let change = Taint::fields([(NEW, value.clone()), (OLD, value)]);
                Contents { key: group.key.expression.flow(&given), value: change, ..input }
            }
            Verb::Aggregate(aggregate) => self.aggregate(aggregate, input),
            Verb::Suppress(suppress) => {
                self.keep(suppress.buffer, input.clone());
                let key = input.key.clone();
                suppress
                    .index
                    .into_iter()
                    .for_each(|index| self.keep(index, Contents { key: key.clone(), ..Contents::default() }));
                input
            }
            Verb::Sink(sink) => return self.sink(sink, input),
            _ => self.join(input),
        };
        let outputs = node.outputs.len().max(1);
        vec![self.marked(&out); outputs]
    }

    /// Joins of all kinds.
    fn join(&mut self, input: Contents) -> Contents {
        let (node, inputs) = (self.node, self.inputs);
        let side = |n: usize| inputs.get(n).map(|side| side.value.clone()).unwrap_or_default();
        match &node.verb {
            Verb::StreamVersionedJoin(join) => {
                if let Some((waiting, _)) = join.wait {
                    self.keep(waiting, input.clone());
                }
                self.joined(&join.value, input, |step| vec![step.held(join.versions.latest).value])
            }
            Verb::StreamTableJoin { table, value, .. } => {
                self.joined(value, input, |step| vec![step.held(*table).value])
            }
            Verb::StreamGlobalJoin(join) => {
                let row = self.globals.get(join.table).map(|table| table.value.clone()).unwrap_or_default();
                self.sees(Contents { value: row.clone(), ..Contents::default() }.handles());
                self.joined(&join.value, input, |_| vec![row])
            }
            Verb::StreamStreamJoin(join) => {
                let sides = vec![side(0), side(1)];
                for (n, store) in join.rows.into_iter().enumerate() {
                    let row = Contents { value: side(n), ..input.clone() };
                    self.keep(store, row.clone());
                    join.unmatched
                        .get(n)
                        .copied()
                        .flatten()
                        .into_iter()
                        .for_each(|store| self.keep(store, row.clone()));
                }
                let value = join.value.flow(&input.given(sides));
                input.with_value(value)
            }
            Verb::TableTableJoin { stores, value, .. } => {
                let sides = (0..stores.len()).map(side).collect();
                let value = value.flow(&input.given(sides));
                input.with_value(value)
            }
            Verb::ForeignKeySubscribe(plan) => subscribe(plan, &input),
            Verb::ForeignKeyAnswer(plan) => self.answer(plan, input),
            Verb::ForeignKeyResolve(plan) => self.resolve(plan, &input),
            // Every other verb has been dealt with.
            _ => Contents { value: input.value.flattened(), ..input },
        }
    }

    /// What a store holds.
    fn held(&self, store: StoreId) -> Contents {
        let held = self.stores.get(store).cloned().unwrap_or_default();
        self.sees(held.handles());
        held
    }

    fn sees(&self, handles: Handles) {
        self.saw.set(self.saw.get().and(handles));
    }

    /// Notes that a store holds this.
    fn keep(&mut self, store: StoreId, contents: Contents) {
        let contents = self.marked(&contents);
        if let Some(held) = self.stores.get_mut(store) {
            self.more |= held.join(&contents);
        }
        // What others keep there, too.
        self.held(store);
    }

    fn marked(&mut self, contents: &Contents) -> Contents {
        contents.marked(self.traces, self.at)
    }

    fn joined(&self, value: &Projection, input: Contents, others: impl FnOnce(&Self) -> Vec<Taint>) -> Contents {
        let locals = std::iter::once(input.value.clone()).chain(others(self)).collect();
        let value = value.flow(&input.given(locals));
        input.with_value(value)
    }

    fn aggregate(&mut self, aggregate: &Aggregate, input: Contents) -> Contents {
        let traces = &mut *self.traces;
        let folded = folds::fold(aggregate, self.inputs, &mut |call| answer(call.agent.as_ref(), traces));
        let row = Contents { value: folded.state, ..input.clone() };
        self.keep(aggregate.store, row);
        let keys = Contents { value: Taint::clean(), ..input.clone() };
        for store in aggregate.index.into_iter().chain(aggregate.pending) {
            self.keep(store, keys.clone());
        }
        input.with_value(folded.result)
    }

    /// A processor may put anything that it is given anywhere, unless it says that it does not.
    fn process(&mut self, process: &Process, input: &Contents) -> Vec<Contents> {
        let stored: Vec<Contents> = process.stores.iter().map(|store| self.held(*store)).collect();
        let stored = together(&stored);
        let given = input.key.mark().or(input.value.read(&process.reads)).or(input.headers.mark());
        let mark = given.or(input.timestamp.mark()).or(stored.key.mark()).or(stored.value.mark());
        let mark = mark.map(Mark::made_by_code);
        for store in &process.stores {
            let held = Taint::whole_if(mark);
            // A key that came is more than one of its making.
            let key = held.clone().joined(&input.key.flattened());
            self.keep(*store, Contents { key, value: held, ..Contents::default() });
        }
        let outputs = process.outputs.iter().map(|output| {
            let all = Taint::whole_if(mark.filter(|_| !output.clears_personal_data));
            // At a time that it has asked for, it may hand on a key that is stored; of those that it has made itself, one
            // that says that it clears has made them of nothing.
            let stored = stored.key.mark().filter(|mark| !output.clears_personal_data || !mark.is_made_by_code());
            let came = input.key.clone().joined(&Taint::whole_if(stored));
            let key = match (output.keeps_key, output.key_as_it_came) {
                (true, _) => came,
                // What it says that it clears are new keys; one that came may be handed on all the same.
                (false, true) => came.joined(&all),
                (false, false) => all.clone(),
            };
            let headers = input.headers.clone().joined(&all);
            let made = Taint::whole_if(all.mark().filter(|_| !output.keeps_timestamp));
            Contents { key, value: all, headers, timestamp: input.timestamp.clone().joined(&made) }
        });
        let outputs: Vec<Contents> = outputs.collect();
        outputs.iter().map(|output| self.marked(output)).collect()
    }

    /// What is sent to a topic arrives where that is read, by the application itself or between its parts. What is sent to
    /// one that is not for it is a mistake, and not followed.
    fn sink(&mut self, sink: &Sink, input: Contents) -> Vec<Contents> {
        let sent = self.marked(&sent(sink, &input));
        if sink.internal {
            for topic in sink.topic.names() {
                self.more |= self.topics.internal.entry(Arc::clone(topic)).or_default().join(&sent);
            }
        } else if sink.personal_data.any() {
            for topic in sink.topic.names() {
                self.more |= self.topics.named.entry(Arc::clone(topic)).or_default().join(&sent);
            }
        }
        Vec::new()
    }

    /// Subscriptions, input 0, are answered with the rows that they name.
    fn answer(&mut self, plan: &Answer, input: Contents) -> Contents {
        let asked = self.inputs.first().cloned().unwrap_or_default();
        let left_key = asked.value.field("key");
        let key = asked.key.clone().joined(&left_key).flattened();
        self.keep(plan.subscriptions, Contents { key, ..Contents::default() });
        let row = self.held(plan.rows).value;
        Contents { key: left_key, value: Taint::fields([("row", row)]), ..input }
    }

    fn resolve(&mut self, plan: &Resolve, input: &Contents) -> Contents {
        let left = self.held(plan.rows);
        let key = input.key.clone().joined(&left.key);
        plan.joined
            .into_iter()
            .for_each(|store| self.keep(store, Contents { key: key.clone(), ..Contents::default() }));
        let locals = vec![left.value, input.value.field("row")];
        let given = Given { key: key.clone(), ..input.given(locals) };
        Contents { key, value: plan.value.flow(&given), ..input.clone() }
    }
}

/// A row tells the task of the one that it names who it is.
fn subscribe(plan: &Subscribe, input: &Contents) -> Contents {
    let given = input.given(vec![input.value.clone()]);
    // The hash that goes with it tells rows apart, and stays within the application. The key is bytes here, and comes back
    // as the one that it was.
    let fields = [("key", input.key.clone()), (PARTITION, Taint::clean())];
    Contents { key: plan.on.flow(&given), value: Taint::fields(fields), ..input.clone() }
}

/// All that comes in.
pub(super) fn together<'c>(inputs: impl IntoIterator<Item = &'c Contents>) -> Contents {
    let mut all = Contents::default();
    inputs.into_iter().for_each(|input| {
        all.join(input);
    });
    all
}

/// What a sink writes of a record.
pub(super) fn sent(sink: &Sink, input: &Contents) -> Contents {
    let value = sink.map.as_ref().map(|map| map.flow(&input.given(Vec::new())));
    let value = value.unwrap_or_else(|| input.value.clone());
    Contents { value, headers: with_headers(input, &sink.headers), ..input.clone() }
}

fn with_headers(input: &Contents, changes: &[HeaderChange]) -> Taint {
    let given = input.given(Vec::new());
    changes.iter().fold(input.headers.clone(), |headers, change| {
        let value = change.value.as_ref().map(|value| value.flow(&given)).unwrap_or_default();
        headers.with(Part::Field(change.name.to_string()), value)
    })
}

/// What of an agent's answer is personal data: what it says is, whatever it was asked.
pub(super) fn answer(agent: &dyn Agent, traces: &mut Traces) -> Taint {
    let mut taint = Taint::clean();
    for parts in agent.personal_answers() {
        let path = part_of_answer(parts);
        let mark = traces.origin(format!("`answer{path}` of the agent `{}`", agent.name()));
        taint.join(&super::marks::at(&path, mark));
    }
    taint
}

/// What of its answer is personal data because it was not asked about free text as that came.
pub(super) fn not_redacted(agent: &dyn Agent, changed: &Taint) -> Taint {
    let Some(mark) = changed.mark() else { return Taint::clean() };
    let parts = agent.redacted_answers().into_iter();
    parts.fold(Taint::clean(), |all, parts| all.joined(&super::marks::at(&part_of_answer(parts), mark)))
}

fn part_of_answer(parts: Vec<&str>) -> Path {
    let part = |part: &str| if part == "[]" { Part::Element } else { Part::Field(part.to_owned()) };
    Path(parts.into_iter().map(part).collect())
}

/// What the calls of a node give to agents, and to which.
pub(super) fn asked<'n>(verb: &'n Verb, inputs: &[Contents], traces: &mut Traces) -> Option<(&'n dyn Agent, Taint)> {
    match verb {
        Verb::Call { agent, input, .. } => Some((agent.as_ref(), input.flow(&together(inputs).given(Vec::new())))),
        Verb::Aggregate(plan) => match &plan.function {
            Function::Fold { call: Some(call), .. } => {
                let folded = folds::fold(plan, inputs, &mut |call| answer(call.agent.as_ref(), traces));
                Some((call.agent.as_ref(), folded.asked?))
            }
            _ => None,
        },
        _ => None,
    }
}
