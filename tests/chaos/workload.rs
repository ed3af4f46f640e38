//! The input, of which every record follows from its number, and what must come out of it.

use std::collections::BTreeMap;

use crate::harness::Random;

pub(crate) const EVENTS: &str = "chaos.events";
pub(crate) const ACCOUNTS: &str = "chaos.accounts";
pub(crate) const ENRICHED: &str = "chaos.enriched";
pub(crate) const PER_ACCOUNT: &str = "chaos.per-account";
pub(crate) const PER_REGION: &str = "chaos.per-region";

const ACCOUNT_COUNT: u64 = 500;
const REGION_COUNT: u64 = 12;
/// The time of the first event. The accounts are older.
const BEGINNING: u64 = 1_700_000_000_000;
/// How long the events last, in their own time: 20 windows of an account, whatever their number.
const SPAN_MILLIS: u64 = 200_000;
const ACCOUNT_WINDOW: u64 = 10_000;
const REGION_WINDOW: u64 = 60_000;

/// How many records are to be there, and what they hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) events: u64,
    pub(crate) seed: u64,
}

/// Count and sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) events: u64,
    pub(crate) sum: u64,
}

/// By key and the beginning of the window.
pub(crate) type Totals = BTreeMap<(String, u64), Total>;

pub(crate) struct Event {
    pub(crate) account: u64,
    pub(crate) amount: u64,
    pub(crate) at: u64,
}

impl Workload {
    pub(crate) fn event(&self, id: u64) -> Event {
        let mut random = Random::new(self.seed ^ (id + 1));
        let account = random.below(ACCOUNT_COUNT);
        Event { account, amount: random.below(1_000), at: BEGINNING + id * SPAN_MILLIS / self.events }
    }

    /// Events as lines: key and JSON.
    pub(crate) fn lines(&self, ids: std::ops::Range<u64>) -> impl Iterator<Item = (String, String)> {
        let workload = *self;
        ids.map(move |id| {
            let Event { account, amount, at } = workload.event(id);
            (account_name(account), format!(r#"{{"id":{id},"amount":{amount},"at":{at}}}"#))
        })
    }

    /// The accounts, which must be there before the first event.
    pub(crate) fn accounts() -> impl Iterator<Item = (String, String)> {
        (0..ACCOUNT_COUNT).map(|account| {
            let at = BEGINNING - ACCOUNT_COUNT + account;
            (account_name(account), format!(r#"{{"region":"{}","at":{at}}}"#, region_of(account)))
        })
    }

    pub(crate) fn account_count() -> i64 {
        i64::try_from(ACCOUNT_COUNT).unwrap()
    }

    /// What must come out: by account, and by region.
    pub(crate) fn expected(&self) -> (Totals, Totals) {
        let (mut per_account, mut per_region) = (Totals::new(), Totals::new());
        for id in 0..self.events {
            let Event { account, amount, at } = self.event(id);
            let add = |totals: &mut Totals, key: String, window: u64| {
                let total = totals.entry((key, at / window * window)).or_default();
                total.events += 1;
                total.sum += amount;
            };
            add(&mut per_account, account_name(account), ACCOUNT_WINDOW);
            add(&mut per_region, region_of(account), REGION_WINDOW);
        }
        (per_account, per_region)
    }
}

fn account_name(account: u64) -> String {
    format!("account-{account}")
}

pub(crate) fn region_of(account: u64) -> String {
    format!("region-{}", account * 7 % REGION_COUNT)
}
