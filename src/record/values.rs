//! Values side by side.

use std::convert::Infallible;
use std::fmt;
use std::iter::repeat_with;
use std::ops::Deref;

use triomphe::{Arc, UniqueArc};

use super::Value;

/// The values of a list or of a struct's fields. To copy them costs no allocation: they are counted.
///
/// There are no weak references to them, which the standard library's counter would make room for and look at.
#[derive(Clone, Default)]
pub struct Values(Option<Arc<[Value]>>);

impl Values {
    /// So many values, which `fill` makes of as many nulls, where they stay.
    ///
    /// # Errors
    /// What `fill` returns.
    #[inline]
    pub fn filled<E>(count: usize, fill: impl FnOnce(&mut [Value]) -> Result<(), E>) -> Result<Self, E> {
        if count == 0 {
            return fill(&mut []).map(|()| Values::default());
        }
        let mut values: UniqueArc<[Value]> = repeat_with(|| Value::Null).take(count).collect();
        fill(&mut values)?;
        Ok(Values(Some(values.shareable())))
    }

    /// A value made of each item, in order.
    ///
    /// # Errors
    /// The first that `make` returns.
    #[inline]
    pub fn of_each<T, E>(
        items: impl ExactSizeIterator<Item = T>,
        mut make: impl FnMut(T) -> Result<Value, E>,
    ) -> Result<Self, E> {
        Values::filled(items.len(), |places| {
            for (place, item) in places.iter_mut().zip(items) {
                *place = make(item)?;
            }
            Ok(())
        })
    }
}

impl Deref for Values {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<Vec<Value>> for Values {
    fn from(values: Vec<Value>) -> Self {
        Values((!values.is_empty()).then(|| values.into()))
    }
}

impl<const COUNT: usize> From<[Value; COUNT]> for Values {
    fn from(values: [Value; COUNT]) -> Self {
        let made: Result<Self, Infallible> = Values::of_each(values.into_iter(), Ok);
        made.unwrap_or_default()
    }
}

impl FromIterator<Value> for Values {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Values(Some(values.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_they_are_made_they_are_the_same() {
        for count in 0..5 {
            let made: Vec<Value> = (0..count).map(Value::Int).collect();
            let values = Values::from(made.clone());
            assert_eq!(*values, made);
            assert_eq!(values, made.iter().cloned().collect());
            assert_eq!(values, made.iter().filter(|_| true).cloned().collect());
            assert_eq!(Ok::<_, ()>(values), Values::of_each(0..count as usize, |number| Ok(Value::Int(number as i64))));
        }
        assert_eq!(*Values::from([Value::Null, Value::Bool(true)]), [Value::Null, Value::Bool(true)]);
    }

    #[test]
    fn what_fails_half_way_is_not_made() {
        let made =
            Values::of_each(0..3, |number| if number < 2 { Ok(Value::from("x".repeat(100))) } else { Err(number) });
        assert_eq!(made, Err(2));
    }
}
