//! Random sequences: records out of order, at equal times, a millisecond beside every boundary, with null keys and values.

use serde_json::{Value as Json, json};

use crate::canonical;
use crate::scenarios::{Scenario, Sequence};

/// How many sequences a scenario gets; 60 scenarios make 10,000 and more.
pub(crate) const SEQUENCES: u64 = 160;

/// Keys, and what the field `k` holds: few, so that records meet.
const KEYS: [&str; 4] = ["x", "y", "z", "w"];

/// Xorshift64*: the same numbers everywhere, today and in years.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        // Seeds that are alike must not give sequences that are.
        let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Random((mixed ^ (mixed >> 29)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, limit: u64) -> i64 {
        i64::try_from(self.next() % limit).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// All random sequences of a scenario.
pub(crate) fn sequences(scenario: &Scenario) -> Vec<Sequence> {
    let seed = canonical::hash(&scenario.name);
    let inputs = scenario.inputs();
    (0..SEQUENCES)
        .map(|number| {
            let mut random = Random::new(seed.wrapping_add(number));
            let lines = lines(&inputs, &mut random);
            Sequence { scenario: scenario.name.clone(), name: format!("random {number}"), lines }
        })
        .collect()
}

fn lines(inputs: &[&str], random: &mut Random) -> Vec<Json> {
    let length = 8 + random.below(24);
    let keys = 1 + random.below(KEYS.len() as u64) as u64;
    // Some sequences have no nulls at all, and some are in order: what they find is easier to read.
    let (null_keys, null_values) = (if random.chance(50) { 8 } else { 0 }, if random.chance(70) { 18 } else { 0 });
    let backwards = if random.chance(75) { 30 } else { 0 };
    let mut time = if random.chance(70) { random.below(12_000) } else { 1_000_000 + random.below(60_000) };
    (0..length)
        .map(|number| {
            let at = if random.chance(backwards) { earlier(time, random) } else { time };
            let key = if random.chance(null_keys) { Json::Null } else { KEYS[random.below(keys) as usize].into() };
            let k = if random.chance(15) { Json::Null } else { KEYS[random.below(keys) as usize].into() };
            let value = json!({"n": random.below(11) - 3, "s": format!("r{number}"), "k": k});
            let value = if random.chance(null_values) { Json::Null } else { value };
            let topic = inputs[random.below(inputs.len() as u64) as usize];
            time = later(time, random);
            json!({"topic": topic, "key": key, "value": value, "timestamp": at})
        })
        .collect()
}

/// The time of the next record: the same, a little later, beside a boundary, or long after.
fn later(time: i64, random: &mut Random) -> i64 {
    match random.below(10) {
        0 | 1 => time,
        2 => time + 1,
        3 | 4 => time + random.below(3_000),
        5 => time + 1_000 * (1 + random.below(12)),
        6 | 7 => (time / 5_000 + 1 + random.below(2)) * 5_000 + random.below(3) - 1,
        8 => time + 10_000 + random.below(3) - 1,
        _ => time + random.below(60_000),
    }
    .max(time)
}

/// A time before: a little, beside a boundary, or too late for every window.
fn earlier(time: i64, random: &mut Random) -> i64 {
    match random.below(5) {
        0 => time - 1,
        1 => time - random.below(6_000),
        2 => time / 5_000 * 5_000 - random.below(4) * 5_000 + random.below(3) - 1,
        3 => time - 10_000 + random.below(3) - 1,
        _ => time - random.below(40_000),
    }
    .max(0)
}
