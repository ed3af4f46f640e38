//! How a state is built up of records.

use std::fmt::Display;
use std::marker::PhantomData;

use super::data::{Data, Types};
use super::function::{of_keyed, of_nothing, of_states, of_value, try_of_state};
use super::handle::Handle;
use super::yaml::Tree;
use crate::expression::NativeFunction;

/// How a state of type `A` is built up of records with keys of type `K` and values of type `V`, and the row of type `R`
/// that it gives: for what the plain `aggregate` of a group does not say.
///
/// ```
/// # use std::sync::Arc;
/// use serde::{Deserialize, Serialize};
/// use signalstream::builder::{Consumed, Fold, Produced, Serdes, StreamsBuilder};
/// # use signalstream::testing::TopologyTestDriver;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Texts {
///     texts: Vec<String>,
///     mood: Option<Mood>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Mood {
///     sentiment: String,
/// #   emotion: String,
/// #   confidence: f64,
/// #   reasoning: String,
/// }
///
/// #[derive(Serialize)]
/// # #[derive(Deserialize)]
/// struct Question {
///     text: String,
/// }
///
/// let builder = StreamsBuilder::new("moods");
/// let add = |_: &String, text: String, state: Texts| {
///     let mut texts = state.texts;
///     texts.push(text);
///     Texts { texts, ..state }
/// };
/// // The agent is asked after each record; its answer stands in the state when the next one comes.
/// let moods = Fold::new(Texts::default, add)
///     .call("sentiment", "mood", |state| Question { text: state.texts.join(" ") })
///     .result(|_, state| state.mood.map(|mood| mood.sentiment));
/// builder
///     .stream("messages", Consumed::with(Serdes::string(), Serdes::string()))
///     .group_by_key()
///     .fold("moods", moods)
///     .to_stream()
///     .to("moods", Produced::with(Serdes::string(), Serdes::string().nullable()));
/// # let mut driver = TopologyTestDriver::new(&Arc::new(builder.build()?), builder.schemas())?;
/// # driver.pipe("messages", "c1", "This is terrible, I hate it.", 0)?;
/// # assert_eq!(driver.read::<String, String>("moods")?, [("c1".to_owned(), "negative".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fold<K, V, A, R = A> {
    init: NativeFunction,
    add: NativeFunction,
    subtract: Option<NativeFunction>,
    merge: Option<NativeFunction>,
    call: Option<Call>,
    result: Option<NativeFunction>,
    types: Types<(K, V, A, R)>,
}

/// An agent that is asked after each record.
struct Call {
    agent: String,
    input: NativeFunction,
    into: String,
}

impl<K: Data, V: Data, A: Data> Fold<K, V, A> {
    /// The state before the first record, and `add(key, record, so far)`.
    pub fn new(
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> Self {
        Fold::try_new(init, move |key, value, state| Ok::<_, String>(add(key, value, state)))
    }

    /// The same, where adding may fail.
    pub fn try_new<E: Display>(
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> Result<A, E> + Send + Sync + 'static,
    ) -> Self {
        let (init, add) = (of_nothing(init), try_of_state(add));
        Fold { init, add, subtract: None, merge: None, call: None, result: None, types: PhantomData }
    }
}

impl<K: Data, V: Data, A: Data, R: Data> Fold<K, V, A, R> {
    /// The state without a row that left its group: `subtract(key, row, so far)`. For grouped tables.
    pub fn subtract(mut self, subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static) -> Self {
        self.subtract = Some(try_of_state(move |key, value, state| Ok::<_, String>(subtract(key, value, state))));
        self
    }

    /// The state of two sessions that a record joins: `merge(key, earlier, later)`. For sessions.
    pub fn merge(mut self, merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static) -> Self {
        self.merge = Some(of_states(merge));
        self
    }

    /// Asks an agent after each record; its answer goes into a field of the state, where the next record finds it. For
    /// streams.
    pub fn call<Q: Data>(
        mut self,
        agent: &str,
        into: &str,
        question: impl Fn(&A) -> Q + Send + Sync + 'static,
    ) -> Self {
        let input = of_value(move |state: A| question(&state));
        self.call = Some(Call { agent: agent.to_owned(), input, into: into.to_owned() });
        self
    }

    /// The row that a state gives: `result(key, state)`. Only the state is kept.
    pub fn result<R2: Data>(self, result: impl Fn(&K, A) -> R2 + Send + Sync + 'static) -> Fold<K, V, A, R2> {
        let Fold { init, add, subtract, merge, call, .. } = self;
        Fold { init, add, subtract, merge, call, result: Some(of_keyed(result)), types: PhantomData }
    }

    /// The field of the table.
    pub(super) fn tree(self, handle: &Handle) -> Tree {
        let with_state = |verb: &str, function| handle.call_with_state(verb, function);
        let call = self.call.map(|call| {
            let input = handle.call("call", "acc", call.input);
            Tree::map([("agent", Tree::text(&call.agent)), ("input", input), ("into", Tree::text(&call.into))])
        });
        Tree::map([("init", handle.call("init", "", self.init)), ("add", with_state("add", self.add))])
            .with("subtract", self.subtract.map(|subtract| with_state("subtract", subtract)))
            .with("call", call)
            .with("merge", self.merge.map(|merge| merge_call(handle, merge)))
            .with("result", self.result.map(|result| result_call(handle, result)))
    }
}

/// A call that makes one of the states of two sessions.
pub(super) fn merge_call(handle: &Handle, merge: NativeFunction) -> Tree {
    handle.call("merge", "key, acc, other", merge)
}

/// A call that makes the row of a state.
pub(super) fn result_call(handle: &Handle, result: NativeFunction) -> Tree {
    handle.call("result", "key, acc", result)
}
