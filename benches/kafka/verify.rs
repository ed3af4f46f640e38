//! What a run wrote is what it should have written: a fast wrong answer is none. kcat reads it.

use std::collections::HashMap;

use super::harness::{Isolation, Kcat};
use super::input::Events;

/// Every event was written, once, with this currency.
pub(crate) fn copied(kcat: &Kcat, topic: &str, events: &Events, currency: &str) {
    written(kcat, topic, currency, (events.count, events.total()));
}

/// Every event was written with twice its amount, once.
pub(crate) fn doubled(kcat: &Kcat, topic: &str, events: &Events) {
    written(kcat, topic, "EUR", (events.count, 2 * events.total()));
}

fn written(kcat: &Kcat, topic: &str, currency: &str, expected: (u64, u64)) {
    let (mut count, mut amounts) = (0, 0);
    kcat.for_each(topic, Isolation::ReadCommitted, |record| {
        let value = record.json();
        assert_eq!(value["currency"], currency, "{topic}, offset {}", record.offset);
        count += 1;
        amounts += value["amount"].as_u64().unwrap();
    });
    assert_eq!((count, amounts), expected, "{topic}: records, and the sum of their amounts");
}

/// The last count of each key and window is right. Returns how many changes were written.
pub(crate) fn counted(kcat: &Kcat, topic: &str, expected: &HashMap<(String, u64), u64>) -> u64 {
    let mut changes = 0;
    let mut last: HashMap<(String, u64), u64> = HashMap::new();
    kcat.for_each(topic, Isolation::ReadCommitted, |record| {
        changes += 1;
        let value = record.json();
        let window = value["window"].as_u64().unwrap();
        last.insert((record.key_text().to_owned(), window), value["count"].as_u64().unwrap());
    });
    let wrong = expected.iter().filter(|(key, count)| last.get(*key) != Some(count)).count();
    assert!(wrong == 0 && last.len() == expected.len(), "{topic}: {wrong} of {} counts are wrong", expected.len());
    changes
}
