//! Runs one test: feeds its steps to a driver and holds what came out against what was expected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;

use super::compare::{diff, matches, show_actual, show_expected, value_diff};
use super::spec::{Cache, CaseSpec, DefaultsSpec, RecordSpec, Step, StoreExpectation, TopicExpectation};
use super::{LineIndex, ScenarioOptions};
use crate::metrics::DropReason;
use crate::serdes::json::to_json;
use crate::serdes::{Format, TopicSerde};
use crate::state::{session_key, window_key};
use crate::testing::{DriverError, DriverOptions, InputRecord, OutputRecord, TopologyDriver};
use crate::topology::TopicPattern;
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::spec::Named;
use crate::window::Window;
use crate::yaml::Span;

/// What came of the steps of a test.
pub(super) struct Outcome {
    pub(super) failures: Vec<String>,
    pub(super) outputs: Vec<OutputRecord>,
    /// How many things happened: records, steps of the clock, crashes, commits.
    pub(super) events: usize,
}

/// A test about to run.
pub(super) struct CaseRun<'a> {
    pub(super) case: &'a CaseSpec,
    pub(super) defaults: Option<&'a DefaultsSpec>,
    pub(super) topology: Arc<Topology>,
    pub(super) options: &'a ScenarioOptions<'a>,
    pub(super) lines: &'a LineIndex,
}

impl CaseRun<'_> {
    /// Runs it.
    pub(super) fn run(&self) -> Outcome {
        let mut outcome = Outcome { failures: Vec::new(), outputs: Vec::new(), events: 0 };
        let driver = TopologyDriver::new(self.topology.clone(), self.options.schemas, self.driver_options());
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                self.report(&mut outcome, &self.case.name.span, &format!("the application does not start: {error}"));
                return outcome;
            }
        };
        let stopped = self.steps(&mut driver, &mut outcome);
        outcome.outputs = driver.take_outputs();
        self.check_stop(stopped, &mut outcome);
        for expectation in self.case.expect.iter().flatten() {
            self.check_topic(expectation, &mut outcome);
        }
        for expectation in self.case.stores.iter().flatten() {
            self.check_store(expectation, &mut driver, &mut outcome);
        }
        self.check_dropped(&driver, &mut outcome);
        outcome
    }

    fn driver_options(&self) -> DriverOptions {
        let cache = self.case.cache.or(self.defaults.and_then(|defaults| defaults.cache));
        let interval = self.defaults.and_then(|defaults| defaults.commit_interval.as_ref());
        let counts = [self.defaults.and_then(|defaults| defaults.partitions.as_ref()), self.case.partitions.as_ref()];
        let mut partitions: BTreeMap<String, i32> = counts
            .into_iter()
            .flatten()
            .flat_map(Named::iter)
            .map(|(name, count)| (name.text.clone(), count.value))
            .collect();
        let patterns: Vec<&TopicPattern> = pattern::patterns(&self.topology).collect();
        for topic in self.case.topics().filter(|topic| patterns.iter().any(|pattern| pattern.takes(topic))) {
            partitions.entry(topic.to_owned()).or_insert(1);
        }
        let standard = DriverOptions::default();
        DriverOptions {
            caching: self.options.caching.unwrap_or(cache != Some(Cache::Off)),
            commit_interval: interval.map_or(standard.commit_interval, |interval| {
                Duration::from_millis(u64::try_from(interval.value).unwrap_or(0))
            }),
            partitions,
        }
    }

    /// Lets everything happen; gives the place and the error where the application stopped.
    fn steps(&self, driver: &mut TopologyDriver, outcome: &mut Outcome) -> Option<(Span, String)> {
        for step in &self.case.steps {
            let mut happen = |place: &Span, event: &dyn Fn(&mut TopologyDriver) -> Result<(), DriverError>| {
                let stopped = |error: DriverError| (place.clone(), error.to_string());
                event(driver).map_err(stopped)?;
                outcome.events += 1;
                if self.options.crash_after != Some(outcome.events) {
                    return Ok(());
                }
                driver.crash().map_err(stopped)
            };
            let happened = match &step.step {
                Step::Records(records) => {
                    records.iter().try_for_each(|record| happen(&record.span, &|driver| driver.pipe(&input(record))))
                }
                Step::AdvanceWallClock(by) => happen(&step.span, &|driver| driver.advance_wall_clock(*by)),
                Step::Crash => happen(&step.span, &TopologyDriver::crash),
                Step::Commit => happen(&step.span, &TopologyDriver::finish),
            };
            if let Err(stopped) = happened {
                return Some(stopped);
            }
        }
        let end = self.case.steps.last().map_or(self.case.name.span.clone(), |step| step.span.clone());
        driver.finish().err().map(|error| (end, error.to_string()))
    }

    fn report(&self, outcome: &mut Outcome, place: &Span, message: &str) {
        outcome.failures.push(format!("{}: {}", self.lines.position(place), message.trim_end()));
    }

    fn check_stop(&self, stopped: Option<(Span, String)>, outcome: &mut Outcome) {
        match (stopped, &self.case.fails) {
            (None, None) => {}
            (None, Some(fails)) => {
                let message = format!("expected to stop with `{}`, but nothing failed", fails.text);
                self.report(outcome, &fails.span, &message);
            }
            (Some((place, error)), None) => {
                self.report(outcome, &place, &format!("the application stopped: {error}"));
            }
            (Some((_, error)), Some(fails)) => {
                if !error.contains(&fails.text) {
                    let message = format!("expected to stop with `{}`, but stopped with:\n    {error}", fails.text);
                    self.report(outcome, &fails.span, &message);
                }
            }
        }
    }

    fn check_topic(&self, expectation: &TopicExpectation, outcome: &mut Outcome) {
        let topic = &expectation.topic;
        let mut failures = Vec::new();
        let records: Vec<&OutputRecord> = outcome.outputs.iter().filter(|record| record.topic == topic.text).collect();
        let came = match records.len() {
            0 => "none came".to_owned(),
            1 => "1 came".to_owned(),
            count => format!("{count} came"),
        };
        if let Some(expected) = &expectation.exactly {
            let same = expected.len() == records.len()
                && expected.iter().zip(&records).all(|(expected, actual)| matches(expected, actual, false));
            if !same {
                failures.push(format!("expected {} records, {came}:\n{}", expected.len(), diff(expected, &records)));
            }
        }
        for expected in expectation.contains.iter().flatten() {
            if !records.iter().any(|record| matches(expected, record, true)) {
                let expected = show_expected(expected);
                failures.push(format!("no record contains {expected}; {came}:\n{}", list(&records)));
            }
        }
        if expectation.none == Some(true) && !records.is_empty() {
            failures.push(format!("nothing expected, {came}:\n{}", list(&records)));
        }
        if expectation.none == Some(false) && records.is_empty() {
            failures.push("expected records, none came".to_owned());
        }
        if let Some(count) = &expectation.count
            && count.value != records.len()
        {
            failures.push(format!("expected {} records, {came}:\n{}", count.value, list(&records)));
        }
        for (key, value) in expectation.last.iter().flat_map(|last| &last.0) {
            let last = records.iter().rev().find(|record| key_text(&record.key) == key.text);
            match last {
                None => failures.push(format!("no record has the key `{}`; {came}:\n{}", key.text, list(&records))),
                Some(record) if !super::compare::equal(value, &record.value) => {
                    let diff = value_diff(value, &record.value);
                    failures.push(format!("the last value of `{}` is not the one expected:\n{diff}", key.text));
                }
                Some(_) => {}
            }
        }
        for failure in failures {
            self.report(outcome, &topic.span, &format!("topic `{}`: {failure}", topic.text));
        }
    }

    fn check_store(&self, expectation: &StoreExpectation, driver: &mut TopologyDriver, outcome: &mut Outcome) {
        let name = &expectation.store;
        let rows = match driver.store_rows(&name.text) {
            Ok(rows) => rows,
            Err(error) => return self.report(outcome, &name.span, &error.to_string()),
        };
        let mut failures = Vec::new();
        if let Some(count) = &expectation.count
            && count.value != rows.len()
        {
            failures.push((&count.span, format!("expected {} rows, there are {}", count.value, rows.len())));
        }
        if let Some(key) = &expectation.key {
            match self.store_key(expectation, &key.json) {
                Err(message) => failures.push((&key.span, message)),
                Ok(bytes) => {
                    let row = rows.iter().find(|(key, _, _)| *key == bytes);
                    let row = row.map(|(_, timestamp, value)| (*timestamp, to_json(value)));
                    failures
                        .extend(check_row(expectation, &key.json, row).into_iter().map(|message| (&key.span, message)));
                }
            }
        }
        for (place, failure) in failures {
            self.report(outcome, place, &format!("store `{}`: {failure}", name.text));
        }
    }

    /// The bytes that a key has in a store: written in the format of its changelog.
    fn store_key(&self, expectation: &StoreExpectation, key: &Json) -> Result<Bytes, String> {
        let stores = self.topology.subtopologies.iter().flat_map(|part| &part.stores);
        let changelog =
            stores.filter(|store| store.name == expectation.store.text).find_map(|store| store.changelog.as_deref());
        let topic = self.topology.topics.iter().find(|topic| Some(topic.name.as_str()) == changelog);
        let format = topic.map_or(Format::String, |topic| topic.key.clone());
        let serde =
            TopicSerde::new(&format, &Format::Bytes, self.options.schemas).map_err(|error| error.to_string())?;
        let encoded = serde.encode_key(key).map_err(|error| format!("the key is not a {format}: {error}"))?;
        let encoded = encoded.ok_or("rows have no null keys")?;
        match &expectation.window {
            None => Ok(encoded),
            Some(window) => {
                let mut bytes = Vec::new();
                match &window.end {
                    Some(end) => {
                        session_key(Window { start: window.start.0, end: end.0 }, &encoded, &mut bytes);
                    }
                    None => window_key(window.start.0, &encoded, &mut bytes),
                }
                Ok(bytes.into())
            }
        }
    }

    fn check_dropped(&self, driver: &TopologyDriver, outcome: &mut Outcome) {
        let Some(expected) = &self.case.dropped else { return };
        for reason in DropReason::ALL {
            let label = reason.label();
            let named = expected.iter().find(|(name, _)| name.text == label);
            let wanted = named.map_or(0, |(_, whole)| whole.value as u64);
            let place = named.map_or(&self.case.name.span, |(name, _)| &name.span);
            let counted = driver.counters().dropped_for(reason);
            if counted != wanted {
                let message = format!("expected {wanted} records to be dropped as `{label}`, {counted} were");
                self.report(outcome, place, &message);
            }
        }
    }
}

/// Holds the row of a key (timestamp and value) against what is expected of it.
fn check_row(expectation: &StoreExpectation, key: &Json, row: Option<(i64, Json)>) -> Vec<String> {
    let mut failures = Vec::new();
    let Some((timestamp, value)) = row else {
        if expectation.absent != Some(true) {
            failures.push(format!("there is no row {key}"));
        }
        return failures;
    };
    if expectation.absent == Some(true) {
        failures.push(format!("there is a row {key}: {value}"));
    }
    if let Some(expected) = &expectation.value
        && !super::compare::equal(&expected.json, &value)
    {
        failures.push(format!("the row {key} is not the one expected:\n{}", value_diff(&expected.json, &value)));
    }
    if let Some(moment) = expectation.timestamp
        && moment.0 != timestamp
    {
        failures.push(format!("the row {key} has the timestamp {timestamp}, expected {}", moment.0));
    }
    failures
}

fn input(record: &RecordSpec) -> InputRecord {
    InputRecord {
        topic: record.topic.text.clone(),
        partition: record.partition.as_ref().map(|whole| i32::try_from(whole.value).unwrap_or(i32::MAX)),
        key: record.key.as_ref().map(|key| key.json.clone()).unwrap_or_default(),
        value: record.value.as_ref().map(|value| value.json.clone()).unwrap_or_default(),
        value_base64: record.value_base64.as_ref().map(|text| text.text.clone()),
        timestamp: record.timestamp.map(|moment| moment.0),
        headers: record.headers.as_ref().map(|headers| headers.0.clone()).unwrap_or_default(),
    }
}

/// A key as it is written under `last`.
fn key_text(key: &Json) -> String {
    match key {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(records: &[&OutputRecord]) -> String {
    const SHOWN: usize = 20;
    let mut text: String =
        records.iter().take(SHOWN).map(|record| format!("    + {}\n", show_actual(record, None))).collect();
    if records.len() > SHOWN {
        text.push_str("    … more\n");
    }
    text
}
