//! What came out, as kcat reads it, against what must.

use std::collections::BTreeMap;

use crate::harness::{Isolation, Kcat};
use crate::workload::{ENRICHED, Event, PER_ACCOUNT, PER_REGION, Total, Totals, Workload, region_of};

/// How many differences are told.
const TOLD: usize = 10;

/// The results so far, and what is wrong with them whatever may still come.
#[derive(Default)]
pub(crate) struct Results {
    per_account: Totals,
    per_region: Totals,
    /// How often each event came out of the join.
    enriched: Vec<u8>,
    wrong: Vec<String>,
}

impl Results {
    /// Reads all output topics in read-committed mode.
    pub(crate) fn read(kcat: &Kcat, workload: &Workload) -> Results {
        let mut results =
            Results { enriched: vec![0; usize::try_from(workload.events).unwrap()], ..Results::default() };
        results.per_account = results.totals(kcat, PER_ACCOUNT);
        results.per_region = results.totals(kcat, PER_REGION);
        kcat.for_each(ENRICHED, Isolation::ReadCommitted, |record| {
            let value = record.json();
            let id = value["id"].as_u64().unwrap();
            let Event { account, amount, .. } = workload.event(id);
            let came = &mut results.enriched[usize::try_from(id).unwrap()];
            *came = came.saturating_add(1);
            if value["amount"] != amount || value["region"] != region_of(account) {
                results.wrong.push(format!("event {id} came out as {value}"));
            }
        });
        results
    }

    /// The last row of each key and window. A row that does not count more than the one before says that something
    /// was taken back after it had been seen, or done twice.
    fn totals(&mut self, kcat: &Kcat, topic: &str) -> Totals {
        let mut totals = BTreeMap::new();
        kcat.for_each(topic, Isolation::ReadCommitted, |record| {
            let value = record.json();
            let number = |field: &str| {
                value[field].as_u64().unwrap_or_else(|| panic!("{topic}: no number `{field}` in {value}"))
            };
            let total = Total { events: number("events"), sum: number("sum") };
            let key = (record.key_text().to_owned(), number("window"));
            if let Some(before) = totals.insert(key.clone(), total)
                && before.events >= total.events
            {
                let place = format!("{topic}-{}@{}", record.partition, record.offset);
                self.wrong.push(format!("{place}: {key:?} went from {before:?} to {total:?}"));
            }
        });
        totals
    }

    /// How many events have arrived: in windows of accounts, of regions, and in the join.
    pub(crate) fn arrived(&self) -> [u64; 3] {
        let sum = |totals: &Totals| totals.values().map(|total| total.events).sum();
        [sum(&self.per_account), sum(&self.per_region), self.enriched.iter().map(|&came| u64::from(came)).sum()]
    }

    /// Everything that is not as it must be; empty: every key and window is exact.
    pub(crate) fn differences(&self, workload: &Workload) -> Vec<String> {
        let (per_account, per_region) = workload.expected();
        let mut differences = self.wrong.clone();
        differences.extend(differing(PER_ACCOUNT, &self.per_account, &per_account));
        differences.extend(differing(PER_REGION, &self.per_region, &per_region));
        let count = |times: fn(u8) -> bool| self.enriched.iter().filter(|&&came| times(came)).count();
        let (lost, twice) = (count(|came| came == 0), count(|came| came > 1));
        if (lost, twice) != (0, 0) {
            differences.push(format!("{ENRICHED}: {lost} events lost, {twice} more than once"));
        }
        differences
    }

    /// Fails when something is not exact.
    pub(crate) fn assert_exact(&self, workload: &Workload) {
        let differences = self.differences(workload);
        let told = differences.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(differences.is_empty(), "{} differences ({workload:?}):\n{told}", differences.len());
    }

    pub(crate) fn rows(&self) -> usize {
        self.per_account.len() + self.per_region.len()
    }
}

fn differing(topic: &str, found: &Totals, expected: &Totals) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differ = keys.into_iter().filter(|&key| found.get(key) != expected.get(key));
    differ
        .map(|key| format!("{topic}: {key:?}: found {:?}, expected {:?}", found.get(key), expected.get(key)))
        .collect()
}
