//! Closures become functions that expressions call.

use std::borrow::Cow;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::context::RecordContext;
use super::data::Data;
use super::{read, trace, write};
use crate::expression::{NativeFunction, unfit};
use crate::record::{Fields, Shape, Value};

/// What a closure is given, before it is what it takes.
pub(super) struct Arguments<'a, 'v>(&'a [Cow<'v, Value>]);

impl Arguments<'_, '_> {
    /// An argument as a type.
    fn get<T: Data>(&self, position: usize) -> Result<T, String> {
        read::argument(self.0, position)
    }
}

/// A function of so many arguments.
fn native<R: Data>(
    arity: usize,
    function: impl Fn(&Arguments<'_, '_>) -> Result<R, String> + Send + Sync + 'static,
) -> NativeFunction {
    let shape = R::shape();
    let result = shape.clone();
    NativeFunction::new(arity, shape, move |given| write::to_value(&function(&Arguments(given))?, &result))
}

/// The same, of which one argument is known to be of a type: a source decodes only the fields that this has.
fn native_of<T: Data, R: Data>(
    arity: usize,
    position: usize,
    function: impl Fn(&Arguments<'_, '_>) -> Result<R, String> + Send + Sync + 'static,
) -> NativeFunction {
    let (shape, reads) = trace::read_by::<T>();
    native(arity, function).taking(position, shape, reads)
}

/// Why rows of a shape cannot be read as a type, as far as that shows before there are any.
pub(super) fn unreadable<R: Data>(rows: &Shape) -> Option<String> {
    let (shape, reads) = trace::read_by::<R>();
    let missing = match (shape.required(), rows, reads) {
        // A type that reads a field under several names, or anything, is not asked.
        (Shape::Struct(wanted), Shape::Struct(given), Fields::Some(_)) => {
            let may_lack = |shape: &Shape| matches!(shape, Shape::Optional(_) | Shape::Any | Shape::Null);
            let mut wanted = wanted.fields().iter().filter(|field| !may_lack(&field.shape));
            wanted.find(|field| given.field(&field.name).is_none())
        }
        _ => None,
    };
    let missing = missing.map(|field| format!("nothing gives its field `{}`", field.name));
    missing.or_else(|| unfit(rows, &shape))
}

/// A function of nothing.
pub(super) fn of_nothing<R: Data>(function: impl Fn() -> R + Send + Sync + 'static) -> NativeFunction {
    native(0, move |_| Ok(function()))
}

/// A function of a value.
pub(super) fn of_value<V: Data, R: Data>(function: impl Fn(V) -> R + Send + Sync + 'static) -> NativeFunction {
    try_of_value(move |value| Ok::<_, String>(function(value)))
}

/// The same, which may fail.
pub(super) fn try_of_value<V: Data, R: Data, E: Display>(
    function: impl Fn(V) -> Result<R, E> + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(1, 0, move |given| function(given.get(0)?).map_err(|error| error.to_string()))
}

/// A function of two values: those of a join, or a state and the next value.
pub(super) fn of_values<V: Data, O: Data, R: Data>(
    function: impl Fn(V, O) -> R + Send + Sync + 'static,
) -> NativeFunction {
    let (shape, reads) = trace::read_by::<O>();
    native_of::<V, _>(2, 0, move |given| Ok(function(given.get(0)?, given.get(1)?))).taking(1, shape, reads)
}

/// A function that looks at key and value.
pub(super) fn of_record<K: Data, V: Data, R: Data>(
    function: impl Fn(&K, &V) -> R + Send + Sync + 'static,
) -> NativeFunction {
    try_of_record(move |key, value| Ok::<_, String>(function(key, value)))
}

/// The same, which may fail.
pub(super) fn try_of_record<K: Data, V: Data, R: Data, E: Display>(
    function: impl Fn(&K, &V) -> Result<R, E> + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(2, 1, move |given| function(&given.get(0)?, &given.get(1)?).map_err(|error| error.to_string()))
}

/// A function that takes a value and looks at its key.
pub(super) fn of_keyed<K: Data, V: Data, R: Data>(
    function: impl Fn(&K, V) -> R + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(2, 1, move |given| Ok(function(&given.get(0)?, given.get(1)?)))
}

/// A function that takes key and value, and may fail.
pub(super) fn try_of_pair<K: Data, V: Data, R: Data, E: Display>(
    function: impl Fn(K, V) -> Result<R, E> + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(2, 1, move |given| function(given.get(0)?, given.get(1)?).map_err(|error| error.to_string()))
}

/// A function that takes a value, and looks at its key and at where it came from.
pub(super) fn of_context<K: Data, V: Data, R: Data>(
    function: impl Fn(&K, V, &RecordContext) -> R + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(3, 1, move |given| Ok(function(&given.get(0)?, given.get(1)?, &given.get(2)?)))
}

/// What a record makes of a state; it may fail.
pub(super) fn try_of_state<K: Data, V: Data, A: Data, E: Display>(
    function: impl Fn(&K, V, A) -> Result<A, E> + Send + Sync + 'static,
) -> NativeFunction {
    native_of::<V, _>(3, 1, move |given| {
        function(&given.get(0)?, given.get(1)?, given.get(2)?).map_err(|error| error.to_string())
    })
}

/// What two states come to.
pub(super) fn of_states<K: Data, A: Data>(function: impl Fn(&K, A, A) -> A + Send + Sync + 'static) -> NativeFunction {
    native(3, move |given| Ok(function(&given.get(0)?, given.get(1)?, given.get(2)?)))
}

/// A new key with a new value.
#[derive(Serialize, Deserialize)]
pub(super) struct Pair<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

impl<K, V> From<(K, V)> for Pair<K, V> {
    fn from((key, value): (K, V)) -> Self {
        Pair { key, value }
    }
}
