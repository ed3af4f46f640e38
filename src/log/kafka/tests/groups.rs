//! What is asked of groups while a broker gives no answer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::Log;
use super::super::super::contract::{create, eventually};
use super::super::{KafkaLog, KafkaSettings};
use super::harness::{Cluster, Fault, Options};
use crate::record::TopicPartition;

#[test]
fn what_members_own_is_known_while_a_broker_is_silent_that_does_not_lead_their_group() {
    let cluster = Cluster::with(Options::brokers(3).proxied());
    let log = KafkaLog::open(KafkaSettings::new(cluster.bootstrap_servers())).unwrap();
    create(&*log, "a", 2);
    let mut member = log.member("group", None).unwrap();
    member.subscribe(&["a"]).unwrap();
    let admin = log.admin();
    let all: BTreeSet<TopicPartition> = [0, 1].map(|number| TopicPartition::new("a", number)).into();
    eventually("the member has all", || {
        member.poll(0, Duration::from_millis(50)).unwrap();
        // A coordinator that has just come to lead may have to read what there is first.
        (admin.owned_partitions("group").ok().flatten().as_ref() == Some(&all)).then_some(())
    });
    let known = (1..=3).filter(|node| {
        cluster.proxy(*node).set(Fault::BlackHole);
        let owned = admin.owned_partitions("group");
        cluster.proxy(*node).set(Fault::None);
        owned.ok().flatten().as_ref() == Some(&all)
    });
    assert_eq!(known.count(), 2, "one of the three leads it");
    assert_eq!(admin.group_members("group").unwrap(), 1);
}
