//! `signalstream produce`: lines of JSON into a topic, in its formats.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::Value as Json;

use crate::log::{LogAdmin, LogError, TopicConfig};
use crate::testing::InputRecord;
use crate::time::{Clock, SystemClock};

use super::Outcome;
use super::deployment::LogArguments;
use super::embedded::Memory;
use super::feeder::Feeder;
use super::formats::{FormatArguments, Formats};
use super::lines::Lines;
use super::output::{grouped, progress_bar};
use super::records::RecordWriter;

/// Write lines of JSON to a topic
#[derive(Args)]
#[command(after_help = "\
Each line is {\"key\", \"value\", \"timestamp\"?, \"partition\"?, \"headers\"?}; the timestamp defaults to now, the partition
to the one that the key goes to. Values are written as the topology says, in Avro for most topics of the support
topology, which is known without --topology. Records go in transactions of up to 500; a broken line ends the
command and drops the transaction that it would have been in.

Examples:
  signalstream produce support.messages.raw --embedded ./data --input messages.jsonl
  signalstream produce shop.orders --topology shop.yaml --bootstrap-servers localhost:9092 --input orders.jsonl")]
pub(super) struct ProduceCommand {
    /// The topic
    topic: String,

    #[command(flatten)]
    log: LogArguments,

    /// The lines; `-` is stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,

    /// Create a topic that does not exist with this many partitions, whatever the topology says. On Kafka no topic is
    /// created otherwise, unless the setting `topics.create` is `all`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    partitions: Option<i32>,

    /// Register the schemas of the topic that the registry does not have yet; also done where the setting
    /// `schema_registry.auto_register` is given as `on`
    #[arg(long)]
    register_schemas: bool,

    #[command(flatten)]
    formats: FormatArguments,
}

impl ProduceCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let deployment = self.log.deployment()?;
        let formats = self.formats.load(deployment.config())?;
        let serde = formats.writer(&self.topic, self.register_schemas || deployment.registers_schemas())?;
        let mut lines = Lines::open(&self.input)?;
        let log = deployment.open_log(&Memory::small())?;
        let partitions = self.prepare_topic(log.admin().as_ref(), &formats, deployment.creates_topics())?;
        let mut writer = RecordWriter::new(&self.topic, partitions, serde);
        let mut feeder = Feeder::new(log.as_ref(), &transactional_id())?;
        let written = self.write(&mut lines, &mut writer, &mut feeder);
        let committed = feeder.committed();
        if let Err(error) = written {
            let dropped = feeder.abort()?;
            let (topic, name) = (&self.topic, lines.name());
            return Err(anyhow!(
                "{error:#}; {committed} records of {name} before it were written to `{topic}`, the {dropped} after those were not"
            ));
        }
        writeln!(io::stderr(), "{} records written to `{}`", grouped(committed), self.topic)?;
        Ok(Outcome::Success)
    }

    /// Makes sure that the topic is there and returns its number of partitions.
    fn prepare_topic(&self, admin: &dyn LogAdmin, formats: &Formats, creates: bool) -> anyhow::Result<i32> {
        if let Some(existing) = admin.topics()?.get(&self.topic) {
            return Ok(existing.partitions);
        }
        let known = formats.config(&self.topic).filter(|_| creates || self.partitions.is_some()).cloned();
        let config = match (known, self.partitions) {
            (Some(config), Some(partitions)) => TopicConfig { partitions, ..config },
            (Some(config), None) => TopicConfig { partitions: config.partitions.max(1), ..config },
            (None, Some(partitions)) => TopicConfig::new(partitions),
            (None, None) => {
                let hint = "; create it with `signalstream topics apply`, or give --partitions".to_owned();
                return Err(LogError::UnknownTopic { topic: self.topic.clone(), hint }.into());
            }
        };
        admin.create_topic(&self.topic, &config)?;
        Ok(config.partitions)
    }

    fn write(&self, lines: &mut Lines, writer: &mut RecordWriter, feeder: &mut Feeder) -> anyhow::Result<()> {
        let clock = SystemClock::new();
        let progress = progress_bar(0, "writing");
        while let Some(line) = lines.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let record = parse(line, &self.topic)
                .and_then(|record| writer.record(&record, clock.now()))
                .with_context(|| lines.place())?;
            if feeder.send(record).with_context(|| lines.place())? {
                progress.set_position(feeder.committed());
            }
        }
        feeder.commit()?;
        progress.finish_and_clear();
        Ok(())
    }
}

/// A name of its own: two that write at the same time must not take each other for its successor.
fn transactional_id() -> String {
    format!("signalstream-produce-{}-{}", std::process::id(), SystemClock::new().now())
}

/// Reads a line; what `consume` writes is understood too.
fn parse(line: &str, topic: &str) -> anyhow::Result<InputRecord> {
    let mut json: Json = serde_json::from_str(line).map_err(|error| anyhow!("this is not JSON: {error}"))?;
    let fields = json.as_object_mut().ok_or_else(|| anyhow!("a line is an object with `key` and `value`"))?;
    fields.shift_remove("offset");
    match fields.get("topic") {
        None => {
            fields.insert("topic".to_owned(), topic.into());
        }
        Some(other) if other.as_str() == Some(topic) => {}
        Some(other) => return Err(anyhow!("the line is for topic {other}, not for `{topic}`")),
    }
    let record: InputRecord = serde_json::from_value(json)?;
    if record.partition.is_some_and(|partition| partition < 0) {
        return Err(anyhow!("a partition cannot be negative"));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_need_not_name_the_topic_but_must_not_name_another() {
        assert_eq!(parse(r#"{"key": "k", "value": 1}"#, "t").unwrap().topic, "t");
        assert_eq!(parse(r#"{"topic": "t", "offset": 4, "key": "k", "value": 1}"#, "t").unwrap().topic, "t");
        let error = parse(r#"{"topic": "other", "key": "k", "value": 1}"#, "t").unwrap_err();
        assert_eq!(error.to_string(), "the line is for topic \"other\", not for `t`");
        for line in ["{", "[]", r#"{"surprise": 1}"#, r#"{"partition": -1}"#] {
            assert!(parse(line, "t").is_err(), "{line}");
        }
    }
}
