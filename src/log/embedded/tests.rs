//! The contract, and what only the embedded log promises: durability, one process at a time, readers beside it.

use std::path::Path;
use std::sync::Arc;

use rocksdb::{DB, Options};

use super::super::contract::{self, Member, SOON, at, create, read, record, text, values, write};
use super::super::{Log, LogError, TopicConfig};
use super::{EmbeddedLog, EmbeddedOptions};
use crate::record::TopicPartition;

fn fresh() -> Arc<EmbeddedLog> {
    EmbeddedLog::in_memory(EmbeddedOptions::default()).unwrap()
}

fn open(directory: &Path) -> Arc<EmbeddedLog> {
    EmbeddedLog::open(directory, EmbeddedOptions::default()).unwrap()
}

/// A test for each function of the contract.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { contract::$name(&*fresh()); })*
    };
}

contract! {
    transactions_are_seen_whole_or_not_at_all,
    an_aborted_transaction_leaves_nothing,
    offsets_are_committed_with_the_records,
    a_newer_producer_fences_the_older,
    partitions_move_between_members_one_owner_at_a_time,
    a_revoked_partition_is_kept_until_acknowledged,
    a_member_that_left_cannot_commit,
    a_topic_created_later_is_assigned,
    headers_nulls_and_order_are_kept,
    partitions_are_read_fairly,
    a_paused_partition_keeps_its_position,
    what_does_not_exist_is_an_error,
    a_topic_is_created_once,
    a_topic_can_be_changed_and_grow,
    a_group_is_deleted_when_nobody_is_in_it,
    a_producer_without_transactions_writes_at_its_commit,
    a_deleted_topic_is_gone_and_may_come_back_empty,
    deleted_records_are_skipped,
    retention_deletes_from_the_front,
    compaction_keeps_the_last_record_of_each_key,
}

#[test]
fn a_waiting_poll_is_woken_by_a_commit() {
    let log: Arc<dyn Log> = fresh();
    contract::a_waiting_poll_is_woken_by_a_commit(&log);
}

#[test]
fn large_records_pass_and_larger_ones_are_refused() {
    contract::large_records_pass_and_larger_ones_are_refused(&*fresh(), EmbeddedOptions::default().max_record_bytes);
}

#[test]
fn everything_committed_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let partition = TopicPartition::new("a", 0);
    for round in 0..3 {
        let log = open(directory.path());
        create(&*log, "a", 2);
        let consumer = log.consumer(Some("group")).unwrap();
        assert_eq!(consumer.end_offset(&partition).unwrap(), round * 100);
        assert_eq!(consumer.committed(&partition).unwrap(), (round > 0).then(|| at(round)));
        let mut producer = log.transactional_producer("t").unwrap();
        producer.begin().unwrap();
        (0..100).for_each(|n| producer.send(record("a", 0, "k", &n.to_string())).unwrap());
        producer.send_offsets(&[(partition.clone(), at(round + 1))], &consumer.group_metadata().unwrap()).unwrap();
        producer.commit().unwrap();
        producer.begin().unwrap();
        producer.send(record("a", 1, "k", "never committed")).unwrap();
    }
    let log = open(directory.path());
    let offsets: Vec<_> = read(&*log, "a", 0).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..300).collect::<Vec<_>>());
    assert!(read(&*log, "a", 1).is_empty());
}

/// What `kill -9` leaves behind is what the files hold while the log is open: a copy of them, half a write included.
#[test]
fn a_process_that_dies_loses_nothing_committed() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&*log, "a", 1);
    for round in 0..20 {
        write(&*log, (0..50).map(|n| record("a", 0, "k", &n.to_string())));
        let copy = tempfile::tempdir().unwrap();
        let mut newest_log = None;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            let target = copy.path().join(entry.file_name());
            std::fs::copy(entry.path(), &target).unwrap();
            if target.extension().is_some_and(|extension| extension == "log") {
                newest_log = newest_log.max(Some(target));
            }
        }
        let mut expected = (round + 1) * 50;
        if round % 2 == 1 {
            // Cut into the last transaction: it must go as a whole.
            let file = std::fs::OpenOptions::new().write(true).open(newest_log.unwrap()).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1 - round as u64).unwrap();
            expected -= 50;
        }
        let survivor = open(copy.path());
        assert_eq!(read(&*survivor, "a", 0).len(), expected);
        write(&*survivor, [record("a", 0, "k", "on")]);
        assert_eq!(read(&*survivor, "a", 0).last().unwrap().offset, expected as i64);
    }
}

#[test]
fn a_second_process_is_told_that_the_log_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let second = EmbeddedLog::open(directory.path(), EmbeddedOptions::default());
    assert!(matches!(second.err().unwrap(), LogError::InUse { .. }));
    drop(first);
    open(directory.path());
}

#[test]
fn a_reader_follows_a_writer() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&*log, "a", 1);
    write(&*log, [record("a", 0, "k", "before")]);
    let reader = EmbeddedLog::open_reader(directory.path()).unwrap();
    let partition = TopicPartition::new("a", 0);
    let mut consumer = reader.consumer(None).unwrap();
    consumer.assign(&partition, 0).unwrap();
    assert_eq!(text(&consumer.poll(9, SOON).unwrap().batches[0].records[0].value), "before");
    write(&*log, [record("a", 0, "k", "after")]);
    create(&*log, "b", 1);
    assert_eq!(text(&consumer.poll(9, SOON).unwrap().batches[0].records[0].value), "after");
    assert_eq!(reader.admin().topics().unwrap().len(), 2);
    write(&*log, [record("b", 0, "k", "elsewhere")]);
    assert_eq!(values(&*reader, "b"), ["elsewhere"]);
    log.admin().delete_records(&partition, 1).unwrap();
    log.admin().clean(0).unwrap();
    write(&*log, [record("a", 0, "k", "cleaned")]);
    assert_eq!(text(&consumer.poll(9, SOON).unwrap().batches[0].records[0].value), "cleaned");
    assert_eq!(values(&*reader, "a"), ["after", "cleaned"]);
    log.admin().delete_topic("b").unwrap();
    assert!(matches!(consumer.end_offset(&TopicPartition::new("b", 0)), Err(LogError::UnknownTopic { .. })));
}

#[test]
fn a_reader_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    create(&*open(directory.path()), "a", 1);
    let reader = EmbeddedLog::open_reader(directory.path()).unwrap();
    let error = reader.transactional_producer("t").err().unwrap();
    assert!(error.to_string().contains("cannot write records: the log in"), "{error}");
    let admin = reader.admin();
    assert!(matches!(admin.create_topic("b", &TopicConfig::new(1)), Err(LogError::ReadOnly { .. })));
    assert!(matches!(admin.delete_topic("a"), Err(LogError::ReadOnly { .. })));
    assert!(matches!(admin.clean(0), Err(LogError::ReadOnly { .. })));
    let subscribed = reader.consumer(Some("group")).unwrap().subscribe(&["a"]);
    assert!(matches!(subscribed, Err(LogError::ReadOnly { .. })));
}

#[test]
fn a_directory_that_is_no_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |directory: &Path| {
        let error = EmbeddedLog::open(directory, EmbeddedOptions::default()).err().unwrap();
        assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("does not hold a signalstream log"), "{error}");
    };
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("letter.txt"), "dear").unwrap();
    refused(&other);
    let database = directory.path().join("database");
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, &database, ["a store"]).unwrap());
    refused(&database);
    let nothing = directory.path().join("nothing");
    assert!(matches!(EmbeddedLog::open_reader(&nothing).err().unwrap(), LogError::Storage { .. }));
    std::fs::create_dir(&nothing).unwrap();
    assert!(matches!(EmbeddedLog::open_reader(&nothing).err().unwrap(), LogError::Corrupt { .. }));
    assert!(matches!(EmbeddedLog::open_reader(&database).err().unwrap(), LogError::Corrupt { .. }));
}

#[test]
fn another_version_of_the_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let families = ["topics", "records", "offsets", "partitions", "meta"];
    let database = DB::open_cf(&Options::default(), directory.path(), families).unwrap();
    database.put_cf(database.cf_handle("meta").unwrap(), "format", "99").unwrap();
    drop(database);
    let error = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).err().unwrap();
    assert!(error.to_string().contains("written in format 99"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_written_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = EmbeddedLog::open(&path, EmbeddedOptions::default()).err().unwrap();
        assert!(error.to_string().contains("a file is in the way"), "{error}");
    }
    let locked = directory.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    let mode = |mode| std::fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o500);
    // The superuser may write anywhere.
    if std::fs::write(locked.join("probe"), "").is_err() {
        let error = EmbeddedLog::open(&locked, EmbeddedOptions::default()).err().unwrap();
        assert!(error.to_string().contains("the right to read and write"), "{error}");
    }
    mode(0o700);
}

/// I6: what a cleaning deletes is gone from the files.
#[test]
fn cleaned_records_leave_no_byte_behind() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let compacted = TopicConfig { compacted: true, ..TopicConfig::new(1) };
    log.admin().create_topic("table", &compacted).unwrap();
    log.admin().create_topic("brief", &TopicConfig { retention: Some(10), ..TopicConfig::new(1) }).unwrap();
    for topic in ["purged", "dropped", "kept"] {
        create(&*log, topic, 1);
    }
    for round in 0..3 {
        // Also old bytes in files at the bottom.
        for topic in ["table", "brief", "purged", "dropped", "kept"] {
            let value = |n| format!("{topic}-needle-{round}-{n}");
            write(&*log, (0..20).map(|n| record(topic, 0, &format!("{n}"), &value(n))));
        }
        log.shared.storage.erase(&[]).unwrap();
    }
    write(&*log, (0..20).map(|n| record("table", 0, &format!("{n}"), "erased")));
    log.admin().delete_records(&TopicPartition::new("purged", 0), 60).unwrap();
    log.admin().delete_topic("dropped").unwrap();
    log.admin().clean(1_000_000).unwrap();
    let found = |needle: &str| {
        std::fs::read_dir(directory.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    };
    for topic in ["table", "brief", "purged", "dropped"] {
        assert!(!found(&format!("{topic}-needle")), "{topic}");
    }
    assert!(found("kept-needle"));
    assert_eq!(values(&*log, "table").len(), 20);
    assert_eq!(values(&*log, "kept").len(), 60);
}

#[test]
fn threads_commit_and_read_side_by_side() {
    let log = fresh();
    create(&*log, "a", 4);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let mut producer = log.transactional_producer(&format!("t{writer}")).unwrap();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    producer.begin().unwrap();
                    for n in 0..8 {
                        producer.send(record("a", n % 4, &writer.to_string(), "v")).unwrap();
                    }
                    producer.commit().unwrap();
                }
            })
        })
        .collect();
    let mut consumer = log.consumer(None).unwrap();
    (0..4).for_each(|partition| consumer.assign(&TopicPartition::new("a", partition), 0).unwrap());
    let mut next = [0; 4];
    while next.iter().sum::<i64>() < 3_200 {
        for batch in consumer.poll(50, SOON).unwrap().batches {
            for record in batch.records {
                let expected = &mut next[batch.partition.partition as usize];
                assert_eq!(record.offset, *expected);
                *expected += 1;
            }
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn a_reader_goes_on_when_the_writer_starts_anew() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&*log, "a", 1);
    let reader = EmbeddedLog::open_reader(directory.path()).unwrap();
    let mut consumer = reader.consumer(None).unwrap();
    consumer.assign(&TopicPartition::new("a", 0), 0).unwrap();
    drop(log);
    for round in 0..5 {
        let writer = open(directory.path());
        write(&*writer, (0..10).map(|n| record("a", 0, "k", &n.to_string())));
        let records = consumer.poll(100, SOON).unwrap().batches.remove(0).records;
        assert_eq!(records.first().unwrap().offset, round * 10);
        assert_eq!(records.len(), 10);
    }
}

#[test]
#[ignore = "needs a small disk of its own, named by SMALL_DISK"]
fn a_full_disk_is_reported_and_loses_nothing_committed() {
    let directory = Path::new(&std::env::var("SMALL_DISK").unwrap()).join("log");
    let log = open(&directory);
    create(&*log, "a", 1);
    let mut producer = log.transactional_producer("t").unwrap();
    let value =
        (0..100_000u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8)).collect::<String>();
    let mut committed = 0;
    let error = loop {
        producer.begin().unwrap();
        producer.send(record("a", 0, "k", &value)).unwrap();
        match producer.commit() {
            Ok(_) => committed += 1,
            Err(error) => break error,
        }
    };
    eprintln!("{committed}: {error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    drop((producer, log));
    let reopened = EmbeddedLog::open(&directory, EmbeddedOptions::default());
    eprintln!("{:?}", reopened.as_ref().err().map(|error| error.to_string()));
    let log = reopened.unwrap();
    assert_eq!(read(&*log, "a", 0).len(), committed);
}

#[test]
fn a_reader_keeps_up_with_a_writer_that_cleans() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&*log, "a", 1);
    let partition = TopicPartition::new("a", 0);
    let writer = {
        let (log, partition) = (Arc::clone(&log), partition.clone());
        std::thread::spawn(move || {
            for round in 1..=100 {
                write(&*log, (0..100).map(|n| record("a", 0, "k", &n.to_string())));
                log.admin().delete_records(&partition, round * 100 - 50).unwrap();
                log.admin().clean(0).unwrap();
            }
        })
    };
    for _ in 0..10 {
        let reader = EmbeddedLog::open_reader(directory.path()).unwrap();
        let mut consumer = reader.consumer(None).unwrap();
        consumer.assign(&partition, consumer.beginning_offset(&partition).unwrap()).unwrap();
        for _ in 0..10 {
            for batch in consumer.poll(1_000, SOON).unwrap().batches {
                batch.records.windows(2).for_each(|pair| assert!(pair[0].offset < pair[1].offset));
            }
            if consumer.position(&partition) == Some(10_000) {
                break;
            }
        }
    }
    writer.join().unwrap();
    let reader = EmbeddedLog::open_reader(directory.path()).unwrap();
    assert_eq!(read(&*reader, "a", 0).len(), 50);
}

/// Kafka knows a member's generation only; here, who owns what decides.
#[test]
fn what_was_given_up_cannot_be_committed_in_any_generation() {
    let log = fresh();
    create(&*log, "in", 2);
    let mut first = Member::join(&*log);
    first.own(2);
    let mut second = Member::join(&*log);
    let revoked = first.revoked(&mut second);
    first.consumer.acknowledge_revocation(&revoked).unwrap();
    second.own(1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let group = first.consumer.group_metadata().unwrap();
    let sent = producer.send_offsets(&[(revoked[0].clone(), at(4))], &group);
    assert!(matches!(sent, Err(LogError::Fenced(_))), "{sent:?}");
}

#[test]
fn a_member_that_leaves_between_its_offsets_and_the_commit_is_fenced() {
    let log = fresh();
    create(&*log, "in", 1);
    let mut member = Member::join(&*log);
    member.own(1);
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    let group = member.consumer.group_metadata().unwrap();
    producer.send_offsets(&[(TopicPartition::new("in", 0), at(1))], &group).unwrap();
    drop(member);
    assert!(matches!(producer.commit(), Err(LogError::Fenced(_))));
}

/// What a consumer has not fetched yet may go before it comes to it.
#[test]
fn a_consumer_skips_what_is_deleted_before_it_reads_it() {
    let log = fresh();
    create(&*log, "a", 1);
    write(&*log, (0..3).map(|n| record("a", 0, "k", &n.to_string())));
    let partition = TopicPartition::new("a", 0);
    let mut consumer = log.consumer(None).unwrap();
    consumer.assign(&partition, 0).unwrap();
    log.admin().delete_records(&partition, 2).unwrap();
    let batches = consumer.poll(10, SOON).unwrap().batches;
    assert_eq!(batches[0].records.iter().map(|record| record.offset).collect::<Vec<_>>(), [2]);
}
