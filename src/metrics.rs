//! Every metric's name, labels, unit and description; nothing else names one.
//!
//! Tasks add up locally in [`Counters`] and publish once per commit, so that a record costs no atomic
//! operation here.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is counted by ranges.
    Histogram,
}

/// A metric: what it is called, what its labels are, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its unit; `None`: things that its name says.
    pub unit: Option<Unit>,
    /// What it means.
    pub description: &'static str,
}

impl Metric {
    /// Sets a gauge. The values of the labels come in the order of their names.
    pub fn set(&self, values: &[&str], value: f64) {
        let name = self.name;
        gauge!(name, &self.labelled(values)).set(value);
    }

    /// Brings a counter to a value that somebody else counted.
    pub fn reach(&self, values: &[&str], value: u64) {
        let name = self.name;
        counter!(name, &self.labelled(values)).absolute(value);
    }

    fn add(&self, values: &[&str], value: u64) {
        let name = self.name;
        counter!(name, &self.labelled(values)).increment(value);
    }

    fn labelled(&self, values: &[&str]) -> Vec<(&'static str, String)> {
        self.labels.iter().zip(values).map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// Hands the description to the recorder that is installed.
    fn describe(&self) {
        let (name, unit) = (self.name, self.unit.unwrap_or(Unit::Count));
        match self.kind {
            MetricKind::Counter => describe_counter!(name, unit, self.description),
            MetricKind::Gauge => describe_gauge!(name, unit, self.description),
            MetricKind::Histogram => describe_histogram!(name, unit, self.description),
        }
    }
}

/// Defines metrics: a constant for each, and the table of all.
macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $unit:expr, $description:literal;)+) => {
        $(
            #[doc = $description]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                labels: &[$($label),*],
                unit: $unit,
                description: $description,
            };
        )+

        /// All metrics.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    RECORDS_IN: Counter "signalstream_records_in_total" ["application", "task"] None,
        "Records taken from inputs, internal topics included";
    RECORDS_OUT: Counter "signalstream_records_out_total" ["application", "task"] None,
        "Records written to topics, changelogs excluded";
    CHANGELOG_RECORDS: Counter "signalstream_changelog_records_total" ["application", "task"] None,
        "Records written to changelogs";
    DEAD_LETTERS: Counter "signalstream_dead_letters_total" ["application", "task"] None,
        "Records sent to the dead letter topic";
    RECORDS_DROPPED: Counter "signalstream_records_dropped_total" ["application", "task", "reason"] None,
        "Records dropped where semantics say so: `late`, `null_key`, `null_value`, `no_branch`, `duplicate`, `stale`, `skipped`";
    COMMIT_SECONDS: Histogram "signalstream_commit_seconds" ["application", "thread"] Some(Unit::Seconds),
        "How long a commit took";
    COMMITS: Counter "signalstream_commits_total" ["application", "thread"] None,
        "Commits, each one transaction of a thread";
    ABORTS: Counter "signalstream_transaction_aborts_total" ["application", "thread"] None,
        "Transactions that were aborted, their work undone and done again";
    REBALANCES: Counter "signalstream_rebalances_total" ["application", "thread"] None,
        "Changes of which tasks a thread owns";
    REJOINS: Counter "signalstream_rejoins_total" ["application", "thread"] None,
        "How often a thread was fenced or lost its tasks, and joined the group anew";
    FORCED_REBALANCES: Counter "signalstream_forced_rebalances_total" ["application"] None,
        "Rebalances that this process brought about because tasks had no owner while the group was at rest";
    REBUILDS: Counter "signalstream_state_rebuilds_total" ["application", "thread"] None,
        "Tasks whose state was built anew because it could not be used";
    THREAD_STATE: Gauge "signalstream_thread_state" ["application", "thread", "state"] None,
        "1 for what a thread is at: `starting`, `rebalancing`, `restoring`, `running`, `disconnected`, `stopped`";
    THREAD_TURN: Gauge "signalstream_thread_since_turn_seconds" ["application", "thread"] Some(Unit::Seconds),
        "How long ago a thread last came round; what grows hangs";
    TASKS: Gauge "signalstream_tasks" ["application", "state"] None,
        "Tasks of this process by what they are at: `waiting`, `restoring`, `running`, `closing`";
    LAG: Gauge "signalstream_lag_records" ["application", "task", "topic", "partition"] None,
        "Offsets of an input partition that are still to be processed";
    QUEUED: Gauge "signalstream_queued_records" ["application", "task", "topic", "partition"] None,
        "Records of an input partition that were fetched and wait";
    SCHEMAS_AWAITED: Gauge "signalstream_schemas_awaited" ["application"] None,
        "Schemas that records wait for because the schema registry has not answered yet";
    SCHEMA_WAIT: Gauge "signalstream_schema_wait_seconds" ["application"] Some(Unit::Seconds),
        "For how long records have waited for a schema, the longest wait of all";
    RESTORE_LEFT: Gauge "signalstream_restore_left_records" ["application", "task", "store"] None,
        "Offsets of a changelog that are still to be restored";
    RESTORE_RATE: Gauge "signalstream_restore_rate" ["application", "task", "store"] Some(Unit::CountPerSecond),
        "Changelog records restored per second";
    STORE_BYTES: Gauge "signalstream_store_bytes" ["application", "task", "store"] Some(Unit::Bytes),
        "Size of the files of a store";
    STATE_MEMORY: Gauge "signalstream_state_memory_bytes" ["application", "part"] Some(Unit::Bytes),
        "Memory of the stores: `block_cache`, `write_buffers`";
    PROCESS_MEMORY: Gauge "signalstream_process_resident_memory_bytes" [] Some(Unit::Bytes),
        "Memory of the process that is resident";
    UPTIME: Gauge "signalstream_uptime_seconds" [] Some(Unit::Seconds),
        "How long the process has run";
    BUILD_INFO: Gauge "signalstream_build_info" ["version"] None,
        "1; the version is the label";
}

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
    /// One like it had been kept shortly before.
    Duplicate,
    /// It answers a question that has been asked anew since: the row that asked has changed.
    Stale,
    /// It failed, and `on_error: skip` says to go on without it.
    Skipped,
}

impl DropReason {
    /// All reasons, in order.
    pub const ALL: [DropReason; 7] = [
        DropReason::Late,
        DropReason::NullKey,
        DropReason::NullValue,
        DropReason::NoBranch,
        DropReason::Duplicate,
        DropReason::Stale,
        DropReason::Skipped,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            DropReason::Late => "late",
            DropReason::NullKey => "null_key",
            DropReason::NullValue => "null_value",
            DropReason::NoBranch => "no_branch",
            DropReason::Duplicate => "duplicate",
            DropReason::Stale => "stale",
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
        let labels = [application, task];
        RECORDS_IN.add(&labels, self.records_in);
        RECORDS_OUT.add(&labels, self.records_out);
        CHANGELOG_RECORDS.add(&labels, self.changelog_records);
        DEAD_LETTERS.add(&labels, self.dead_letters);
        for reason in DropReason::ALL {
            let count = self.dropped_for(reason);
            if count > 0 {
                RECORDS_DROPPED.add(&[application, task, reason.label()], count);
            }
        }
    }
}

/// Records how long a commit took.
pub fn observe_commit(application: &str, thread: &str, seconds: f64) {
    let name = COMMIT_SECONDS.name;
    histogram!(name, &COMMIT_SECONDS.labelled(&[application, thread])).record(seconds);
}

/// Counts a rebalance that this process brings about.
pub fn count_forced_rebalance(application: &str) {
    FORCED_REBALANCES.add(&[application], 1);
}

/// Hands the descriptions of all metrics to the recorder that is installed.
pub fn describe() {
    METRICS.iter().for_each(Metric::describe);
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
