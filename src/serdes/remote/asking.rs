//! The threads that ask a registry for the schemas that records wait for, and make plans with them.
//!
//! There are a few at most, started when there is something to do and ended when there has been nothing for a while. They
//! end with the [`WriterSchemas`](super::WriterSchemas) that they work for.

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use super::super::registry::SchemaRegistry;
use super::writers::{Inner, Job, Known, Lookup, Next, State, WORKERS, WriterId};
use super::{RegistryClient, RegistryError, SchemaText};

/// The longest pause between two attempts to fetch a schema that a record waits for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Time between two lines of the log about a schema that does not come.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// The most ids that are remembered as ones that the registry does not have; each is a record that lies.
const MAX_MISSES: usize = 10_000;
/// How often a registry has to say that it does not have an id, each time at its next URL and at each at least once, before
/// that counts: another node than the one that a producer registered its schema at may hear of it a little later.
const MISSED: usize = 3;
/// The pause after the first time; it doubles.
const MISSED_PAUSE: Duration = Duration::from_millis(500);

/// What an answer of the registry says of an id.
pub(super) enum Answer {
    /// This, for good.
    Lasting(Known),
    /// This, for now: something is missing that may come.
    Passing(Lookup),
}

impl Inner {
    /// Starts another thread if there is something to do that nobody does.
    pub(super) fn staff(inner: &Arc<Inner>, state: &mut State, now: Duration) {
        if state.stopped || state.idle > 0 || state.workers >= WORKERS || !state.has_work(now) {
            return;
        }
        let worker = Arc::clone(inner);
        let name = format!("schema-registry-{}", state.workers);
        match Builder::new().name(name).spawn(move || Inner::work(&worker)) {
            Ok(_) => state.workers += 1,
            Err(error) => {
                let error = RegistryError::Spawn(error.to_string());
                tracing::error!(%error, "schemas cannot be fetched; it is tried again");
            }
        }
    }

    fn work(inner: &Arc<Inner>) {
        let _working = Working(inner);
        let mut state = inner.lock();
        while !state.stopped {
            let now = inner.clock.elapsed();
            match state.next(now, inner.client.preferred()) {
                Next::Work(id, job) => {
                    Inner::staff(inner, &mut state, now);
                    drop(state);
                    let asking = matches!(job, Job::Ask(_)).then(|| Asking(inner));
                    // A schema that nothing is prepared for must not end the thread, nor be tried without end.
                    let fetched = catch_unwind(AssertUnwindSafe(|| inner.fetch(id, job)));
                    inner.settle(
                        id,
                        fetched.unwrap_or_else(|_| {
                            let message = format!("the schema of id {id} cannot be used: reading it failed");
                            Ok(Answer::Lasting(Known::Unusable(message.into())))
                        }),
                    );
                    drop(asking);
                    state = inner.lock();
                }
                Next::Wait(timeout) => {
                    state.idle += 1;
                    let waited = inner.changed.wait_timeout(state, timeout);
                    let (woken, result) = waited.unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                    state.idle -= 1;
                    if result.timed_out() && state.awaited.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Asks for a schema if it is not known yet, and makes plans with it for those who wait. That is done outside of the
    /// lock: a large one takes a while.
    fn fetch(&self, id: WriterId, job: Job) -> Result<Answer, RegistryError> {
        let answer = match job {
            Job::Plan(schema) => Answer::Lasting(Known::Schema(schema)),
            Job::Ask(first) => self.ask(id, first)?,
        };
        if let Answer::Lasting(Known::Schema(schema)) = &answer {
            let readers = self.lock().awaited.get(&id).map(|waiting| waiting.readers.clone()).unwrap_or_default();
            readers.iter().for_each(|reader| reader.add(id, schema));
        }
        Ok(answer)
    }

    fn ask(&self, id: WriterId, first: usize) -> Result<Answer, RegistryError> {
        match self.client.writer(id, first) {
            Ok(text) => usable(&self.client, id, &text, Some(first)),
            Err(RegistryError::Missing { .. }) => Ok(Answer::Passing(Lookup::Missing)),
            Err(error @ RegistryError::TooLarge { .. }) => {
                Ok(Answer::Lasting(Known::Unusable(error.to_string().into())))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps what came of an attempt, and tells those who wait.
    fn settle(&self, id: WriterId, fetched: Result<Answer, RegistryError>) {
        let now = self.clock.elapsed();
        let error = match fetched {
            Ok(Answer::Passing(missing)) => {
                self.missed(id, missing, now);
                return;
            }
            Ok(Answer::Lasting(known)) => {
                let mut state = self.lock();
                state.known.insert(id, known);
                self.answered(state, id, now);
                return;
            }
            Err(error) => error,
        };
        let mut state = self.lock();
        if let Entry::Occupied(mut entry) = state.awaited.entry(id) {
            let waiting = entry.get_mut();
            waiting.busy = false;
            waiting.due = now + waiting.pause;
            waiting.pause = (waiting.pause * 2).min(LONGEST_PAUSE);
            if waiting.reported.is_none_or(|reported| now.saturating_sub(reported) >= REPORT_INTERVAL) {
                waiting.reported = Some(now);
                let seconds = now.saturating_sub(waiting.since).as_secs_f64();
                tracing::warn!(%id, %error, seconds, "records wait for a schema; the registry is asked again");
            }
            waiting.problem = Some(error.to_string());
        }
    }

    /// Notes that something is missing. Once that was said often enough, it counts for a while.
    fn missed(&self, id: WriterId, missing: Lookup, now: Duration) {
        let mut state = self.lock();
        if let Some(waiting) = state.awaited.get_mut(&id)
            && waiting.missed + 1 < MISSED.max(self.client.urls())
        {
            let doubled = u32::try_from(waiting.missed).unwrap_or(u32::MAX).min(3);
            waiting.busy = false;
            waiting.due = now + MISSED_PAUSE * 2_u32.pow(doubled);
            waiting.missed += 1;
            waiting.problem = Some("the registry does not have it so far".to_owned());
            return;
        }
        if state.misses.len() >= MAX_MISSES {
            state.misses.retain(|_, (_, until)| now < *until);
        }
        if state.misses.len() >= MAX_MISSES {
            state.misses.clear();
        }
        state.misses.insert(id, (missing, now + self.miss_ttl));
        self.answered(state, id, now);
    }

    /// Ends the waiting for an id.
    fn answered(&self, mut state: MutexGuard<'_, State>, id: WriterId, now: Duration) {
        if let Some(waiting) = state.awaited.remove(&id)
            && waiting.reported.is_some()
        {
            let seconds = now.saturating_sub(waiting.since).as_secs_f64();
            tracing::info!(%id, seconds, "the registry has answered; the records that waited go on");
        }
        let wakers = state.wakers.clone();
        drop(state);
        self.answers.fetch_add(1, Ordering::Release);
        wakers.iter().for_each(|wake| wake());
    }
}

/// Notes that a thread has ended, in whatever manner that comes.
struct Working<'a>(&'a Inner);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.lock().workers -= 1;
    }
}

/// Notes that a thread has asked, in whatever manner that ends: another may.
struct Asking<'a>(&'a Inner);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().asking -= 1;
        self.0.changed.notify_all();
    }
}

/// A schema made usable, with those that it names; for these, the URL of the number `first` is asked first.
pub(super) fn usable(
    client: &RegistryClient,
    id: WriterId,
    text: &SchemaText,
    first: Option<usize>,
) -> Result<Answer, RegistryError> {
    let unusable = |message: String| Answer::Lasting(Known::Unusable(message.into()));
    if text.language != "AVRO" {
        return Ok(unusable(format!("the schema of id {id} is one of {}; only Avro can be read", text.language)));
    }
    let references = match client.references_once(text, first) {
        Err(error @ RegistryError::Missing { .. }) => {
            let message = format!("the schema of id {id} refers to others: {error}");
            return Ok(Answer::Passing(Lookup::Unusable(message.into())));
        }
        // A setting: the subject that it refers to has a name that no path leads to.
        Err(error @ (RegistryError::Unusable { .. } | RegistryError::TooLarge { .. } | RegistryError::Setting(_))) => {
            return Ok(unusable(format!("the schema of id {id} refers to others: {error}")));
        }
        references => references?,
    };
    Ok(match SchemaRegistry::standalone(&format!("id {id}"), &text.schema, &references) {
        Ok(schema) => Answer::Lasting(Known::Schema(schema)),
        Err(error) => unusable(format!("the schema of id {id} cannot be used: {}", error.message)),
    })
}
