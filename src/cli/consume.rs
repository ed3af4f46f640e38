//! `signalstream consume`: the records of a topic as lines of JSON.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use crate::log::{Log, LogConsumer, LogError};
use crate::record::TopicPartition;

use super::Outcome;
use super::deployment::LogArguments;
use super::formats::FormatArguments;
use super::output::nearest;
use super::records::RecordReader;
use super::signals::StopRequest;

/// How many records one fetch brings.
const FETCH_RECORDS: usize = 500;
/// How long a fetch waits for news before it looks whether to stop.
const FETCH_TIMEOUT: Duration = Duration::from_millis(200);

/// Show the records of a topic as lines of JSON
#[derive(Args)]
#[command(after_help = "\
With --from-beginning the records that there are, else those that come from now on. Each line is {\"topic\",
\"partition\", \"offset\", \"timestamp\", \"key\", \"value\", \"headers\"?}; what cannot be read has \"error\" and \"value_base64\"
instead of \"value\". Records of transactions that are open are not shown; an embedded log is read beside the process
that runs on it.

Examples:
  signalstream consume support.ai.aggregated --embedded ./data --from-beginning --max 5
  signalstream consume support.dlq --embedded ./data --follow | jq .value.error_message
  signalstream consume shop.spent --topology shop.yaml --bootstrap-servers localhost:9092 --from-beginning")]
pub(super) struct ConsumeCommand {
    /// The topic
    topic: String,

    #[command(flatten)]
    log: LogArguments,

    /// Start with the first record that is still there, and end with the last unless --follow says otherwise
    #[arg(long)]
    from_beginning: bool,

    /// Wait for more records, until Ctrl-C; always so without --from-beginning
    #[arg(long)]
    follow: bool,

    /// Stop after this many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,

    /// Only this partition
    #[arg(long, value_name = "P")]
    partition: Option<i32>,

    #[command(flatten)]
    formats: FormatArguments,
}

impl ConsumeCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let deployment = self.log.deployment()?;
        let log = deployment.open_reader()?;
        let reader = self.formats.load(deployment.config())?.reader(&self.topic)?;
        let mut consumer = log.consumer(None)?;
        let mut ends = Vec::new();
        for partition in self.partitions(log.as_ref())? {
            let end = consumer.end_offset(&partition)?;
            let start = if self.from_beginning { consumer.beginning_offset(&partition)? } else { end };
            consumer.assign(&partition, start)?;
            ends.push((partition, end));
        }
        self.show(consumer.as_mut(), &reader, &ends)?;
        Ok(Outcome::Success)
    }

    fn partitions(&self, log: &dyn Log) -> anyhow::Result<Vec<TopicPartition>> {
        let topics = log.admin().topics()?;
        let Some(config) = topics.get(&self.topic) else {
            let known: Vec<&str> = topics.keys().map(String::as_str).collect();
            let hint = nearest(&self.topic, &known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            return Err(LogError::UnknownTopic { topic: self.topic.clone(), hint }.into());
        };
        match self.partition {
            None => Ok((0..config.partitions).map(|n| TopicPartition::new(self.topic.as_str(), n)).collect()),
            Some(n) if (0..config.partitions).contains(&n) => Ok(vec![TopicPartition::new(self.topic.as_str(), n)]),
            Some(n) => {
                let (topic, partitions) = (&self.topic, config.partitions);
                Err(anyhow!("`{topic}` has {partitions} partitions; there is no partition {n}"))
            }
        }
    }

    fn show(
        &self,
        consumer: &mut dyn LogConsumer,
        reader: &RecordReader,
        ends: &[(TopicPartition, i64)],
    ) -> anyhow::Result<()> {
        let stop = StopRequest::listen()?;
        let follow = self.follow || !self.from_beginning;
        let mut left = self.max.unwrap_or(u64::MAX);
        let mut stdout = BufWriter::new(io::stdout().lock());
        while left > 0 && !stop.is_set() {
            let at_end = |(partition, end): &(TopicPartition, i64)| {
                consumer.position(partition).is_none_or(|position| position >= *end)
            };
            if !follow && ends.iter().all(at_end) {
                break;
            }
            for batch in consumer.poll(FETCH_RECORDS, FETCH_TIMEOUT)?.batches {
                let end = ends.iter().find(|(partition, _)| *partition == batch.partition).map(|(_, end)| *end);
                for record in &batch.records {
                    // What was written after the start is not part of "what there is".
                    let beyond = !follow && end.is_some_and(|end| record.offset >= end);
                    if left == 0 || beyond {
                        break;
                    }
                    left -= 1;
                    writeln!(stdout, "{}", reader.line(&batch.partition, record))?;
                }
            }
            stdout.flush()?;
        }
        Ok(())
    }
}
