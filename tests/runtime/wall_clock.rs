//! What happens at times of the wall clock happens in stream threads too.

use signalstream::time::ManualClock;

use super::*;

const EVERY: &str = "
topology: every
defaults: {key: string, value: json}
sources:
  a: {topic: a}
tables:
  counts: {from: a, aggregate: {n: count()}, emit: {every: 10s}}
sinks:
  - {from: counts, topic: out}
";

const CHANGED: &str = "every-counts-changed-changelog";

/// A time of day that the test moves, beside a steady clock that runs.
#[derive(Debug)]
struct MovedClock(SystemClock, ManualClock);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.1.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn start_every(log: &Arc<EmbeddedLog>, time: &ManualClock) -> Application {
    let clock = Arc::new(MovedClock(SystemClock::new(), time.clone()));
    let topology = plan(EVERY);
    Application::start(&topology, log.clone(), in_memory(&topology), clock, &one_thread()).unwrap()
}

#[test]
fn changes_are_handed_on_when_the_wall_clock_says_so_and_outlive_the_process_until_then() {
    let (log, time) = (log(&[("a", 1), ("out", 1)]), ManualClock::at(NOW));
    let application = start_every(&log, &time);
    write(&log, "a", 0, "1");
    write(&log, "a", 0, "1");
    eventually("the records are counted", || !read(&log, CHANGED, 1).is_empty());
    assert_eq!(read(&log, "out", 1), []);
    time.advance(Duration::from_secs(10));
    eventually("the change is handed on", || read(&log, "out", 1).len() == 1);

    write(&log, "a", 0, "1");
    let waiting = read(&log, CHANGED, 1).len();
    eventually("the next change waits", || read(&log, CHANGED, 1).len() > waiting);
    application.stop().unwrap();
    // Another process, which has lost the state. When its task is open and is told the time is its own affair.
    let application = start_every(&log, &time);
    eventually("the change is handed on", || {
        time.advance(Duration::from_secs(1));
        read(&log, "out", 1).len() == 2
    });
    application.stop().unwrap();
    let last = read(&log, "out", 1).pop().unwrap();
    assert_eq!(last.value.as_deref(), Some(br#"{"n":3}"#.as_slice()));
}
