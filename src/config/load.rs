//! Puts the settings together: defaults, file, environment, command line.

use std::collections::BTreeMap;
use std::fmt;

use super::secret::{HIDDEN, References, has_reference, is_secret};
use super::{Config, SETTINGS, Setting, environment, file};
use crate::yaml::{Diagnostics, Problems, nearest};

/// The section whose entries go to the Kafka client.
pub(super) const KAFKA: &str = "kafka";

/// Where the value of a setting comes from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration's file.
    File {
        /// Its name.
        name: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// An option of the command line.
    Flag(String),
}

impl Origin {
    /// How strong it is, whatever file, variable or option it names.
    pub fn strength(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Environment(variable) => f.write_str(variable),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A setting that the command line gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The setting, or `kafka.` and a property.
    pub setting: String,
    /// Its value.
    pub value: String,
    /// The option, for messages.
    pub flag: String,
}

/// Where settings come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The configuration's file: its name and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// The variables of the environment.
    pub environment: &'a BTreeMap<String, String>,
    /// What the command line says; later ones replace earlier ones.
    pub flags: &'a [Flag],
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file has mistakes; all are named.
    #[error(transparent)]
    File(#[from] Diagnostics),
    /// A variable of the environment, or an option, says something that cannot be.
    #[error("{origin}: {problem}")]
    Value {
        /// The variable or option.
        origin: String,
        /// What is wrong and what to write.
        problem: String,
    },
}

/// A value that somebody gave a setting.
pub(super) struct Assignment {
    /// The setting, or `kafka.` and a property.
    pub(super) name: String,
    /// The value as it was written.
    pub(super) text: String,
    /// Who gave it.
    pub(super) origin: Origin,
}

/// The settings that hold, and where each comes from. Its `Debug` hides secrets, as [`Effective::shown`] does.
#[derive(Clone)]
pub struct Effective {
    /// The settings.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
    /// Values that were given as references, as they were written.
    references: BTreeMap<String, String>,
}

/// A setting as it is shown to people: secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its value, or what stands for it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Effective {
    /// Puts the settings together.
    ///
    /// # Errors
    /// All mistakes of the file, or the first of the environment or command line.
    pub fn load(sources: &Sources<'_>) -> Result<Effective, ConfigError> {
        let mut effective =
            Effective { config: Config::default(), origins: BTreeMap::new(), references: BTreeMap::new() };
        let references = References { environment: sources.environment };
        if let Some((name, text)) = sources.file {
            let mut problems = Problems::new(text);
            file::read(name, text, &mut problems, |assignment| effective.assign(assignment, &references));
            if let Some(diagnostics) = problems.finish(name) {
                return Err(diagnostics.into());
            }
        }
        let flags = sources.flags.iter().map(|flag| Assignment {
            name: flag.setting.clone(),
            text: flag.value.clone(),
            origin: Origin::Flag(flag.flag.clone()),
        });
        for assignment in environment::read(sources.environment)?.into_iter().chain(flags) {
            let origin = assignment.origin.to_string();
            effective.assign(assignment, &references).map_err(|problem| ConfigError::Value { origin, problem })?;
        }
        Ok(effective)
    }

    fn assign(&mut self, assignment: Assignment, references: &References<'_>) -> Result<(), String> {
        let Assignment { name, text, origin } = assignment;
        let value = references.resolve(&text)?;
        match (name.strip_prefix("kafka."), Setting::find(&name)) {
            (Some(property), _) => self.config.kafka.set(property, value),
            (None, Some(setting)) => setting.set(&mut self.config, &value).map_err(|problem| {
                // What a reference led to may be a secret in the wrong place.
                if has_reference(&text) { format!("what `{text}` leads to is no value of `{name}`") } else { problem }
            })?,
            (None, None) => return Err(unknown(&name)),
        }
        match has_reference(&text) {
            true => self.references.insert(name.clone(), text),
            false => self.references.remove(&name),
        };
        self.origins.insert(name, origin);
        Ok(())
    }

    /// Where the value of a setting comes from.
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }

    /// All settings and the Kafka client's properties, for people: the values of secret properties, and what
    /// references led to, are hidden.
    pub fn shown(&self) -> Vec<Shown> {
        let settings = SETTINGS.iter().map(|setting| (setting.name().to_owned(), setting.shown(&self.config)));
        let properties = self.config.kafka.iter().map(|(name, value)| (format!("{KAFKA}.{name}"), value.to_owned()));
        let shown = |(name, value): (String, String)| {
            let value = match self.references.get(&name) {
                Some(reference) => format!("{HIDDEN} from {}", hidden_but_references(reference)),
                None if is_secret(&name) => HIDDEN.to_owned(),
                None => value,
            };
            Shown { origin: self.origin(&name).clone(), name, value }
        };
        settings.chain(properties).map(shown).collect()
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown()).finish()
    }
}

/// The references of a text; what stands around them may be a part of a secret.
fn hidden_but_references(text: &str) -> String {
    let starts = text.replace("$${", "");
    let found = starts.split("${").skip(1).filter_map(|part| part.split_once('}'));
    found.map(|(reference, _)| format!("${{{reference}}}")).collect::<Vec<_>>().join(" ")
}

/// Says that there is no such setting, with the nearest one.
pub(super) fn unknown(name: &str) -> String {
    let near = nearest(name, SETTINGS.iter().map(Setting::name));
    let near = near.map_or_else(
        || "; `signalstream schema --config` names all; properties of the Kafka client start with `kafka.`".to_owned(),
        |near| format!("; did you mean `{near}`?"),
    );
    format!("there is no setting `{name}`{near}")
}
