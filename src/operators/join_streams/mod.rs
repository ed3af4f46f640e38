//! Stream–stream join: records of one key meet when their timestamps lie close enough together.
//!
//! The rules are those of Kafka Streams' `KStreamKStreamJoin`. A record is joined with every record of the other
//! stream that has come before it and lies within the window; the result has the higher of both timestamps. Of a
//! side whose unmatched records count, those for which nothing has come wait until stream time, the highest
//! timestamp of both sides, has passed their window and grace; see [`waiting`] for when they go out. A null value
//! is dropped; a null key goes out at once, unmatched, where unmatched records count, and is dropped elsewhere.
//!
//! Unlike there (KAFKA-19536), a record that comes after its window but within its grace waits like any other.

mod rows;
mod waiting;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{Operator, OperatorContext, OperatorError, Result, key_value};
use crate::expression::Input;
use crate::metrics::DropReason;
use crate::record::{Key, Record, Value};
use crate::time::{StreamTime, Timestamp};
use crate::topology::stream_join::StreamJoin;

use rows::{Matches, Rows};
use waiting::{Pass, Waiting};

/// The names under which the numbers are kept that a join goes on from.
const NUMBER: &str = "number";
const WAITING: &str = "waiting";
const NEWEST: [&str; 2] = ["first", "second"];

/// Side 0 is the first input, side 1 the second.
pub(super) struct StreamStreamJoin {
    plan: StreamJoin,
    time: StreamTime,
    /// How many records have been joined: the number of the next one.
    number: u64,
    rows: [Rows; 2],
    waiting: Waiting,
    /// The record that waits until what it has made over is out.
    arriving: Option<(Pass, usize, Key, Record)>,
}

impl StreamStreamJoin {
    pub(super) fn new(plan: StreamJoin) -> Self {
        StreamStreamJoin {
            time: StreamTime::UNKNOWN,
            number: 0,
            rows: plan.rows.map(|store| Rows::new(store, plan.window)),
            waiting: Waiting::new(plan.unmatched, plan.window),
            arriving: None,
            plan,
        }
    }

    /// Whether records of a side are handed on without a match.
    fn is_outer(&self, side: usize) -> bool {
        self.plan.unmatched[side].is_some()
    }

    /// The record of a side joined with a value of the other side, or with none.
    fn joined(&self, side: usize, record: &Record, other: Value, timestamp: Timestamp) -> Result<Record> {
        let mut joined = Record { old: None, window: None, timestamp, ..record.clone() };
        let locals = match side {
            0 => [joined.value.clone(), other],
            _ => [other, joined.value.clone()],
        };
        let input = Input { key: key_value(&joined.key), value: &Value::Null, record: Some(&joined), locals: &locals };
        joined.value = self.plan.value.evaluate(&input)?;
        Ok(joined)
    }

    /// Hands on records that are over, unmatched: a part of them. Returns whether there may be more.
    fn release(&mut self, pass: &mut Pass, trigger: &Record, context: &mut OperatorContext<'_>) -> Result<bool> {
        let (unmatched, more) = self.waiting.take_over(pass, context.stores)?;
        for row in unmatched {
            let key = self.plan.key.deserialize(&row.key);
            let record = Record {
                key: Some(Key { value: key.as_ref().cloned().unwrap_or_default(), encoded: row.key }),
                value: row.value,
                timestamp: row.timestamp,
                ..trigger.clone()
            };
            let joined = match key {
                Ok(_) => self.joined(row.side, &record, Value::Null, row.timestamp),
                Err(error) => Err(error.into()),
            };
            match joined {
                Ok(joined) => context.forward(joined),
                Err(error) => context.fail(record, error),
            }
        }
        Ok(more)
    }

    /// Lets out what a record has made over, a part at a time, and then joins the record.
    fn arrive(
        &mut self,
        pass: Option<Pass>,
        side: usize,
        record: Record,
        key: &Key,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        if let Some(mut pass) = pass
            && self.release(&mut pass, &record, context)?
        {
            self.arriving = Some((pass, side, key.clone(), record));
            context.ask_again();
            return Ok(());
        }
        let now = self.time.get().unwrap_or(record.timestamp);
        let number = self.number;
        self.number += 1;
        let (matched, mut failure) = self.join(side, key, &record, context)?;
        if !matched && self.is_outer(side) {
            if record.timestamp < self.plan.window.open_from(side, now) {
                match self.joined(side, &record, Value::Null, record.timestamp) {
                    Ok(joined) => context.forward(joined),
                    Err(error) => failure = Some(error),
                }
            } else {
                self.waiting.put(side, &key.encoded, number, &record, context.stores);
            }
        }
        if !self.rows[side].put(&key.encoded, number, &record, context.stores) {
            context.drop_record(DropReason::Late);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Joins a record with what has come of the other side. Returns whether there was any, and the first pair's
    /// failure: what else there is to do goes on.
    fn join(
        &mut self,
        side: usize,
        key: &Key,
        record: &Record,
        context: &mut OperatorContext<'_>,
    ) -> Result<(bool, Option<OperatorError>)> {
        let (other, window) = (1 - side, self.plan.window);
        let from = record.timestamp.saturating_sub(window.behind(side));
        let to = record.timestamp.saturating_add(window.ahead(side));
        let mut matches = Matches::new(&self.rows[other], &key.encoded, from, to);
        let (mut any, mut failure) = (false, None);
        while let Some(rows) = matches.next_rows(context.stores)? {
            for (row, state) in rows {
                any = true;
                self.waiting.matched(other, &key.encoded, row.timestamp, row.number, context.stores)?;
                match self.joined(side, record, state.value, record.timestamp.max(row.timestamp)) {
                    Ok(joined) => context.forward(joined),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        Ok((any, failure))
    }
}

impl Operator for StreamStreamJoin {
    fn process(&mut self, side: usize, record: Record, context: &mut OperatorContext<'_>) -> Result<()> {
        let now = self.time.observe(record.timestamp);
        if record.value.is_null() {
            context.drop_record(DropReason::NullValue);
            return Ok(());
        }
        let Some(key) = record.key.clone() else {
            if self.is_outer(side) {
                context.forward(self.joined(side, &record, Value::Null, record.timestamp)?);
            } else {
                context.drop_record(DropReason::NullKey);
            }
            return Ok(());
        };
        let pass = if record.timestamp == now { self.waiting.pass(side, now) } else { None };
        self.arrive(pass, side, record, &key, context)
    }

    fn go_on(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        match self.arriving.take() {
            Some((pass, side, key, record)) => self.arrive(Some(pass), side, record, &key, context),
            None => Ok(()),
        }
    }

    fn keeps_stream_time(&self) -> bool {
        true
    }

    fn stream_time(&self) -> Option<Timestamp> {
        self.time.get()
    }

    fn restore_stream_time(&mut self, timestamp: Timestamp) {
        self.time = StreamTime::restored(Some(timestamp));
    }

    fn progress(&self) -> Vec<(Cow<'static, str>, i64)> {
        let newest = NEWEST.iter().zip(&self.rows).filter_map(|(name, rows)| Some((*name, rows.newest()?)));
        let waiting = self.waiting.since().map(|since| (WAITING, since));
        let number = (self.number > 0).then(|| (NUMBER, i64::try_from(self.number).unwrap_or(i64::MAX)));
        newest.chain(waiting).chain(number).map(|(name, value)| (name.into(), value)).collect()
    }

    fn progress_names(&self) -> &'static [&'static str] {
        &[NEWEST[0], NEWEST[1], WAITING, NUMBER]
    }

    fn restore_progress(&mut self, name: &str, value: i64) {
        match name {
            NUMBER => self.number = u64::try_from(value).unwrap_or(0),
            WAITING => self.waiting.restore(value),
            _ => {
                for (rows, _) in self.rows.iter_mut().zip(NEWEST).filter(|(_, known)| *known == name) {
                    rows.restore(value);
                }
            }
        }
    }
}
