//! Settings from variables of the environment: `SIGNALSTREAM_` and the setting's name in capitals, with `_` for each
//! dot. `SIGNALSTREAM_KAFKA_SASL_USERNAME` is the property `sasl.username` of the Kafka client.

use std::collections::BTreeMap;

use super::load::{Assignment, ConfigError, KAFKA, Origin};
use super::{SETTINGS, Setting};
use crate::yaml::nearest;

/// What the names of all variables start with.
pub(super) const PREFIX: &str = "SIGNALSTREAM_";

/// Variables that have another meaning.
const OTHERS: [&str; 1] = ["SIGNALSTREAM_CONFIG"];

/// The settings that the environment gives. A variable that is empty counts as none: so a deployment's template can
/// leave one open.
pub(super) fn read(environment: &BTreeMap<String, String>) -> Result<Vec<Assignment>, ConfigError> {
    let mut assignments = Vec::new();
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        if value.is_empty() || OTHERS.contains(&variable.as_str()) {
            continue;
        }
        let name = match (SETTINGS.iter().find(|setting| setting.variable() == *variable), rest.split_once('_')) {
            (Some(setting), _) => setting.name().to_owned(),
            (None, Some(("KAFKA", property))) if !property.is_empty() => {
                format!("{KAFKA}.{}", property.replace('_', ".").to_lowercase())
            }
            _ => match mistaken(rest) {
                Some(near) => {
                    let problem = format!("this sets nothing; did you mean `{near}`?");
                    return Err(ConfigError::Value { origin: variable.clone(), problem });
                }
                // Others may use the prefix too: Kubernetes does, for a service of the name.
                None => continue,
            },
        };
        let origin = Origin::Environment(variable.clone());
        assignments.push(Assignment { name, text: value.clone(), origin });
    }
    Ok(assignments)
}

/// The variable that was probably meant.
fn mistaken(rest: &str) -> Option<String> {
    let variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let names = variables.iter().filter_map(|variable| variable.strip_prefix(PREFIX));
    nearest(rest, names).map(|near| format!("{PREFIX}{near}"))
}
