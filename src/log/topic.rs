//! What makes a topic possible, and in what two descriptions of one differ; for every log.

use super::{LogError, Result, TopicConfig};
use crate::time::format_duration;

/// The most partitions that a topic may have.
const MAX_PARTITIONS: i32 = 10_000;

/// The longest name of a topic, as in Kafka.
const MAX_NAME: usize = 249;

/// Refuses a topic that cannot be, whatever the log.
pub(super) fn check_topic(topic: &str, config: &TopicConfig) -> Result<()> {
    let invalid = |detail: String| Err(LogError::InvalidTopic { topic: topic.to_owned(), detail });
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || topic.len() > MAX_NAME || matches!(topic, "." | "..") || !topic.chars().all(legal) {
        return invalid(format!("a name has 1 to {MAX_NAME} letters, digits, `.`, `_` or `-`"));
    }
    if !(1..=MAX_PARTITIONS).contains(&config.partitions) {
        return invalid(format!("{} partitions; there may be 1 to {MAX_PARTITIONS}", config.partitions));
    }
    if config.retention.unwrap_or(0) < 0 || config.delete_retention < 0 {
        return invalid("a retention cannot be negative".to_owned());
    }
    Ok(())
}

/// How a topic's configuration differs from the one wanted, as text.
pub(super) fn difference(has: &TopicConfig, wanted: &TopicConfig) -> Option<String> {
    let retention = |retention: Option<i64>| retention.map_or("no limit".to_owned(), format_duration);
    let policy = |compacted| if compacted { "compacted" } else { "not compacted" };
    let (has, wanted) = if has.partitions != wanted.partitions {
        (format!("{} partitions", has.partitions), wanted.partitions.to_string())
    } else if has.retention != wanted.retention {
        (format!("a retention of {}", retention(has.retention)), retention(wanted.retention))
    } else if has.compacted != wanted.compacted {
        (format!("cleanup {}", policy(has.compacted)), policy(wanted.compacted).to_owned())
    } else if has.delete_retention != wanted.delete_retention {
        let text = format_duration(has.delete_retention);
        (format!("a retention of tombstones of {text}"), format_duration(wanted.delete_retention))
    } else {
        let delays = [
            ("a compaction lag", has.max_compaction_lag, wanted.max_compaction_lag),
            ("segments", has.segment, wanted.segment),
        ];
        // What is not asked for may be anything.
        let (name, has, wanted) = delays.into_iter().find(|(_, has, wanted)| wanted.is_some() && has != wanted)?;
        let text = |delay: Option<i64>| delay.map_or("the log's default".to_owned(), format_duration);
        (format!("{name} of {}", text(has)), text(wanted))
    };
    Some(format!("it has {has}, not {wanted}; change what is asked for, or delete the topic"))
}
