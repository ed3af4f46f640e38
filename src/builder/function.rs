//! Closures become functions that expressions call.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::data::Data;
use super::{read, trace, write};
use crate::expression::NativeFunction;
use crate::record::Value;

/// What a closure is given, before it is what it takes.
pub(super) struct Arguments<'a, 'v>(&'a [Cow<'v, Value>]);

impl Arguments<'_, '_> {
    /// An argument as a type.
    pub(super) fn get<T: Data>(&self, position: usize) -> Result<T, String> {
        read::argument(self.0, position)
    }
}

/// A function of so many arguments.
pub(super) fn native<R: Data>(
    arity: usize,
    function: impl Fn(&Arguments<'_, '_>) -> Result<R, String> + Send + Sync + 'static,
) -> NativeFunction {
    let shape = R::shape();
    let result = shape.clone();
    NativeFunction::new(arity, shape, move |given| write::to_value(&function(&Arguments(given))?, &result))
}

/// The same, of which one argument is known to be of a type: a source decodes only the fields that this has.
pub(super) fn native_of<T: Data, R: Data>(
    arity: usize,
    position: usize,
    function: impl Fn(&Arguments<'_, '_>) -> Result<R, String> + Send + Sync + 'static,
) -> NativeFunction {
    let (shape, reads) = trace::read_by::<T>();
    native(arity, function).taking(position, shape, reads)
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
