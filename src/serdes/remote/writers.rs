//! The schemas that records were written with, by the ids that the records carry.
//!
//! Whoever reads records never waits here: an id that is not known yet is noted, and threads of this module
//! ([`asking`](super::asking)) ask the registry for it, again and again until it answers, and make the plans that read its
//! records. What the registry has stays known for good. What it does not have is asked for again after a while: an id may be
//! younger than the answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::avro::{Plans, SharedSchema};
use super::asking::{Answer, usable};
use super::{RegistryClient, RegistryError, Subject};
use crate::time::Clock;

/// The pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// After how long nobody waits any more for a schema that nobody has asked for.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Who waits says so at least this often.
const RENEWED: Duration = Duration::from_secs(10);
/// For how long something that is missing counts as such at least.
const SHORTEST_MISS: Duration = Duration::from_secs(1);
/// How many versions of a subject are fetched ahead.
const PREFETCHED: usize = 20;
/// The most threads that work for one reader of a registry, and the most of them that ask. One is left for schemas that are
/// known: a registry that does not answer must not hold up their records.
pub(super) const WORKERS: usize = 4;
const ASKING: usize = WORKERS - 1;

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

/// What is to be done with a record of an id for which its reader has no plan.
#[derive(Clone, Debug)]
pub(in crate::serdes) enum Lookup {
    /// Nothing can be read with its schema, and why.
    Unusable(Arc<str>),
    /// The registry does not have it.
    Missing,
    /// To wait: it is being asked for, or a plan is being made.
    Awaited,
}

/// What an id stands for, for good.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// This schema.
    Schema(SharedSchema),
    /// A schema that nothing can be read with, and why.
    Unusable(Arc<str>),
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
pub(in crate::serdes) struct WriterSchemas(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) client: Arc<RegistryClient>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) miss_ttl: Duration,
    state: Mutex<State>,
    pub(super) changed: Condvar,
    /// How often an answer has ended a wait.
    pub(super) answers: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) known: HashMap<WriterId, Known>,
    /// What was said of ids that is not the last word, and until when it counts.
    pub(super) misses: HashMap<WriterId, (Lookup, Duration)>,
    pub(super) awaited: HashMap<WriterId, Waiting>,
    pub(super) wakers: Vec<Waker>,
    /// How many threads work, how many of them have nothing to do, and how many ask the registry.
    pub(super) workers: usize,
    pub(super) idle: usize,
    pub(super) asking: usize,
    pub(super) stopped: bool,
}

/// A schema that is being asked for, or with which plans are being made.
pub(super) struct Waiting {
    pub(super) since: Duration,
    /// When somebody last said that he needs it.
    wanted: Duration,
    /// When it is asked for next.
    pub(super) due: Duration,
    pub(super) pause: Duration,
    /// How often it was said to be missing, and the number of the URL where it was asked for first.
    pub(super) missed: usize,
    first: usize,
    pub(super) reported: Option<Duration>,
    pub(super) problem: Option<String>,
    /// Who reads with it: plans are made for them before they go on.
    pub(super) readers: Vec<Arc<Plans>>,
    /// The schema, where it is known: plans are all that is missing.
    schema: Option<SharedSchema>,
    /// Whether a thread works on it.
    pub(super) busy: bool,
}

/// What a thread does for an id.
pub(super) enum Job {
    /// Asks the registry, beginning with the URL of this number.
    Ask(usize),
    /// Makes plans with this schema.
    Plan(SharedSchema),
}

/// What there is to do.
pub(super) enum Next {
    /// This, now.
    Work(WriterId, Job),
    /// Nothing for so long.
    Wait(Duration),
}

impl WriterSchemas {
    /// Knows nothing yet. An id that the registry does not have is asked for again after `miss_ttl`.
    pub(super) fn new(client: Arc<RegistryClient>, clock: Arc<dyn Clock>, miss_ttl: Duration) -> WriterSchemas {
        let (state, changed, answers) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        // A miss that is over before it is looked at would be asked for without end.
        let miss_ttl = miss_ttl.max(SHORTEST_MISS);
        WriterSchemas(Arc::new(Inner { client, clock, miss_ttl, state, changed, answers }))
    }

    /// The same registry, of which nothing is known yet.
    pub(super) fn apart(&self) -> WriterSchemas {
        WriterSchemas::new(self.0.client.clone(), self.0.clock.clone(), self.0.miss_ttl)
    }

    /// How often an answer has ended a wait: who waits need not look before this has changed.
    pub(in crate::serdes) fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::Acquire)
    }

    /// What is to be done with a record of an id for which `reader` has no plan. If that is not known, the id is asked for; a
    /// plan is made when its schema is there. Does not wait.
    pub(in crate::serdes) fn lookup(&self, id: WriterId, reader: &Arc<Plans>) -> Lookup {
        let inner = &self.0;
        if matches!(id, WriterId::Number(number) if number > LARGEST_ID) {
            return Lookup::Missing;
        }
        let now = inner.clock.elapsed();
        let mut state = inner.lock();
        let schema = match state.known.get(&id) {
            Some(Known::Unusable(message)) => return Lookup::Unusable(message.clone()),
            Some(Known::Schema(schema)) => Some(schema.clone()),
            None => None,
        };
        if let Some((missing, until)) = state.misses.get(&id).filter(|_| schema.is_none()) {
            if now < *until {
                return missing.clone();
            }
            state.misses.remove(&id);
        }
        let waiting = state.awaited.entry(id).or_insert_with(|| Waiting::new(now));
        waiting.wanted = now;
        let is_new = !waiting.readers.iter().any(|known| Arc::ptr_eq(known, reader));
        if is_new {
            waiting.readers.push(reader.clone());
        }
        if is_new || schema.is_some() != waiting.schema.is_some() {
            waiting.schema = schema;
            inner.changed.notify_all();
        }
        Inner::staff(inner, &mut state, now);
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
        // A partition that was given up waits no more, and where plans are made, nobody waits for the registry.
        let renewed = |(_, waiting): &(&WriterId, &Waiting)| {
            waiting.schema.is_none() && now.saturating_sub(waiting.wanted) < RENEWED
        };
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
            if let Answer::Lasting(known) = usable(&inner.client, id, &registered.text, None)? {
                inner.lock().known.insert(id, known);
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
    pub(super) fn new(now: Duration) -> Waiting {
        Waiting {
            since: now,
            wanted: now,
            due: now,
            pause: FIRST_PAUSE,
            missed: 0,
            first: 0,
            reported: None,
            problem: None,
            readers: Vec::new(),
            schema: None,
            busy: false,
        }
    }

    /// Whether something can be done for it now. Where a plan is all that is missing, the registry need not be asked.
    fn is_due(&self, now: Duration, may_ask: bool) -> bool {
        !self.busy && (self.schema.is_some() || may_ask && self.due <= now)
    }
}

impl State {
    /// Whether there is something to do.
    pub(super) fn has_work(&self, now: Duration) -> bool {
        let may_ask = self.asking < ASKING;
        self.awaited.values().any(|waiting| waiting.is_due(now, may_ask))
    }

    /// Takes what is to be done next. `preferred`: the number of the URL that is asked unless something speaks against it.
    pub(super) fn next(&mut self, now: Duration, preferred: usize) -> Next {
        self.awaited.retain(|_, waiting| waiting.busy || now.saturating_sub(waiting.wanted) < FORGOTTEN);
        let may_ask = self.asking < ASKING;
        let due = self.awaited.iter_mut().filter(|(_, waiting)| waiting.is_due(now, may_ask));
        let Some((id, waiting)) = due.min_by_key(|(_, waiting)| (waiting.schema.is_none(), waiting.due)) else {
            let later = self.awaited.values().filter(|waiting| !waiting.busy && may_ask);
            let wait = later.map(|waiting| waiting.due.saturating_sub(now)).min();
            return Next::Wait(wait.unwrap_or(FORGOTTEN));
        };
        waiting.busy = true;
        if let Some(schema) = &waiting.schema {
            return Next::Work(*id, Job::Plan(schema.clone()));
        }
        self.asking += 1;
        if waiting.missed == 0 {
            waiting.first = preferred;
        }
        Next::Work(*id, Job::Ask(waiting.first + waiting.missed))
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
