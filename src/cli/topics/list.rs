//! `signalstream topics list` and `topics describe`.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value as Json, json};

use crate::log::{LogConsumer, LogError, TopicConfig};
use crate::record::TopicPartition;
use crate::time::format_duration;
use crate::topology::plan::Topology;
use crate::topology::requirements::cleanup;

use super::super::Outcome;
use super::super::deployment::Deployment;
use super::super::output::{OutputFormat, grouped, nearest, table};
use super::catalogue::Catalogue;
use super::retention;

#[derive(Args)]
pub(super) struct DescribeArguments {
    /// The topic
    topic: String,
}

pub(super) fn run(deployment: &Deployment, topologies: &[Topology], output: OutputFormat) -> anyhow::Result<Outcome> {
    let log = deployment.open_reader()?;
    let consumer = log.consumer(None)?;
    let mut topics = Vec::new();
    for (name, config) in log.admin().topics()? {
        let offsets = offsets(consumer.as_ref(), &name, &config)?;
        topics.push((name, config, offsets));
    }
    let names = || topics.iter().map(|(name, ..)| name.as_str());
    let catalogue = Catalogue::of(topologies, names());
    let mut stdout = io::stdout().lock();
    if output == OutputFormat::Json {
        let topic = |(name, config, offsets): &(String, TopicConfig, Vec<(i64, i64)>)| {
            let mut json = as_json(name, config, offsets);
            if !topologies.is_empty() {
                json["catalogue"] = catalogue.to_json(name);
            }
            json
        };
        let topics: Vec<Json> = topics.iter().map(topic).collect();
        writeln!(stdout, "{:#}", Json::from(topics))?;
        return Ok(Outcome::Success);
    }
    let mut table = table(&["TOPIC", "PARTITIONS", "CLEANUP", "RETENTION", "RECORDS", "OFFSETS"], &[1, 4]);
    for (name, config, offsets) in &topics {
        let records: i64 = offsets.iter().map(|(first, end)| end - first).sum();
        let offsets: Vec<String> = offsets.iter().map(|(first, end)| format!("{first}..{end}")).collect();
        table.add_row([
            name.clone(),
            config.partitions.to_string(),
            cleanup(config).to_owned(),
            retention(config),
            grouped(records.unsigned_abs()),
            offsets.join(" "),
        ]);
    }
    writeln!(stdout, "{}", table.trim_fmt())?;
    if let Some(table) = catalogue.table(names()) {
        writeln!(stdout, "\n{}", table.trim_fmt())?;
    }
    Ok(Outcome::Success)
}

impl DescribeArguments {
    pub(super) fn run(&self, deployment: &Deployment, output: OutputFormat) -> anyhow::Result<Outcome> {
        let log = deployment.open_reader()?;
        let topics = log.admin().topics()?;
        let Some(config) = topics.get(&self.topic) else {
            let known: Vec<&str> = topics.keys().map(String::as_str).collect();
            let hint = nearest(&self.topic, &known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            return Err(LogError::UnknownTopic { topic: self.topic.clone(), hint }.into());
        };
        let offsets = offsets(log.consumer(None)?.as_ref(), &self.topic, config)?;
        let mut stdout = io::stdout().lock();
        if output == OutputFormat::Json {
            writeln!(stdout, "{:#}", as_json(&self.topic, config, &offsets))?;
            return Ok(Outcome::Success);
        }
        let time = |time: Option<i64>| time.map_or_else(|| "default".to_owned(), format_duration);
        let mut properties = table(&["PROPERTY", "VALUE"], &[]);
        for (property, value) in [
            ("partitions", config.partitions.to_string()),
            ("cleanup.policy", cleanup(config).to_owned()),
            ("retention.ms", retention(config)),
            ("delete.retention.ms", format_duration(config.delete_retention)),
            ("max.compaction.lag.ms", time(config.max_compaction_lag)),
            ("segment.ms", time(config.segment)),
        ] {
            properties.add_row([property.to_owned(), value]);
        }
        let mut partitions = table(&["PARTITION", "FIRST OFFSET", "END OFFSET"], &[0, 1, 2]);
        for (partition, (first, end)) in offsets.iter().enumerate() {
            partitions.add_row([partition.to_string(), first.to_string(), end.to_string()]);
        }
        writeln!(stdout, "{}\n\n{}", properties.trim_fmt(), partitions.trim_fmt())?;
        Ok(Outcome::Success)
    }
}

/// First and end offset of each partition.
fn offsets(consumer: &dyn LogConsumer, topic: &str, config: &TopicConfig) -> anyhow::Result<Vec<(i64, i64)>> {
    let partition = |partition| {
        let partition = TopicPartition::new(topic, partition);
        Ok((consumer.beginning_offset(&partition)?, consumer.end_offset(&partition)?))
    };
    (0..config.partitions).map(partition).collect()
}

fn as_json(name: &str, config: &TopicConfig, offsets: &[(i64, i64)]) -> Json {
    let partitions: Vec<Json> = offsets
        .iter()
        .enumerate()
        .map(|(partition, (first, end))| json!({ "partition": partition, "first_offset": first, "end_offset": end }))
        .collect();
    json!({
        "topic": name,
        "compacted": config.compacted,
        "retention_ms": config.retention,
        "delete_retention_ms": config.delete_retention,
        "max_compaction_lag_ms": config.max_compaction_lag,
        "segment_ms": config.segment,
        "records": offsets.iter().map(|(first, end)| end - first).sum::<i64>(),
        "partitions": partitions,
    })
}
