//! Whether a test file fits its topology: names that exist, records that can be written, something expected.

use std::collections::BTreeMap;

use base64::Engine;

use super::mock;
use super::spec::{
    CaseSpec, DefaultsSpec, ExpectedRecord, FileSpec, RecordSpec, Step, StoreExpectation, TopicExpectation,
};
use crate::agents::Agents;
use crate::metrics::DropReason;
use crate::serdes::{Format, SchemaRegistry, TopicSerde};
use crate::state::StoreKind;
use crate::topology::plan::{Topic, TopicRole, Topology};
use crate::topology::spec::scalars::Count;
use crate::topology::spec::{Name, Named};
use crate::yaml::{Diagnostic, Problems, suggest};

/// What the names of a test file are looked up in.
pub(super) struct Known<'a> {
    topology: &'a Topology,
    agents: &'a Agents,
    serdes: BTreeMap<&'a str, TopicSerde>,
}

impl<'a> Known<'a> {
    /// Looks names up in a topology. A topic whose formats cannot be set up is not checked for its values.
    pub(super) fn new(topology: &'a Topology, agents: &'a Agents, schemas: &SchemaRegistry) -> Self {
        let serdes = topology.topics.iter().filter_map(|topic| {
            let serde = TopicSerde::new(&topic.key, topic.value.as_ref()?, schemas).ok()?;
            Some((topic.name.as_str(), serde))
        });
        Known { topology, agents, serdes: serdes.collect() }
    }

    /// Reports what does not fit.
    pub(super) fn check(&self, file: &FileSpec, problems: &mut Problems) {
        if let Some(defaults) = &file.defaults {
            self.check_partitions(defaults.partitions.as_ref(), problems);
            self.check_mocks(defaults.mocks.as_ref(), problems);
            check_defaults(defaults, problems);
        }
        if file.tests.is_empty() {
            problems.report(Diagnostic::new(file.span.clone(), "there are no tests").help("add one under `tests:`"));
        }
        let mut names: BTreeMap<&str, &crate::yaml::Span> = BTreeMap::new();
        for case in &file.tests {
            if let Some(first) = names.insert(&case.name.text, &case.name.span) {
                let problem = Diagnostic::new(case.name.span.clone(), "another test has this name");
                problems.report(problem.related(first.clone(), "the other one"));
            }
            self.check_case(case, problems);
        }
    }

    fn check_case(&self, case: &CaseSpec, problems: &mut Problems) {
        self.check_partitions(case.partitions.as_ref(), problems);
        self.check_mocks(case.mocks.as_ref(), problems);
        for step in &case.steps {
            if let Step::Records(records) = &step.step {
                records.iter().for_each(|record| self.check_record(record, problems));
            }
        }
        for expectation in case.expect.iter().flatten() {
            self.check_topic_expectation(expectation, problems);
        }
        for expectation in case.stores.iter().flatten() {
            self.check_store_expectation(expectation, problems);
        }
        for (reason, _) in case.dropped.iter().flat_map(Named::iter) {
            let labels = DropReason::ALL.map(DropReason::label);
            if !labels.contains(&reason.text.as_str()) {
                let message = format!("`{}` is no reason to drop a record", reason.text);
                problems.report(Diagnostic::new(reason.span.clone(), message).help_if(suggest(&reason.text, labels)));
            }
        }
        if case.expect.is_none() && case.stores.is_none() && case.fails.is_none() && case.dropped.is_none() {
            let problem = Diagnostic::new(case.span.clone(), "this test expects nothing");
            problems.report(problem.help("say what is expected with `expect`, `stores`, `dropped` or `fails`"));
        }
    }

    fn check_partitions(&self, partitions: Option<&Named<Count>>, problems: &mut Problems) {
        let names: Vec<&str> = self.external_topics().map(|topic| topic.name.as_str()).collect();
        for (name, _) in partitions.into_iter().flat_map(Named::iter) {
            if !names.contains(&name.text.as_str()) {
                report_topic(name, "the topology has no topic", &names, problems);
            }
        }
    }

    fn check_mocks(&self, mocks: Option<&Named<super::spec::MockSpec>>, problems: &mut Problems) {
        if let Some(mocks) = mocks {
            mock::check(self.agents, mocks, problems);
        }
    }

    fn check_record(&self, record: &RecordSpec, problems: &mut Problems) {
        let is_input = |topic: &&Topic| matches!(topic.role, TopicRole::Source | TopicRole::SourceAndSink);
        let inputs: Vec<&str> = self.topology.topics.iter().filter(is_input).map(|topic| topic.name.as_str()).collect();
        if !inputs.contains(&record.topic.text.as_str()) {
            report_topic(&record.topic, "the topology does not read", &inputs, problems);
            return;
        }
        if record.value.is_some()
            && let Some(base64) = &record.value_base64
        {
            let problem = Diagnostic::new(base64.span.clone(), "a record has either `value` or `value_base64`");
            problems.report(problem);
        }
        if let Some(text) = &record.value_base64
            && let Err(error) = base64::engine::general_purpose::STANDARD.decode(&text.text)
        {
            problems.report(Diagnostic::new(text.span.clone(), format!("this is not base64: {error}")));
        }
        let topic = self.topology.topics.iter().find(|topic| topic.name == record.topic.text);
        let (Some(topic), Some(serde)) = (topic, self.serdes.get(record.topic.text.as_str())) else { return };
        if let Some(key) = &record.key
            && let Err(error) = serde.encode_key(&key.json)
        {
            let message = format!("the key does not fit `{}` ({}): {error}", topic.name, topic.key);
            problems.report(Diagnostic::new(key.span.clone(), message));
        }
        if let Some(value) = &record.value
            && let Err(error) = serde.encode_value(&value.json)
        {
            let format = topic.value.as_ref().map(Format::to_string).unwrap_or_default();
            let message = format!("the value does not fit `{}` ({format}): {error}", topic.name);
            problems.report(Diagnostic::new(value.span.clone(), message));
        }
    }

    fn external_topics(&self) -> impl Iterator<Item = &Topic> {
        let internal = |topic: &&Topic| !matches!(topic.role, TopicRole::Repartition | TopicRole::Changelog);
        self.topology.topics.iter().filter(internal)
    }

    fn check_topic_expectation(&self, expectation: &TopicExpectation, problems: &mut Problems) {
        let written = self.external_topics().filter(|topic| topic.role != TopicRole::Source);
        let outputs: Vec<&str> = written.map(|topic| topic.name.as_str()).collect();
        if !outputs.contains(&expectation.topic.text.as_str()) {
            report_topic(&expectation.topic, "the topology does not write", &outputs, problems);
        }
        let checks = [
            expectation.exactly.is_some(),
            expectation.contains.is_some(),
            expectation.none.is_some(),
            expectation.count.is_some(),
            expectation.last.is_some(),
        ];
        if !checks.contains(&true) {
            let problem = Diagnostic::new(expectation.span.clone(), "this expects nothing of the topic");
            problems.report(problem.help("say `exactly`, `contains`, `last`, `count` or `none: true`"));
        }
        let records = expectation.exactly.iter().chain(&expectation.contains).flatten();
        for record in records.filter(|record| is_empty(record)) {
            problems.report(Diagnostic::new(record.span.clone(), "this expects nothing of the record"));
        }
    }

    fn check_store_expectation(&self, expectation: &StoreExpectation, problems: &mut Problems) {
        let stores: Vec<_> = self.topology.subtopologies.iter().flat_map(|part| &part.stores).collect();
        let name = &expectation.store;
        let Some(store) = stores.iter().find(|store| store.name == name.text) else {
            let problem = Diagnostic::new(name.span.clone(), format!("the topology has no store `{}`", name.text));
            let names = stores.iter().map(|store| store.name.as_str());
            problems.report(problem.help_if(suggest(&name.text, names)));
            return;
        };
        let session = matches!(store.kind, StoreKind::Session { .. });
        let windowed = session || matches!(store.kind, StoreKind::Window { .. });
        if let Some(window) = &expectation.window {
            let message = match (windowed, session, window.end.is_some()) {
                (false, _, _) => Some("this store has no windows"),
                (true, true, false) => Some("a session is found by its start and its `end`"),
                (true, false, true) => Some("the `end` of these windows follows from their start"),
                _ => None,
            };
            if let Some(message) = message {
                problems.report(Diagnostic::new(window.span.clone(), message));
            }
        }
        let mut refuse = |message: &str| problems.report(Diagnostic::new(expectation.span.clone(), message));
        if expectation.key.is_some() && matches!(store.kind, StoreKind::Join { .. }) {
            refuse("a key may have many rows in a store of a stream\u{2013}stream join; expect a `count`");
            return;
        }
        let of_row = expectation.value.is_some() || expectation.timestamp.is_some();
        match &expectation.key {
            None if of_row || expectation.absent.is_some() || expectation.window.is_some() => {
                refuse("a row is found by its `key`");
            }
            None if expectation.count.is_none() => {
                refuse("this expects nothing of the store; give a `key` or a `count`")
            }
            None => {}
            Some(_) if windowed && expectation.window.is_none() => {
                refuse("this store has windows; say which one: `window: {start: ...}`");
            }
            Some(_) if expectation.absent == Some(true) && of_row => refuse("an absent row has no value"),
            Some(_) if expectation.absent.is_none() && !of_row => {
                refuse("this expects nothing of the row; give its `value`, or `absent: true`");
            }
            Some(_) => {}
        }
    }
}

fn check_defaults(defaults: &DefaultsSpec, problems: &mut Problems) {
    if let Some(interval) = defaults.commit_interval.as_ref().filter(|interval| interval.value <= 0) {
        problems.report(Diagnostic::new(interval.span.clone(), "the commit interval must be longer than zero"));
    }
    let given = [
        defaults.cache.is_some(),
        defaults.commit_interval.is_some(),
        defaults.partitions.is_some(),
        defaults.mocks.is_some(),
    ];
    if !given.contains(&true) {
        problems.report(Diagnostic::new(defaults.span.clone(), "`defaults` says nothing").help("leave it out"));
    }
}

fn is_empty(record: &ExpectedRecord) -> bool {
    record.key.is_none()
        && record.value.is_none()
        && record.timestamp.is_none()
        && record.partition.is_none()
        && record.headers.is_none()
}

fn report_topic(name: &Name, what: &str, known: &[&str], problems: &mut Problems) {
    let problem = Diagnostic::new(name.span.clone(), format!("{what} `{}`", name.text));
    problems.report(problem.help_if(suggest(&name.text, known.iter().copied())));
}
