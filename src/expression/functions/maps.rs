//! `merge` and `without` where the fields are only known at run time.

use std::sync::Arc;

use super::{Arguments, Function, Kinds, Style, unexpected};
use crate::expression::error::Reason;
use crate::expression::operate;
use crate::record::{MapValue, Shape, Value};

/// The entries of both, those of the second where both have one.
pub(in crate::expression) static MERGE_MAPS: Function =
    Function::new("merge", Style::Global, &[Kinds::MAP, Kinds::MAP], |_| Ok(Shape::Any), merge);

/// The entries of the first argument but those named by the others.
pub(in crate::expression) static WITHOUT_KEYS: Function =
    Function::new("without", Style::Global, &[Kinds::MAP, Kinds::STRING], |_| Ok(Shape::Any), without).variadic();

fn merge(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let mut merged = MapValue::default();
    for (name, value) in arguments.iter().flat_map(|argument| operate::entries(argument)) {
        merged.insert(name.clone(), value.clone());
    }
    Ok(Value::Map(Arc::new(merged)))
}

fn without(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let (from, names) = arguments.split_first().ok_or_else(|| unexpected(None))?;
    let is_unwanted = |name: &str| names.iter().any(|unwanted| unwanted.as_str() == Some(name));
    let kept: MapValue = operate::entries(from)
        .filter(|(name, _)| !is_unwanted(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(Value::Map(Arc::new(kept)))
}
