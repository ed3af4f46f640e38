//! A key-value store as processors see it.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;

use super::context::{ContextError, Work};
use super::layout::StoreLayout;
use crate::record::{Value, conform};
use crate::time::Timestamp;

/// How many rows are read at a time.
const PAGE: usize = 256;

/// A value for each key. What is written is there for all who read it afterwards, and is committed with the outputs.
pub struct KeyValueStore<'a> {
    work: &'a mut dyn Work,
    position: usize,
    layout: Arc<StoreLayout>,
}

/// A row of a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
    /// The timestamp of the record, or the time of the call, that wrote it last.
    pub timestamp: Timestamp,
}

impl<'a> KeyValueStore<'a> {
    pub(super) fn new(work: &'a mut dyn Work, position: usize, layout: Arc<StoreLayout>) -> Self {
        KeyValueStore { work, position, layout }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When the key is null or not of the store's shape, or the store fails. So it is with all of these.
    pub fn get(&mut self, key: &Value) -> Result<Option<Value>, ContextError> {
        let key = self.encoded(key)?;
        Ok(self.work.get(self.position, &key)?.map(|(_, value)| value))
    }

    /// The row under a key: its value with its time.
    pub fn get_row(&mut self, key: &Value) -> Result<Option<Row>, ContextError> {
        let encoded = self.encoded(key)?;
        let row = self.work.get(self.position, &encoded)?;
        Ok(row.map(|(timestamp, value)| Row { key: key.clone(), value, timestamp }))
    }

    /// Writes a value; null deletes the row.
    pub fn put(&mut self, key: &Value, value: impl Into<Value>) -> Result<(), ContextError> {
        let key = self.encoded(key)?;
        let value = match value.into() {
            Value::Null => Value::Null,
            value => conform(value, &self.layout.value).map_err(|message| self.misfit("the value", message))?,
        };
        self.work.put(self.position, &key, value)
    }

    /// Writes a value where there is none, and gives the one that was there.
    pub fn put_if_absent(&mut self, key: &Value, value: impl Into<Value>) -> Result<Option<Value>, ContextError> {
        let before = self.get(key)?;
        if before.is_none() {
            self.put(key, value)?;
        }
        Ok(before)
    }

    /// Deletes a row, and gives the value that it had.
    pub fn delete(&mut self, key: &Value) -> Result<Option<Value>, ContextError> {
        let before = self.get(key)?;
        if before.is_some() {
            self.put(key, Value::Null)?;
        }
        Ok(before)
    }

    /// The rows between two keys, in the order of their bytes: that of text is the order of its characters, that of
    /// numbers the usual one, save that negative ones come last. To change rows on the way, collect some first.
    ///
    /// # Errors
    /// When an end of the range is null or not of the store's shape.
    pub fn range(&mut self, keys: impl RangeBounds<Value>) -> Result<Rows<'_>, ContextError> {
        let from = self.bound(keys.start_bound())?;
        let to = self.bound(keys.end_bound())?;
        Ok(self.rows(from, to))
    }

    /// The rows whose keys begin with this one, text or bytes.
    ///
    /// # Errors
    /// When the beginning is null or not of the store's shape.
    pub fn prefix(&mut self, beginning: &Value) -> Result<Rows<'_>, ContextError> {
        let from = self.encoded(beginning)?;
        let to = after_all_with(&from).map_or(Bound::Unbounded, |end| Bound::Excluded(end.into()));
        Ok(self.rows(Bound::Included(from), to))
    }

    /// All rows, in the order of their keys' bytes.
    pub fn all(&mut self) -> Rows<'_> {
        self.rows(Bound::Unbounded, Bound::Unbounded)
    }

    fn rows(&mut self, from: Bound<Bytes>, to: Bound<Bytes>) -> Rows<'_> {
        let (position, layout) = (self.position, self.layout.clone());
        Rows { work: &mut *self.work, position, layout, from, to, page: Vec::new().into_iter(), done: false }
    }

    fn bound(&self, bound: Bound<&Value>) -> Result<Bound<Bytes>, ContextError> {
        Ok(match bound {
            Bound::Included(key) => Bound::Included(self.encoded(key)?),
            Bound::Excluded(key) => Bound::Excluded(self.encoded(key)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    }

    fn encoded(&self, key: &Value) -> Result<Bytes, ContextError> {
        if key.is_null() {
            return Err(ContextError::NullKey);
        }
        let key = conform(key.clone(), &self.layout.key).map_err(|message| self.misfit("the key", message))?;
        let encoded = self.layout.key_writer.payload(&key, &mut Vec::new());
        encoded.map_err(|error| self.misfit("the key", error.to_string()))
    }

    fn misfit(&self, part: &'static str, message: String) -> ContextError {
        ContextError::Misfit { part, place: format!("the store `{}`", self.layout.name), message }
    }
}

/// The least key that is after all that begin so; nothing where there is none.
fn after_all_with(beginning: &[u8]) -> Option<Vec<u8>> {
    let last = beginning.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = beginning.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// Rows of a store, read a part at a time.
pub struct Rows<'a> {
    work: &'a mut dyn Work,
    position: usize,
    layout: Arc<StoreLayout>,
    from: Bound<Bytes>,
    to: Bound<Bytes>,
    page: std::vec::IntoIter<(Bytes, Timestamp, Value)>,
    done: bool,
}

impl Rows<'_> {
    fn next_page(&mut self) -> Result<(), ContextError> {
        let (from, to) = (self.from.as_ref().map(Bytes::as_ref), self.to.as_ref().map(Bytes::as_ref));
        let page = self.work.page(self.position, from, to, PAGE)?;
        self.done = page.len() < PAGE;
        if let Some((key, _, _)) = page.last() {
            self.from = Bound::Excluded(key.clone());
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, ContextError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && !self.done
            && let Err(error) = self.next_page()
        {
            self.done = true;
            return Some(Err(error));
        }
        let (key, timestamp, value) = self.page.next()?;
        let key = self.layout.key_reader.deserialize(&key);
        Some(match key {
            Ok(key) => Ok(Row { key, value, timestamp }),
            Err(error) => Err(ContextError::Store(format!("a key of `{}` cannot be read: {error}", self.layout.name))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_alike_ends_before_the_next_beginning() {
        assert_eq!(after_all_with(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_all_with(&[b'a', 0xff, 0xff]), Some(b"b".to_vec()));
        assert_eq!(after_all_with(&[0xff]), None);
        assert_eq!(after_all_with(&[]), None);
    }
}
