//! How long a registry that is away is left alone, and how much is remembered of what it does not have. No thread works here:
//! what the threads do is done by hand, at times of a clock that stands still.

use std::sync::Arc;

use super::*;
use crate::serdes::remote::writers::Waiting;
use crate::serdes::remote::{RegistrySettings, WriterSchemas};
use crate::time::{Clock, ManualClock};

const TTL: Duration = Duration::from_secs(30);

fn schemas() -> (WriterSchemas, ManualClock) {
    let (client, clock) = (RegistryClient::new(&RegistrySettings::new("http://127.0.0.1:1")), ManualClock::default());
    (WriterSchemas::new(Arc::new(client.unwrap()), Arc::new(clock.clone()), TTL), clock)
}

#[test]
fn a_registry_that_is_away_is_asked_after_pauses_that_grow_to_a_bound() {
    let (schemas, clock) = schemas();
    let (inner, id) = (&schemas.0, WriterId::Number(5));
    inner.lock().awaited.insert(id, Waiting::new(clock.elapsed()));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let next = inner.lock().next(clock.elapsed(), 0);
        assert!(matches!(next, Next::Work(found, Job::Ask(_)) if found == id), "it is asked again");
        drop(Asking(inner));
        inner.settle(id, Err(RegistryError::Spawn("away".to_owned())));
        let next = inner.lock().next(clock.elapsed(), 0);
        let Next::Wait(pause) = next else { panic!("it is asked again at once") };
        clock.advance(pause - Duration::from_millis(1));
        assert!(matches!(inner.lock().next(clock.elapsed(), 0), Next::Wait(_)), "it is asked again too early");
        clock.advance(Duration::from_millis(1));
        pauses.push(pause);
        assert!(inner.lock().awaited[&id].problem.as_ref().is_some_and(|problem| problem.contains("away")));
    }
    let expected = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000].map(Duration::from_millis);
    assert_eq!(pauses, expected);
    assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
}

#[test]
fn of_the_ids_that_a_registry_does_not_have_a_bounded_number_is_remembered() {
    let (schemas, clock) = schemas();
    let inner = &schemas.0;
    let number = |number: usize| WriterId::Number(u32::try_from(number).unwrap());
    let miss = |id: usize| inner.missed(number(id), Lookup::Missing, clock.elapsed());
    let remembered = |id: usize| inner.lock().misses.contains_key(&number(id));
    (0..MAX_MISSES / 2).for_each(miss);
    clock.advance(TTL * 2 / 3);
    (MAX_MISSES / 2..MAX_MISSES).for_each(miss);
    assert_eq!(inner.lock().misses.len(), MAX_MISSES);

    // Those go first that would be asked for again anyhow.
    clock.advance(TTL / 2);
    miss(MAX_MISSES);
    assert_eq!(inner.lock().misses.len(), MAX_MISSES / 2 + 1);
    assert!(!remembered(0) && remembered(MAX_MISSES - 1) && remembered(MAX_MISSES));

    // A producer whose every record lies does not fill the memory: at the bound all are forgotten, and asked for again.
    let last = 4 * MAX_MISSES;
    for id in MAX_MISSES + 1..=last {
        miss(id);
        assert!(inner.lock().misses.len() <= MAX_MISSES, "{id}");
    }
    assert!(!remembered(MAX_MISSES) && remembered(last));
}
