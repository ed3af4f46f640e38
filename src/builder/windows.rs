//! Windows, and how far apart the records of a join may lie.

use std::time::Duration;

use super::yaml::Tree;
use crate::time::Timestamp;

/// Lets windows take late records.
macro_rules! graced {
    ($name:ident) => {
        impl $name {
            /// How long after its end a window, or after it would have ended a session, still takes late records; not at
            /// all, if nothing is said.
            pub fn grace(mut self, grace: Duration) -> Self {
                self.fields.set("grace", Tree::duration(grace));
                self
            }

            pub(super) fn tree(&self) -> Tree {
                self.fields.clone()
            }
        }
    };
}

/// The windows of an aggregation that never become one: all but sessions.
///
/// ```
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, Windows};
///
/// let minute = Duration::from_secs(60);
/// let builder = StreamsBuilder::new("counts");
/// let clicks = builder.stream("clicks", Consumed::with(Serdes::string(), Serdes::string()));
/// let kinds = [
///     ("tumbling", Windows::tumbling(minute).grace(minute / 6)),
///     ("hopping", Windows::hopping(5 * minute, minute)),
///     ("sliding", Windows::sliding(minute)),
///     ("unlimited", Windows::unlimited(1_767_225_600_000)),
/// ];
/// for (name, windows) in kinds {
///     let counts = clicks.group_by_key().windowed_by(windows).count(name).to_stream();
///     counts.to(name, Produced::with(Serdes::string().windowed(), Serdes::long()));
/// }
/// builder.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Windows {
    fields: Tree,
}

graced!(Windows);

impl Windows {
    /// Windows of this size that follow each other.
    pub fn tumbling(size: Duration) -> Self {
        Windows { fields: Tree::map([("tumbling", Tree::duration(size))]) }
    }

    /// Windows of this size that start at this interval, and overlap where it is shorter.
    pub fn hopping(size: Duration, advance: Duration) -> Self {
        let hopping = Tree::map([("size", Tree::duration(size)), ("advance", Tree::duration(advance))]);
        Windows { fields: Tree::map([("hopping", hopping)]) }
    }

    /// Windows around each record, whose records are at most this far apart.
    pub fn sliding(difference: Duration) -> Self {
        Windows { fields: Tree::map([("sliding", Tree::duration(difference))]) }
    }

    /// One window for everything from a moment on, in milliseconds since 1970.
    pub fn unlimited(start: Timestamp) -> Self {
        Windows { fields: Tree::map([("unlimited", Tree::map([("start", Tree::number(start))]))]) }
    }
}

/// Sessions: records of a key that follow each other closely.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, SessionWindows, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let minute = Duration::from_secs(60);
/// let builder = StreamsBuilder::new("visits");
/// builder
///     .stream("clicks", Consumed::with(Serdes::string(), Serdes::string()))
///     .group_by_key()
///     .windowed_by_session(SessionWindows::with_gap(30 * minute).grace(minute))
///     .count("visits")
///     .to_stream()
///     .to("visits", Produced::with(Serdes::string().windowed(), Serdes::long()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("clicks", "ada", "home", 0)?;
/// # driver.pipe("clicks", "ada", "cart", 1_800_000)?;
/// # let visits: Vec<(String, Option<i64>)> = driver.read("visits")?;
/// # assert_eq!(visits.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [Some(1), None, Some(2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionWindows {
    fields: Tree,
}

graced!(SessionWindows);

impl SessionWindows {
    /// The longest pause within a session.
    pub fn with_gap(gap: Duration) -> Self {
        SessionWindows { fields: Tree::map([("session", Tree::duration(gap))]) }
    }
}

/// Where a record of the second stream of a join may lie, seen from one of the first.
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, JoinWindows, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("outcomes");
/// let texts = || Consumed::with(Serdes::string(), Serdes::string());
/// let (clicks, orders) = (builder.stream("clicks", texts()), builder.stream("orders", texts()));
/// // An order at most half an hour after the click, or a minute before it.
/// let minute = Duration::from_secs(60);
/// let windows = JoinWindows::of(30 * minute).before(minute).grace(5 * minute);
/// clicks
///     .left_join(&orders, "outcome", windows, |click, order| format!("{click}: {}", order.unwrap_or_default()))
///     .to("outcomes", Produced::with(Serdes::string(), Serdes::string()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("clicks", "ada", "home", 0)?;
/// # driver.pipe("orders", "ada", "tea", 1_800_000)?;
/// # assert_eq!(driver.read::<String, String>("outcomes")?, [("ada".to_owned(), "home: tea".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JoinWindows {
    before: Duration,
    after: Duration,
    grace: Duration,
}

impl JoinWindows {
    /// At most this far before or after it.
    pub fn of(difference: Duration) -> Self {
        JoinWindows { before: difference, after: difference, grace: Duration::ZERO }
    }

    /// At most this far before it.
    pub fn before(mut self, before: Duration) -> Self {
        self.before = before;
        self
    }

    /// At most this far after it.
    pub fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// How much longer matches that come late are waited for.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn tree(&self) -> Tree {
        let (before, after) = (Tree::duration(self.before), Tree::duration(self.after));
        Tree::map([("before", before), ("after", after), ("grace", Tree::duration(self.grace))])
    }
}
