//! `signalstream drive`: lines of records in, lines of records out, in one deterministic run without a broker.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use crate::log::LogError;
use crate::testing::{DriverError, DriverOptions, InputLine, TopologyDriver, parse_line};
use crate::topology::TopicPattern;
use crate::topology::pattern;
use crate::topology::plan::Topology;

use super::Outcome;
use super::lines::{Lines, TwoPasses};
use super::load::{self, SchemaArguments};

/// Run a topology over lines of records, without a broker and deterministically
#[derive(Args)]
#[command(after_help = "\
Each line of input is a record or a step of the wall clock:
  {\"topic\": \"in\", \"key\": \"k\", \"value\": {\"n\": 1}, \"timestamp\": 5, \"partition\": 0, \"headers\": {\"h\": \"x\"}}
  {\"advance_wall_clock\": \"10s\"}
`partition` and `headers` may be left out; topics have one partition unless a line says otherwise; `value: null`
is a tombstone. Each line of output is {\"topic\", \"partition\", \"key\", \"value\", \"timestamp\", \"headers\"?}, in
order of emission. A broken line ends the run with its place on stderr and exit status 1.

Example:
  signalstream drive topologies/support-intelligence.yaml --input messages.jsonl --cache off | jq .value")]
pub(super) struct DriveCommand {
    /// The topology
    file: PathBuf,

    /// The lines; `-` is stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,

    /// Hand on aggregates and tables once per key and commit (on), or at every update (off)
    #[arg(long, default_value = "on")]
    cache: Switch,

    #[command(flatten)]
    schemas: SchemaArguments,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

impl DriveCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let loaded = load::topology(&self.file, &self.schemas)?;
        let mut input = TwoPasses::open(&self.input)?;
        let options = DriverOptions {
            caching: self.cache == Switch::On,
            partitions: partitions(&mut input.lines()?, &loaded.topology)?,
            ..DriverOptions::default()
        };
        let mut driver = TopologyDriver::new(Arc::new(loaded.topology), &loaded.schemas, options)?;
        let mut output = BufWriter::new(io::stdout().lock());
        let driven = drive(&mut driver, &mut input.lines()?, &mut output);
        // What came out before a broken line is shown before the error is.
        output.flush()?;
        driven.map(|()| Outcome::Success)
    }
}

/// How many partitions each topic has: one more than the highest that a line names. Topics that match a pattern are
/// there because a line names them. Ends at the first broken line, which the run then reports.
fn partitions(lines: &mut Lines, topology: &Topology) -> anyhow::Result<BTreeMap<String, i32>> {
    let patterns: Vec<TopicPattern> = pattern::patterns(topology).cloned().collect();
    let mut partitions = BTreeMap::new();
    while let Ok(Some(line)) = lines.next() {
        match parse_line(line) {
            Ok(Some(InputLine::Record(record))) => {
                if record.partition.is_some() || patterns.iter().any(|pattern| pattern.takes(&record.topic)) {
                    let count = partitions.entry(record.topic).or_insert(1);
                    *count = record.partition.unwrap_or(0).saturating_add(1).max(*count);
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(partitions)
}

fn drive(driver: &mut TopologyDriver, lines: &mut Lines, output: &mut impl Write) -> anyhow::Result<()> {
    let fed = feed(driver, lines, output);
    // What follows from the lines before a broken one is still to come out.
    if !matches!(&fed, Err(Ended::Driver(_))) {
        let finished = driver.finish();
        write_outputs(driver, output)?;
        if fed.is_ok() {
            finished?;
        }
    }
    match fed {
        Ok(()) => Ok(()),
        Err(Ended::Line(error) | Ended::Driver(error)) => Err(error),
    }
}

/// Why the lines were not all fed in.
enum Ended {
    /// A line is broken.
    Line(anyhow::Error),
    /// The topology stopped, or the output has no reader any more.
    Driver(anyhow::Error),
}

fn feed(driver: &mut TopologyDriver, lines: &mut Lines, output: &mut impl Write) -> Result<(), Ended> {
    while let Some(line) = lines.next().map_err(Ended::Line)? {
        let step = match parse_line(line) {
            Ok(None) => continue,
            Ok(Some(InputLine::Record(record))) => driver.pipe(&record),
            Ok(Some(InputLine::AdvanceWallClock(by))) => driver.advance_wall_clock(by),
            Err(error) => return Err(Ended::Line(anyhow!("{}: {error}", lines.place()))),
        };
        write_outputs(driver, output).map_err(|error| Ended::Driver(error.into()))?;
        step.map_err(|error| {
            let of_the_line = is_of_the_line(&error);
            let error = anyhow::Error::new(error).context(lines.place());
            if of_the_line { Ended::Line(error) } else { Ended::Driver(error) }
        })?;
    }
    Ok(())
}

fn is_of_the_line(error: &DriverError) -> bool {
    matches!(
        error,
        DriverError::UnknownTopic { .. }
            | DriverError::UnknownPartition { .. }
            | DriverError::Encode { .. }
            | DriverError::Base64(_)
            | DriverError::Log(LogError::RecordTooLarge { .. })
    )
}

fn write_outputs(driver: &mut TopologyDriver, output: &mut impl Write) -> io::Result<()> {
    for record in driver.take_outputs() {
        writeln!(output, "{}", record.to_json())?;
    }
    Ok(())
}
