//! `set_headers`: sets headers of a record, or removes them. Sinks do the same on the way out.

use bytes::Bytes;

use super::{Operator, OperatorContext, OperatorError, Passage, Result};
use crate::expression::Input;
use crate::record::{Header, Headers, Record, Value};
use crate::topology::plan::HeaderChange;

/// All expressions see the headers as they came.
pub(super) struct SetHeaders {
    pub(super) changes: Vec<HeaderChange>,
}

impl Operator for SetHeaders {
    fn pass(&mut self, record: &mut Record, _context: &mut OperatorContext<'_>) -> Result<Passage> {
        record.headers = changed(&self.changes, record)?;
        Ok(Passage::To(0))
    }
}

/// The headers of a record after these changes. A header that is set comes last, and in the place of all of its name.
pub(super) fn changed(changes: &[HeaderChange], record: &Record) -> Result<Headers> {
    if changes.is_empty() {
        return Ok(record.headers.clone());
    }
    let input = Input::of(record);
    let mut headers = record.headers.as_slice().to_vec();
    let mut set = Vec::with_capacity(changes.len());
    for change in changes {
        headers.retain(|header| header.name != change.name);
        let value = change.value.as_ref().map(|value| value.evaluate(&input)).transpose()?;
        if let Some(value) = bytes_of(value.unwrap_or_default())? {
            set.push(Header { name: change.name.clone(), value: Some(value) });
        }
    }
    headers.append(&mut set);
    Ok(Headers::new(headers))
}

fn bytes_of(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into_bytes())),
        Value::Bytes(bytes) => Ok(Some(bytes)),
        other => {
            let message = format!("a header is text or bytes, not a {}; convert it with `string(..)`", other.kind());
            Err(OperatorError::Value(message))
        }
    }
}
