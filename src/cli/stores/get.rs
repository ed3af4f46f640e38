//! `signalstream stores get`.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Bound;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use serde_json::Value as Json;

use crate::serdes::{Format, TopicSerde};
use crate::state::{StoreKind, parse_join_key, parse_session_key, parse_window_key, window_key};
use crate::time::Timestamp;

use super::super::Outcome;
use super::super::formats::Formats;
use super::{EntryReader, TaskOnDisk, tasks_of};

#[derive(Args)]
pub(super) struct GetArguments {
    /// The store
    store: String,

    /// The key: text, or JSON where the store's keys are not text
    key: String,

    /// In a store of windows or sessions, only the one that starts then (milliseconds since the epoch)
    #[arg(long, value_name = "TIMESTAMP")]
    window: Option<Timestamp>,
}

impl GetArguments {
    /// Exit status 1 when there is nothing under the key.
    pub(super) fn run(&self, tasks: &[TaskOnDisk], formats: &Formats) -> anyhow::Result<Outcome> {
        let mut stdout = io::stdout().lock();
        let mut found = false;
        for task in tasks_of(tasks, &self.store)? {
            let entries = EntryReader::new(formats, &task.application, &self.store)?;
            let spec = entries.spec.as_ref().map(|(spec, _, _)| *spec);
            let format = spec.and_then(|spec| formats.store_key_format(spec));
            let key = self.encode(format, formats)?;
            let mut show = |key: &Bytes, value: &Bytes| -> anyhow::Result<()> {
                found = true;
                Ok(writeln!(stdout, "{}", entries.line(task, &self.store, key, value)?)?)
            };
            let kind = spec.map_or(StoreKind::KeyValue, |spec| spec.kind);
            // Of a session only its start is given, and its end comes first.
            let looks = match kind {
                StoreKind::KeyValue | StoreKind::Internal => false,
                StoreKind::Window { .. } => self.window.is_none(),
                StoreKind::Session { .. } | StoreKind::Join { .. } => true,
            };
            if looks {
                task.each(&self.store, Bound::Unbounded, |stored, value| {
                    let (start, of) = parts(kind, stored);
                    if of.as_deref() == Some(key.as_ref()) && (self.window.is_none() || self.window == start) {
                        show(stored, value)?;
                    }
                    Ok(true)
                })?;
                continue;
            }
            let key = match self.window {
                Some(start) => {
                    let mut keyed = Vec::new();
                    window_key(start, &key, &mut keyed);
                    keyed.into()
                }
                None => key,
            };
            if let Some(value) = task.reader.get(&self.store, &key)? {
                show(&key, &value)?;
            }
        }
        if !found {
            return Err(anyhow!("`{}` holds nothing under {}", self.store, self.key));
        }
        Ok(Outcome::Success)
    }

    fn encode(&self, format: Option<&Format>, formats: &Formats) -> anyhow::Result<Bytes> {
        let Some(format) = format else { return Ok(Bytes::copy_from_slice(self.key.as_bytes())) };
        let json = match format {
            Format::String => Json::from(self.key.as_str()),
            _ => serde_json::from_str(&self.key).unwrap_or_else(|_| Json::from(self.key.as_str())),
        };
        let serde = TopicSerde::internal(format, &Format::Bytes, formats.schemas())?;
        let encoded = serde.encode_key(&json).with_context(|| format!("{} is not a key ({format})", self.key))?;
        encoded.ok_or_else(|| anyhow!("null is not a key"))
    }
}

/// The start of a row's window, if it has one, and its key.
fn parts(kind: StoreKind, stored: &[u8]) -> (Option<Timestamp>, Option<Cow<'_, [u8]>>) {
    match kind {
        StoreKind::Join { .. } => (None, parse_join_key(stored).map(|row| row.key.into())),
        StoreKind::Session { .. } => {
            parse_session_key(stored).map(|(window, of)| (Some(window.start), Some(of.into()))).unwrap_or_default()
        }
        _ => parse_window_key(stored).map(|(start, of)| (Some(start), Some(of.into()))).unwrap_or_default(),
    }
}
