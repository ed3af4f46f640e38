//! What stands behind a record that waits for its schema: it is not fetched without end.

use super::*;

/// A bound of what is queued, and how many records that is at most, with those of the fetch that reaches it.
struct Bound {
    options: ApplicationOptions,
    least: usize,
    most: usize,
}

/// The size of a value, about.
const SIZE: usize = 10_000;
const FETCH: usize = 10;
const BEHIND: usize = 2_000;
/// How much later than these the records of the other partition are, in milliseconds.
const LATER: i64 = 1_000_000;

fn bounds() -> [Bound; 2] {
    let options = || ApplicationOptions { fetch_records: FETCH, ..ApplicationOptions::default() };
    [
        Bound { options: ApplicationOptions { queued_records: 50, ..options() }, least: 50, most: 50 + FETCH },
        Bound { options: ApplicationOptions { queued_bytes: 20 * SIZE, ..options() }, least: 10, most: 20 + FETCH },
    ]
}

impl Shop {
    /// Writes records of one value, all in a transaction.
    fn write_all(&self, partition: i32, value: &[u8], timestamps: std::ops::Range<i64>) {
        let mut producer = self.log.transactional_producer("test").unwrap();
        producer.begin().unwrap();
        for timestamp in timestamps {
            let key = timestamp.to_string();
            producer.send(log::record("orders", partition, key.as_bytes(), value, timestamp)).unwrap();
        }
        producer.commit().unwrap();
    }
}

#[test]
fn the_input_behind_a_record_that_waits_is_paused_at_its_bound_and_comes_whole_afterwards() {
    for Bound { options, least, most } in bounds() {
        let (shop, registry) = (Shop::new(), SmallRegistry::start(1));
        // A large value, of which little is read.
        let mut large = order();
        large["fields"].as_array_mut().unwrap().push(json!({ "name": "ballast", "type": "bytes" }));
        let known = registry.register("orders-value", &large);
        let mut body = vec![2, 0xa0, 0x9c, 0x01];
        body.resize(SIZE + 4, 0);
        let application = start_as(&options, settings(&registry), &shop, &copies(), "", &shop.state("one")).unwrap();
        let unknown = registry.register("others-value", &bare());
        registry.set_away(true);
        let start = 1_700_000_000_000;
        shop.write("orders", 1, b"held", &framed(unknown, &[]), start);
        shop.write_all(1, &framed(known, &body), start + 1..start + 1 + BEHIND as i64);

        let queued = || {
            let status = application.status();
            let mut inputs = status.own_tasks().flat_map(|(_, task)| &task.inputs);
            let held = inputs.find(|input| input.partition.partition == 1)?;
            held.awaits.is_some().then_some(held.queued)
        };
        eventually("as many are queued as may be", WITHIN, || queued().filter(|queued| *queued >= least));
        // The other partition is fetched and worked off all the while, as often as there is something to fetch.
        for round in 1..=5 {
            let timestamp = start + round * LATER;
            shop.write_all(0, &framed(known, &body), timestamp..timestamp + 100);
            shop.eventually("copies", 2, 100 * round as usize);
            let queued = queued().unwrap();
            assert!((least..=most).contains(&queued), "{queued} records are queued, of which {least} to {most} may be");
        }
        eventually("the application says that it is held", WITHIN, || application.status().held_by().map(drop));

        registry.set_away(false);
        shop.eventually("copies", 2, 500 + 1 + BEHIND);
        application.wait_until_caught_up(|_| true).unwrap();
        application.stop().unwrap();
        let mut behind = 0;
        for partition in 0..2 {
            let times = shop.read("copies", partition).into_iter().map(|record| record.timestamp);
            let times: Vec<i64> = times.filter(|timestamp| *timestamp < start + LATER).collect();
            assert!(times.is_sorted_by(|one, next| one < next), "in their order, and each once");
            behind += times.len();
        }
        assert_eq!((behind, shop.read("failed", 0).len()), (1 + BEHIND, 0));
    }
}
