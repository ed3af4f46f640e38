//! The command line: one file per command, each a structure of arguments and what it does with them.
//!
//! Results go to stdout, everything else (progress, logs, errors) to stderr. The exit status is 0 for success,
//! 1 for a failed check or run, 2 for wrong usage. A reader of stdout that goes away ends a command quietly.

mod builtin;
mod consume;
mod demo;
mod deployment;
mod describe;
mod drive;
mod embedded;
mod failure;
mod feeder;
mod files;
mod formats;
mod lines;
mod load;
mod logging;
mod output;
mod produce;
mod records;
mod reset;
mod run;
mod schema;
mod schemas;
mod signals;
mod stores;
mod test;
mod topics;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::processor::Processors;

/// What a command found: the exit status of one that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Exit status 0.
    Success,
    /// A check did not pass: exit status 1.
    Failed,
}

impl Outcome {
    fn of(passed: bool) -> Outcome {
        if passed { Outcome::Success } else { Outcome::Failed }
    }
}

const EXAMPLES: &str = "\
Examples:
  signalstream demo
      Sample conversations become joined, redacted, summarised intelligence.
  signalstream validate topologies/support-intelligence.yaml
      Every mistake of a topology, with its place and what would be right.
  signalstream run topologies/support-intelligence.yaml --embedded ./data
      Run a topology on a log in a directory, until Ctrl-C.
  signalstream consume support.ai.aggregated --embedded ./data --from-beginning
      What came out, as lines of JSON.

Exit status: 0 success, 1 a failed check or run, 2 wrong usage.";

/// Stream processing whose topologies are YAML files.
#[derive(Parser)]
#[command(
    name = "signalstream",
    version,
    about,
    after_help = EXAMPLES,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
struct Cli {
    #[command(flatten)]
    logging: logging::LoggingArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoCommand),
    Run(run::RunCommand),
    Drive(drive::DriveCommand),
    Validate(validate::ValidateCommand),
    Describe(describe::DescribeCommand),
    Test(test::TestCommand),
    Schema(schema::SchemaCommand),
    Schemas(schemas::SchemasCommand),
    Topics(topics::TopicsCommand),
    Produce(produce::ProduceCommand),
    Consume(consume::ConsumeCommand),
    Stores(stores::StoresCommand),
    Reset(reset::ResetCommand),
}

impl Command {
    fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Command::Demo(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Drive(command) => command.run(),
            Command::Validate(command) => command.run(),
            Command::Describe(command) => command.run(),
            Command::Test(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Schemas(command) => command.run(),
            Command::Topics(command) => command.run(),
            Command::Produce(command) => command.run(),
            Command::Consume(command) => command.run(),
            Command::Stores(command) => command.run(),
            Command::Reset(command) => command.run(),
        }
    }
}

/// Runs the command that the process was started with, and says what became of it.
pub fn main() -> ExitCode {
    main_with(Processors::new())
}

/// As [`main`], for a program that has processors of its own: all commands know them, so that `validate`, `test`, `drive`
/// and `run` take topologies that name them.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use signalstream::processor::{
///     Blueprint, Context, Processor, ProcessorError, ProcessorSupplier, Processors, Record, Request,
/// };
///
/// /// Drops every other record.
/// #[derive(Default)]
/// struct Halve(bool);
///
/// impl Processor for Halve {
///     fn process(&mut self, record: Record, context: &mut Context<'_>) -> Result<(), ProcessorError> {
///         self.0 = !self.0;
///         if self.0 {
///             context.forward(record)?;
///         }
///         Ok(())
///     }
/// }
///
/// struct Halving;
///
/// impl ProcessorSupplier for Halving {
///     fn name(&self) -> &str {
///         "halve"
///     }
///
///     fn plan(&self, _request: &Request) -> Result<Blueprint, ProcessorError> {
///         Ok(Blueprint::new(Halve::default))
///     }
/// }
///
/// fn main() -> ExitCode {
///     signalstream::cli::main_with(Processors::new().with(Halving))
/// }
/// ```
pub fn main_with(processors: Processors) -> ExitCode {
    load::register(processors);
    let cli = Cli::parse();
    if let Err(error) = cli.logging.start() {
        return failure::report(&error);
    }
    match cli.command.run() {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => failure::report(&error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_of_the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_what_it_is() {
        fn undocumented(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            if command.get_about().is_none() {
                found.push(path.clone());
            }
            let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
            found.extend(arguments.map(|argument| format!("{path} {}", argument.get_id())));
            command.get_subcommands().for_each(|command| undocumented(command, &path, found));
        }
        let mut found = Vec::new();
        undocumented(&Cli::command(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
