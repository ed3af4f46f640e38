//! The contract of groups: who owns what, who may commit.

use std::collections::BTreeSet;

use super::super::{Log, LogConsumer, LogError};
use super::{BRIEFLY, at, create, eventually, record, values};
use crate::error::{Classified, ErrorClass};
use crate::record::TopicPartition;

/// A member of a group that does what it is told.
pub(crate) struct Member {
    pub(crate) consumer: Box<dyn LogConsumer>,
    pub(crate) owned: BTreeSet<TopicPartition>,
}

impl Member {
    pub(crate) fn join(log: &dyn Log) -> Member {
        let mut consumer = log.member("group", None).unwrap();
        consumer.subscribe(&["in"]).unwrap();
        Member { consumer, owned: BTreeSet::new() }
    }

    /// Polls once; returns whether anything changed.
    fn turn(&mut self) -> bool {
        let Some(rebalance) = self.consumer.poll(1, BRIEFLY).unwrap().rebalance else { return false };
        assert!(rebalance.lost.is_empty(), "{rebalance:?}");
        self.owned.extend(rebalance.assigned);
        if !rebalance.revoked.is_empty() {
            self.consumer.acknowledge_revocation(&rebalance.revoked).unwrap();
            rebalance.revoked.iter().for_each(|partition| assert!(self.owned.remove(partition)));
        }
        true
    }

    /// Polls until it owns as many partitions.
    pub(crate) fn own(&mut self, count: usize) {
        eventually("partitions", || {
            self.turn();
            (self.owned.len() == count).then_some(())
        });
    }

    /// Polls, beside another member, until it is told to give something up.
    pub(crate) fn revoked(&mut self, other: &mut Member) -> Vec<TopicPartition> {
        eventually("a revocation", || {
            assert!(!other.turn(), "nothing is free for the other one yet");
            let rebalance = self.consumer.poll(1, BRIEFLY).unwrap().rebalance.unwrap_or_default();
            (!rebalance.revoked.is_empty()).then_some(rebalance.revoked)
        })
    }
}

/// Lets all members poll until each owns as many partitions as expected, and checks that no partition is owned twice
/// at any time.
fn settle(members: &mut [Member], expected: &[usize]) {
    eventually("the expected shares", || {
        for index in 0..members.len() {
            members[index].turn();
            let mut seen = BTreeSet::new();
            let all = members.iter().flat_map(|member| &member.owned);
            all.for_each(|partition| assert!(seen.insert(partition), "{partition} has two owners"));
        }
        members.iter().map(|member| member.owned.len()).eq(expected.iter().copied()).then_some(())
    });
}

pub(crate) fn partitions_move_between_members_one_owner_at_a_time(log: &dyn Log) {
    create(log, "in", 6);
    let mut members = vec![Member::join(log), Member::join(log)];
    settle(&mut members, &[3, 3]);
    let before = members[0].owned.clone();
    members.push(Member::join(log));
    settle(&mut members, &[2, 2, 2]);
    assert!(members[0].owned.is_subset(&before), "what stays must not move");
    members.truncate(1);
    settle(&mut members, &[6]);
}

pub(crate) fn a_revoked_partition_is_kept_until_acknowledged(log: &dyn Log) {
    create(log, "in", 2);
    let mut first = Member::join(log);
    first.own(2);
    let mut second = Member::join(log);
    let revoked = first.revoked(&mut second);
    assert_eq!(revoked.len(), 1);
    assert!(!second.turn());
    // Time to commit what was done, under the ownership that is not given up yet.
    let mut producer = log.transactional_producer("t").unwrap();
    let group = first.consumer.group_metadata().unwrap();
    producer.begin().unwrap();
    producer.send_offsets(&[(revoked[0].clone(), at(3))], &group).unwrap();
    producer.commit().unwrap();
    first.consumer.acknowledge_revocation(&revoked).unwrap();
    eventually("what was given up", || {
        assert!(!first.turn(), "what stays must not move");
        second.turn();
        second.owned.iter().eq(&revoked).then_some(())
    });
    assert_eq!(second.consumer.committed(&revoked[0]).unwrap(), Some(at(3)));
    // Now it is too late, under the old generation.
    producer.begin().unwrap();
    let sent = producer.send_offsets(&[(revoked[0].clone(), at(4))], &group).unwrap_err();
    assert!(matches!(sent.class(), ErrorClass::TaskMigrated | ErrorClass::Retry), "{sent}");
    producer.abort().unwrap();
}

pub(crate) fn a_member_that_left_cannot_commit(log: &dyn Log) {
    create(log, "in", 1);
    let mut member = Member::join(log);
    member.own(1);
    let group = member.consumer.group_metadata().unwrap();
    let mut producer = log.transactional_producer("t").unwrap();
    producer.begin().unwrap();
    producer.send(record("in", 0, "k", "late")).unwrap();
    drop(member);
    let sent = producer.send_offsets(&[(TopicPartition::new("in", 0), at(1))], &group);
    assert!(matches!(sent, Err(LogError::Fenced(_))), "{sent:?}");
    producer.abort().unwrap();
    assert!(values(log, "in").is_empty());
}

pub(crate) fn a_topic_created_later_is_assigned(log: &dyn Log) {
    let mut member = Member::join(log);
    assert!(!member.turn());
    create(log, "in", 2);
    member.own(2);
}

pub(crate) fn a_group_is_deleted_when_nobody_is_in_it(log: &dyn Log) {
    create(log, "in", 1);
    let input = TopicPartition::new("in", 0);
    let admin = log.admin();
    let mut member = Member::join(log);
    member.own(1);
    member.consumer.commit_offsets(&[(input.clone(), at(5))]).unwrap();
    assert_eq!(admin.group_members("group").unwrap(), 1);
    assert!(matches!(admin.delete_group("group"), Err(LogError::GroupInUse { members: 1, .. })));
    drop(member);
    eventually("its leaving", || (admin.group_members("group").unwrap() == 0).then_some(()));
    let reader = log.consumer(Some("group")).unwrap();
    assert_eq!(reader.committed(&input).unwrap(), Some(at(5)));
    admin.delete_group("group").unwrap();
    assert_eq!(admin.group_members("group").unwrap(), 0);
    assert_eq!(reader.committed(&input).unwrap(), None);
    admin.delete_group("group").unwrap();
}
