//! Deletes what retention and compaction no longer keep, down to the bytes in the files (I6).
//!
//! What is deleted is first marked in one write with the partition's new bounds, then compacted out of RocksDB's
//! files. A note of the range stays in the partition's state until that is done, so that a crash between the two
//! leaves nothing behind for longer than the next cleaning.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::{Result, TopicConfig};
use super::catalogue::Partition;
use super::encoding::{Kept, PartitionPart, RecordView, record_key, to_bytes, view_record};
use super::storage::{Durability, Family, SMALL_BATCH};
use super::{Shared, lock};
use crate::time::Timestamp;

/// Bytes of keys that one pass of compaction may hold in memory (I9); more keys take more passes.
const MAX_PASS_BYTES: usize = 64 << 20;

/// What an entry of the map costs besides its key.
const ENTRY_BYTES: usize = 64;

/// Runs of deleted records that are written at once.
const MAX_RUNS: usize = 10_000;

/// How many horizons there are in a period of `delete_retention`: a tombstone may stay that part longer.
const HORIZONS: i64 = 16;

/// The last offset of each key.
type LastOffsets = HashMap<Box<[u8]>, i64, ahash::RandomState>;

/// Deletes what the topics' configurations no longer keep at `now`. Returns when the bytes are gone.
pub(super) fn clean(shared: &Shared, now: Timestamp) -> Result<()> {
    let _maintenance = lock(&shared.maintenance);
    let topics: Vec<_> = lock(&shared.state).catalogue.topics().cloned().collect();
    let mut unerased = Vec::new();
    for topic in &topics {
        for partition in &topic.partitions {
            let kept = clean_partition(shared, &topic.config, partition, now)?;
            if let Some((from, to)) = kept.unerased {
                let (topic, number) = partition.id();
                unerased.push((partition, kept, (record_key(topic, number, from), record_key(topic, number, to))));
            }
        }
    }
    if unerased.is_empty() {
        return Ok(());
    }
    let ranges: Vec<_> = unerased.iter().map(|(_, _, range)| *range).collect();
    shared.storage.erase(&ranges)?;
    for (partition, erased, _) in unerased {
        let _cleaning = partition.cleaning();
        let mut kept = partition.kept(&shared.storage)?;
        // If more was deleted meanwhile, the next cleaning looks after all of it.
        if kept.unerased == erased.unerased {
            kept.unerased = None;
            save(shared, partition, &kept, &[])?;
        }
    }
    Ok(())
}

/// Moves the log start to `offset`, if it is before it. The records go from the database once `step` are to go.
pub(super) fn delete_before(shared: &Shared, partition: &Arc<Partition>, offset: i64, step: i64) -> Result<()> {
    let _cleaning = partition.cleaning();
    let mut kept = partition.kept(&shared.storage)?;
    if offset <= kept.start || partition.is_deleted() {
        return Ok(());
    }
    kept.start = offset;
    if kept.start - kept.purged >= step {
        purge(shared, partition, &mut kept)
    } else {
        save(shared, partition, &kept, &[])
    }
}

fn clean_partition(shared: &Shared, config: &TopicConfig, partition: &Partition, now: Timestamp) -> Result<Kept> {
    let _cleaning = partition.cleaning();
    let mut kept = partition.kept(&shared.storage)?;
    if let Some(retention) = config.retention {
        kept.start = first_since(shared, partition, kept.start, now.saturating_sub(retention))?;
    }
    if kept.start > kept.purged {
        purge(shared, partition, &mut kept)?;
    }
    if config.compacted {
        compact(shared, partition, &mut kept, config.delete_retention, now)?;
    }
    Ok(kept)
}

/// Deletes everything before the log start.
fn purge(shared: &Shared, partition: &Partition, kept: &mut Kept) -> Result<()> {
    let run = (kept.purged, kept.start);
    kept.purged = kept.start;
    kept.note_unerased(run);
    save(shared, partition, kept, &[run])
}

/// The first offset from `start` on whose record is not older than `oldest`.
fn first_since(shared: &Shared, partition: &Partition, start: i64, oldest: Timestamp) -> Result<i64> {
    let end = partition.next();
    let mut first = end;
    shared.storage.records(partition.id(), start, end, |offset, stored| {
        if view(shared, partition, offset, stored)?.timestamp < oldest {
            return Ok(ControlFlow::Continue(()));
        }
        first = offset;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first.max(start))
}

/// Keeps only the last record of each key.
fn compact(
    shared: &Shared,
    partition: &Partition,
    kept: &mut Kept,
    delete_retention: i64,
    now: Timestamp,
) -> Result<()> {
    let end = partition.next();
    kept.note_horizon(end, now, delete_retention);
    let droppable = kept.droppable(now, delete_retention);
    let due = kept.first_tombstone.is_some_and(|first| first < droppable);
    if kept.compacted >= end && !due {
        return Ok(());
    }
    loop {
        let (last, upto) = last_offsets(shared, partition, kept.compacted.max(kept.start), end)?;
        thin_out(shared, partition, kept, &last, upto, droppable)?;
        if upto >= end {
            return Ok(());
        }
    }
}

/// Collects the last offset of each key from `from` on. Returns them and the offset they reach to.
fn last_offsets(shared: &Shared, partition: &Partition, from: i64, end: i64) -> Result<(LastOffsets, i64)> {
    let mut last = LastOffsets::default();
    let mut bytes = 0;
    let mut upto = end;
    shared.storage.records(partition.id(), from, end, |offset, stored| {
        let Some(key) = view(shared, partition, offset, stored)?.key else { return Ok(ControlFlow::Continue(())) };
        match last.get_mut(key) {
            Some(known) => *known = offset,
            None => {
                bytes += key.len() + ENTRY_BYTES;
                last.insert(key.into(), offset);
            }
        }
        if bytes < MAX_PASS_BYTES {
            return Ok(ControlFlow::Continue(()));
        }
        upto = offset + 1;
        Ok(ControlFlow::Break(()))
    })?;
    Ok((last, upto))
}

/// Deletes, before `upto`, the records that `last` has a later one for, and the tombstones before `droppable`.
fn thin_out(
    shared: &Shared,
    partition: &Partition,
    kept: &mut Kept,
    last: &LastOffsets,
    upto: i64,
    droppable: i64,
) -> Result<()> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    let mut first_tombstone = None;
    let mut adjoins = false;
    let start = kept.start;
    shared.storage.records(partition.id(), start, upto, |offset, stored| {
        let record = view(shared, partition, offset, stored)?;
        let replaced = record.key.and_then(|key| last.get(key)).is_some_and(|last| *last > offset);
        let deleted = replaced || record.tombstone && offset < droppable;
        if !deleted {
            if record.tombstone {
                first_tombstone.get_or_insert(offset);
            }
        } else if let (true, Some(run)) = (adjoins, runs.last_mut()) {
            run.1 = offset + 1;
        } else {
            if runs.len() >= MAX_RUNS {
                // What replaces a record is deleted, if at all, after it: in this write or a later one.
                delete(shared, partition, kept, &mut runs)?;
            }
            runs.push((offset, offset + 1));
        }
        adjoins = deleted;
        Ok(ControlFlow::Continue(()))
    })?;
    kept.compacted = upto;
    kept.first_tombstone = first_tombstone;
    delete(shared, partition, kept, &mut runs)
}

fn delete(shared: &Shared, partition: &Partition, kept: &mut Kept, runs: &mut Vec<(i64, i64)>) -> Result<()> {
    if let (Some(first), Some(last)) = (runs.first(), runs.last()) {
        kept.note_unerased((first.0, last.1));
    }
    save(shared, partition, kept, runs)?;
    runs.clear();
    Ok(())
}

/// Deletes runs of records and saves the partition's bounds, in one write.
fn save(shared: &Shared, partition: &Partition, kept: &Kept, runs: &[(i64, i64)]) -> Result<()> {
    let stored = to_bytes(kept).map_err(|detail| shared.storage.corrupt(detail))?;
    let (topic, number) = partition.id();
    shared.storage.write(Durability::Repeatable, SMALL_BATCH, |batch| {
        for &(from, to) in runs {
            if to - from == 1 {
                batch.delete(Family::Records, &record_key(topic, number, from));
            } else {
                batch.delete_range(Family::Records, &record_key(topic, number, from), &record_key(topic, number, to));
            }
        }
        batch.put(Family::Partitions, &partition.key(PartitionPart::Kept), &stored);
    })?;
    partition.set_start(kept.start);
    Ok(())
}

fn view<'a>(shared: &Shared, partition: &Partition, offset: i64, stored: &'a [u8]) -> Result<RecordView<'a>> {
    let damaged = || shared.storage.corrupt(format!("the record at offset {offset} of {} is damaged", partition.name));
    view_record(stored).ok_or_else(damaged)
}

impl Kept {
    fn note_unerased(&mut self, (from, to): (i64, i64)) {
        let (known_from, known_to) = self.unerased.unwrap_or((from, to));
        self.unerased = Some((known_from.min(from), known_to.max(to)));
    }

    /// Notes that the compaction at `now` sees everything before `end`.
    fn note_horizon(&mut self, end: i64, now: Timestamp, delete_retention: i64) {
        let (seen, at) = self.horizons.last().copied().unwrap_or((0, Timestamp::MIN));
        if end > seen && now.saturating_sub(at) >= delete_retention / HORIZONS {
            self.horizons.push((end, now));
        }
    }

    /// The offset before which every tombstone is old enough to go. Forgets the horizons that it makes needless.
    fn droppable(&mut self, now: Timestamp, delete_retention: i64) -> i64 {
        let old = |(_, at): &(i64, Timestamp)| at.saturating_add(delete_retention) <= now;
        let Some(newest) = self.horizons.iter().rposition(old) else { return 0 };
        self.horizons.drain(..newest);
        self.horizons.first().map_or(0, |(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_stay_few_however_often_the_log_is_cleaned() {
        let mut kept = Kept::default();
        for minute in 1..5_000 {
            kept.note_horizon(minute, minute * 60_000, 86_400_000);
            let droppable = kept.droppable(minute * 60_000, 86_400_000);
            assert!(droppable <= (minute - 1_440).max(0));
            assert!(minute < 1_600 || droppable >= minute - 1_440 - 91);
            assert!(kept.horizons.len() <= HORIZONS as usize + 2);
        }
    }
}
