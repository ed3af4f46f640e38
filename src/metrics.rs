//! Every metric's name, labels, unit and description; nothing else names one.
//!
//! Tasks add up locally in [`Counters`] and publish once per commit, so that a record costs no atomic
//! operation here.

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// Why a record was dropped where the semantics of an operator say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// Its window had closed: the window's end and grace had passed in stream time.
    Late,
    /// Its key was null where the operator needs one.
    NullKey,
    /// Its value was null where the operator needs one.
    NullValue,
    /// No branch took it.
    NoBranch,
    /// It failed, and `on_error: skip` says to go on without it.
    Skipped,
}

impl DropReason {
    /// All reasons, in order.
    pub const ALL: [DropReason; 5] =
        [DropReason::Late, DropReason::NullKey, DropReason::NullValue, DropReason::NoBranch, DropReason::Skipped];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            DropReason::Late => "late",
            DropReason::NullKey => "null_key",
            DropReason::NullValue => "null_value",
            DropReason::NoBranch => "no_branch",
            DropReason::Skipped => "skipped",
        }
    }
}

/// What a task counted since it last published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records taken from input partitions, internal topics included.
    pub records_in: u64,
    /// Records written to topics, changelogs excluded.
    pub records_out: u64,
    /// Records written to changelogs.
    pub changelog_records: u64,
    /// Records sent to the dead letter topic.
    pub dead_letters: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Counts a dropped record.
    pub fn dropped(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    /// How many records were dropped for a reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Adds another task's or commit's counts.
    pub fn add(&mut self, other: &Counters) {
        self.records_in += other.records_in;
        self.records_out += other.records_out;
        self.changelog_records += other.changelog_records;
        self.dead_letters += other.dead_letters;
        for (mine, theirs) in self.dropped.iter_mut().zip(other.dropped) {
            *mine += theirs;
        }
    }

    /// Publishes the counts under the application's and task's labels.
    pub fn publish(&self, application: &str, task: &str) {
        let labels = [("application", application.to_owned()), ("task", task.to_owned())];
        counter!("signalstream_records_in_total", &labels).increment(self.records_in);
        counter!("signalstream_records_out_total", &labels).increment(self.records_out);
        counter!("signalstream_changelog_records_total", &labels).increment(self.changelog_records);
        counter!("signalstream_dead_letters_total", &labels).increment(self.dead_letters);
        for reason in DropReason::ALL {
            let count = self.dropped_for(reason);
            if count > 0 {
                let reason = ("reason", reason.label().to_owned());
                let labels = [labels[0].clone(), labels[1].clone(), reason];
                counter!("signalstream_records_dropped_total", &labels).increment(count);
            }
        }
    }
}

/// Records how long a commit took.
pub fn observe_commit(application: &str, thread: &str, seconds: f64) {
    let labels = [("application", application.to_owned()), ("thread", thread.to_owned())];
    histogram!("signalstream_commit_seconds", &labels).record(seconds);
}

/// Hands the descriptions of all metrics to the recorder that is installed.
pub fn describe() {
    describe_counter!("signalstream_records_in_total", "Records taken from input partitions");
    describe_counter!("signalstream_records_out_total", "Records written to topics, changelogs excluded");
    describe_counter!("signalstream_changelog_records_total", "Records written to changelog topics");
    describe_counter!("signalstream_dead_letters_total", "Records sent to the dead letter topic");
    describe_counter!("signalstream_records_dropped_total", "Records dropped where semantics say so, by reason");
    describe_histogram!("signalstream_commit_seconds", metrics::Unit::Seconds, "Duration of a commit");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_reason() {
        let mut total = Counters::default();
        let mut task = Counters::default();
        task.dropped(DropReason::Late);
        task.dropped(DropReason::Late);
        task.dropped(DropReason::NullKey);
        total.add(&task);
        total.add(&task);
        assert_eq!(total.dropped_for(DropReason::Late), 4);
        assert_eq!(total.dropped_for(DropReason::NullKey), 2);
        assert_eq!(total.dropped_for(DropReason::Skipped), 0);
    }
}
