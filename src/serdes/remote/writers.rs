//! The schemas that records were written with, by the ids that the records carry.
//!
//! Whoever reads records never waits here: an id that is not known yet is noted, and a thread of this module asks the
//! registry for it, again and again until it answers. What the registry has stays known for good. What it does not have is
//! asked for again after a while: an id may be younger than the answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use super::super::avro::{Plans, SharedSchema};
use super::super::registry::SchemaRegistry;
use super::{RegistryClient, RegistryError, SchemaText, Subject};
use crate::time::Clock;

/// The pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts to fetch a schema that a record waits for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// After how long nobody waits any more for a schema that nobody has asked for.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Who waits says so at least this often.
const RENEWED: Duration = Duration::from_secs(10);
/// Time between two lines of the log about a schema that does not come.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);
/// The most ids that are remembered as ones that the registry does not have; each is a record that lies.
const MAX_MISSES: usize = 10_000;
/// How often a registry has to say that it does not have an id, each time at its next URL, before that counts: another
/// node than the one that a producer registered its schema at may hear of it a little later.
const MISSED: usize = 3;
/// The pause after the first time; it doubles.
const MISSED_PAUSE: Duration = Duration::from_millis(500);
/// For how long something that is missing counts as such at least.
const SHORTEST_MISS: Duration = Duration::from_secs(1);
/// How many versions of a subject are fetched ahead.
const PREFETCHED: usize = 20;

/// The largest number that a registry gives a schema.
const LARGEST_ID: u32 = i32::MAX as u32;

/// What ends the waiting of a thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// How a record names the schema it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::serdes) enum WriterId {
    /// A number of the registry's: a byte 0 and 4 bytes, big-endian.
    Number(u32),
    /// A globally unique id: a byte 1 and 16 bytes.
    Guid([u8; 16]),
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriterId::Number(number) => write!(f, "{number}"),
            WriterId::Guid(bytes) => {
                for (index, byte) in bytes.iter().enumerate() {
                    let dash = if [4, 6, 8, 10].contains(&index) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// What an id is known to stand for.
#[derive(Clone, Debug)]
pub(in crate::serdes) enum Lookup {
    /// This schema.
    Found(SharedSchema),
    /// A schema that nothing can be read with, and why.
    Unusable(Arc<str>),
    /// Nothing: the registry does not have it.
    Missing,
    /// Not known yet; it is being asked for.
    Awaited,
}

/// A schema that records wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaWait {
    /// The id that they carry.
    pub id: String,
    /// For how long.
    pub since: Duration,
    /// Why it has not come; `None`: it has not been asked for yet.
    pub problem: Option<String>,
}

/// See the [module](self).
pub(in crate::serdes) struct WriterSchemas(Arc<Inner>);

struct Inner {
    client: Arc<RegistryClient>,
    clock: Arc<dyn Clock>,
    miss_ttl: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// How often an answer has ended a wait.
    answers: AtomicU64,
}

#[derive(Default)]
struct State {
    known: HashMap<WriterId, Lookup>,
    /// What was said of ids that is not the last word, and until when it counts.
    misses: HashMap<WriterId, (Lookup, Duration)>,
    awaited: HashMap<WriterId, Waiting>,
    wakers: Vec<Waker>,
    /// Whether the thread that asks runs.
    working: bool,
    stopped: bool,
}

/// A schema that is being asked for.
struct Waiting {
    since: Duration,
    /// When somebody last said that he needs it.
    wanted: Duration,
    /// When it is asked for next.
    due: Duration,
    pause: Duration,
    /// How often it was said to be missing.
    missed: usize,
    reported: Option<Duration>,
    problem: Option<String>,
    /// Who reads with it: plans are made for them before they go on.
    readers: Vec<Arc<Plans>>,
}

/// What an answer of the registry says of an id.
enum Answer {
    /// This, for good.
    Lasting(Lookup),
    /// This, for now: something is missing that may come.
    Passing(Lookup),
}

impl WriterSchemas {
    /// Knows nothing yet. An id that the registry does not have is asked for again after `miss_ttl`.
    pub(super) fn new(client: Arc<RegistryClient>, clock: Arc<dyn Clock>, miss_ttl: Duration) -> WriterSchemas {
        let (state, changed, answers) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        // A miss that is over before it is looked at would be asked for without end.
        let miss_ttl = miss_ttl.max(SHORTEST_MISS);
        WriterSchemas(Arc::new(Inner { client, clock, miss_ttl, state, changed, answers }))
    }

    /// How often an answer has ended a wait: who waits need not look before this has changed.
    pub(in crate::serdes) fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::Acquire)
    }

    /// What an id stands for. If that is not known, it is asked for, and a plan for `reader` is made when it comes. Does
    /// not wait.
    pub(in crate::serdes) fn lookup(&self, id: WriterId, reader: &Arc<Plans>) -> Lookup {
        let inner = &self.0;
        if matches!(id, WriterId::Number(number) if number > LARGEST_ID) {
            return Lookup::Missing;
        }
        let now = inner.clock.elapsed();
        let mut state = inner.lock();
        if let Some(known) = state.known.get(&id) {
            return known.clone();
        }
        if let Some((missing, until)) = state.misses.get(&id) {
            if now < *until {
                return missing.clone();
            }
            state.misses.remove(&id);
        }
        let waiting = state.awaited.entry(id).or_insert_with(|| Waiting::new(now));
        waiting.wanted = now;
        if !waiting.readers.iter().any(|known| Arc::ptr_eq(known, reader)) {
            waiting.readers.push(reader.clone());
            inner.changed.notify_all();
        }
        if !state.working && !state.stopped {
            match Inner::start(inner) {
                Ok(()) => state.working = true,
                Err(error) => tracing::error!(%error, "schemas cannot be fetched; it is tried again"),
            }
        }
        Lookup::Awaited
    }

    /// See [`super::RemoteRegistry::wake`].
    pub(super) fn wake(&self, waker: Waker) {
        self.0.lock().wakers.push(waker);
    }

    /// See [`super::RemoteRegistry::waits`].
    pub(super) fn waits(&self) -> Vec<SchemaWait> {
        let now = self.0.clock.elapsed();
        let state = self.0.lock();
        let wait = |(id, waiting): (&WriterId, &Waiting)| SchemaWait {
            id: id.to_string(),
            since: now.saturating_sub(waiting.since),
            problem: waiting.problem.clone(),
        };
        // A partition that was given up waits no more.
        let renewed = |(_, waiting): &(&WriterId, &Waiting)| now.saturating_sub(waiting.wanted) < RENEWED;
        let mut waits: Vec<SchemaWait> = state.awaited.iter().filter(renewed).map(wait).collect();
        waits.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.id.cmp(&b.id)));
        waits
    }

    /// See [`super::RemoteRegistry::prefetch`].
    pub(super) fn prefetch(&self, subject: &Subject) -> Result<usize, RegistryError> {
        let inner = &self.0;
        let versions = inner.client.versions(subject)?;
        let mut count = 0;
        for version in versions.into_iter().rev().take(PREFETCHED) {
            let registered = match inner.client.version(subject, Some(version)) {
                // Deleted since; or none that a record can be read with.
                Err(RegistryError::Missing { .. } | RegistryError::TooLarge { .. }) => continue,
                registered => registered?,
            };
            let id = WriterId::Number(registered.id);
            if inner.lock().known.contains_key(&id) {
                continue;
            }
            // What is not whole now is asked for when a record comes.
            if let Answer::Lasting(lookup) = usable(&inner.client, id, &registered.text)? {
                inner.lock().known.insert(id, lookup);
                count += 1;
            }
        }
        Ok(count)
    }
}

impl Drop for WriterSchemas {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

impl Waiting {
    fn new(now: Duration) -> Waiting {
        let (pause, missed, reported, problem) = (FIRST_PAUSE, 0, None, None);
        Waiting { since: now, wanted: now, due: now, pause, missed, reported, problem, readers: Vec::new() }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that asks. It ends with the [`WriterSchemas`] that it works for.
    fn start(inner: &Arc<Inner>) -> Result<(), RegistryError> {
        let worker = Arc::clone(inner);
        let spawned = Builder::new().name("schema-registry".to_owned()).spawn(move || worker.work());
        spawned.map(drop).map_err(|error| RegistryError::Spawn(error.to_string()))
    }

    fn work(&self) {
        let _working = Working(self);
        let mut state = self.lock();
        while !state.stopped {
            let now = self.clock.elapsed();
            state.awaited.retain(|_, waiting| now.saturating_sub(waiting.wanted) < FORGOTTEN);
            let next = state.awaited.iter().min_by_key(|(_, waiting)| waiting.due);
            match next.map(|(id, waiting)| (*id, waiting.due)) {
                Some((id, due)) if due <= now => {
                    drop(state);
                    // A schema that nothing is prepared for must not end the thread, nor be tried without end.
                    let fetched = catch_unwind(AssertUnwindSafe(|| self.fetch(id)));
                    self.settle(
                        id,
                        fetched.unwrap_or_else(|_| {
                            let message = format!("the schema of id {id} cannot be used: reading it failed");
                            Ok(Answer::Lasting(Lookup::Unusable(message.into())))
                        }),
                    );
                    state = self.lock();
                }
                next => {
                    let timeout = next.map_or(FORGOTTEN, |(_, due)| due.saturating_sub(now));
                    let waited = self.changed.wait_timeout(state, timeout);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Asks for a schema, and makes plans with it for those who wait. That is done outside of the lock: a large one takes a
    /// while.
    fn fetch(&self, id: WriterId) -> Result<Answer, RegistryError> {
        let answer = match self.client.writer(id) {
            Ok(text) => usable(&self.client, id, &text)?,
            Err(RegistryError::Missing { .. }) => Answer::Passing(Lookup::Missing),
            Err(error @ RegistryError::TooLarge { .. }) => Answer::Lasting(Lookup::Unusable(error.to_string().into())),
            Err(error) => return Err(error),
        };
        if let Answer::Lasting(Lookup::Found(schema)) = &answer {
            let readers = self.lock().awaited.get(&id).map(|waiting| waiting.readers.clone()).unwrap_or_default();
            readers.iter().for_each(|reader| reader.add(id, schema));
        }
        Ok(answer)
    }

    /// Keeps what came of an attempt, and tells those who wait.
    fn settle(&self, id: WriterId, fetched: Result<Answer, RegistryError>) {
        let now = self.clock.elapsed();
        let error = match fetched {
            Ok(Answer::Passing(missing)) => {
                self.missed(id, missing, now);
                return;
            }
            Ok(Answer::Lasting(lookup)) => {
                let mut state = self.lock();
                state.known.insert(id, lookup);
                self.answered(state, id, now);
                return;
            }
            Err(error) => error,
        };
        let mut state = self.lock();
        if let Entry::Occupied(mut entry) = state.awaited.entry(id) {
            let waiting = entry.get_mut();
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
        self.client.turn();
        let mut state = self.lock();
        if let Some(waiting) = state.awaited.get_mut(&id)
            && waiting.missed + 1 < MISSED.max(self.client.urls())
        {
            let doubled = u32::try_from(waiting.missed).unwrap_or(u32::MAX).min(3);
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

/// Notes that the thread has ended, in whatever manner that comes: the next who asks starts another.
struct Working<'a>(&'a Inner);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.lock().working = false;
    }
}

/// A schema made usable, with those that it names.
fn usable(client: &RegistryClient, id: WriterId, text: &SchemaText) -> Result<Answer, RegistryError> {
    let unusable = |message: String| Lookup::Unusable(message.into());
    if text.language != "AVRO" {
        let message = format!("the schema of id {id} is one of {}; only Avro can be read", text.language);
        return Ok(Answer::Lasting(unusable(message)));
    }
    let references = match client.references_once(text) {
        Err(error @ RegistryError::Missing { .. }) => {
            return Ok(Answer::Passing(unusable(format!("the schema of id {id} refers to others: {error}"))));
        }
        Err(error @ RegistryError::Unusable { .. }) => {
            return Ok(Answer::Lasting(unusable(format!("the schema of id {id} refers to others: {error}"))));
        }
        references => references?,
    };
    Ok(Answer::Lasting(match SchemaRegistry::standalone(&format!("id {id}"), &text.schema, &references) {
        Ok(schema) => Lookup::Found(schema),
        Err(error) => unusable(format!("the schema of id {id} cannot be used: {}", error.message)),
    }))
}
