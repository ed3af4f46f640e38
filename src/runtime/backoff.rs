//! How long to wait between attempts at what has failed, and how often to say so.

use std::time::Duration;

/// The wait after the first failure.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts failures that follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// What was waited for since the last report.
    unreported: Duration,
}

impl Backoff {
    /// Notes a failure and returns how long to wait before the next attempt: twice as long as the last time.
    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = SHORTEST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.unreported += delay;
        delay
    }

    /// How many failures there were.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the failure that is about to be noted is the first, or the last one reported is `interval` past.
    pub(super) fn is_due_for_report(&mut self, interval: Duration) -> bool {
        let due = self.failures == 0 || self.unreported >= interval;
        if due {
            self.unreported = Duration::ZERO;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_few_failures_are_reported() {
        let mut backoff = Backoff::default();
        let (mut reports, mut waited) = (0, Duration::ZERO);
        for _ in 0..100 {
            reports += usize::from(backoff.is_due_for_report(Duration::from_secs(30)));
            let delay = backoff.next_delay();
            assert!((SHORTEST..=LONGEST).contains(&delay));
            waited += delay;
        }
        assert_eq!((backoff.failures(), reports), (100, 32));
        assert!(waited > Duration::from_secs(900), "{waited:?}");
    }
}
