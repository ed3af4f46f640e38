//! Which member of a consumer group owns which partitions: sticky, balanced, and cooperative.
//!
//! A group has a *target*: who shall own what. It is drawn anew when a member joins or leaves or a subscribed
//! topic comes or goes, moving as little as it can. What a member *owns* follows its target one poll at a time:
//! it is told what to give up, and keeps it until it acknowledges; only then is the partition handed to its new
//! owner. So no partition has two owners at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{GroupMetadata, LogError, Rebalance, Result};
use super::catalogue::Catalogue;
use crate::record::TopicPartition;

/// All groups, by name.
#[derive(Default)]
pub(super) struct Groups(BTreeMap<String, Group>);

/// A group's members.
#[derive(Default)]
struct Group {
    generation: i32,
    members: BTreeMap<u64, Member>,
    next_member: u64,
}

#[derive(Default)]
struct Member {
    topics: BTreeSet<Arc<str>>,
    /// What it shall own.
    target: BTreeSet<TopicPartition>,
    /// What it owns: has been told to, and has not acknowledged to give up.
    owned: BTreeSet<TopicPartition>,
    /// What of that it has been told to give up.
    revoking: BTreeSet<TopicPartition>,
    /// The group's generation when what it owns last changed.
    generation: i32,
}

impl Groups {
    /// Adds a member and returns its number.
    pub(super) fn join(&mut self, group: &str, topics: BTreeSet<Arc<str>>, catalogue: &Catalogue) -> u64 {
        let group = self.0.entry(group.to_owned()).or_default();
        group.next_member += 1;
        let number = group.next_member;
        group.members.insert(number, Member { topics, ..Member::default() });
        group.draw(catalogue);
        if let Some(member) = group.members.get_mut(&number) {
            member.generation = group.generation;
        }
        number
    }

    /// Changes what a member subscribes to.
    pub(super) fn resubscribe(&mut self, group: &str, member: u64, topics: BTreeSet<Arc<str>>, catalogue: &Catalogue) {
        let Some(group) = self.0.get_mut(group) else { return };
        if let Some(member) = group.members.get_mut(&member) {
            member.topics = topics;
            group.draw(catalogue);
        }
    }

    /// Takes a member out; what it owned is free at once.
    pub(super) fn leave(&mut self, group: &str, member: u64, catalogue: &Catalogue) {
        if let Some(group) = self.0.get_mut(group)
            && group.members.remove(&member).is_some()
        {
            group.draw(catalogue);
        }
    }

    /// How many members a group has.
    pub(super) fn members(&self, group: &str) -> usize {
        self.0.get(group).map_or(0, |group| group.members.len())
    }

    /// Takes into account that topics came or went.
    pub(super) fn topics_changed(&mut self, catalogue: &Catalogue) {
        for group in self.0.values_mut() {
            group.draw(catalogue);
        }
    }

    /// Whether [`Groups::rebalance`] has something to tell the member.
    pub(super) fn is_pending(&self, group: &str, member: u64) -> bool {
        let Some(group) = self.0.get(group) else { return false };
        let Some(member) = group.members.get(&member) else { return false };
        group.to_revoke(member).next().is_some() || group.to_assign(member).next().is_some()
    }

    /// Tells a member what to give up and hands it what is free for it.
    pub(super) fn rebalance(&mut self, group: &str, number: u64) -> Option<Rebalance> {
        let group = self.0.get_mut(group)?;
        let member = group.members.get(&number)?;
        let revoked: Vec<_> = group.to_revoke(member).cloned().collect();
        let assigned: Vec<_> = group.to_assign(member).cloned().collect();
        if revoked.is_empty() && assigned.is_empty() {
            return None;
        }
        let member = group.members.get_mut(&number)?;
        member.revoking.extend(revoked.iter().cloned());
        member.owned.extend(assigned.iter().cloned());
        member.generation = group.generation;
        Some(Rebalance { revoked, assigned, lost: Vec::new() })
    }

    /// Takes from a member what it was told to give up.
    pub(super) fn acknowledge(&mut self, group: &str, number: u64, partitions: &[TopicPartition]) -> Result<()> {
        let Some(group) = self.0.get_mut(group) else { return Ok(()) };
        let Some(member) = group.members.get_mut(&number) else { return Ok(()) };
        for partition in partitions {
            if member.owned.contains(partition) && !member.revoking.contains(partition) {
                return Err(LogError::IllegalState(format!(
                    "{partition} was not revoked, but its revocation acknowledged"
                )));
            }
        }
        for partition in partitions {
            member.revoking.remove(partition);
            member.owned.remove(partition);
        }
        member.generation = group.generation;
        Ok(())
    }

    /// What a member commits under.
    pub(super) fn metadata(&self, group: &str, number: Option<u64>) -> GroupMetadata {
        let member = number.and_then(|number| Some((number, self.0.get(group)?.members.get(&number)?)));
        match member {
            Some((number, member)) => GroupMetadata {
                group: group.to_owned(),
                member: member_name(group, number),
                instance: None,
                generation: member.generation,
            },
            // As in Kafka, a consumer that does not subscribe is nobody to the group.
            None => GroupMetadata { group: group.to_owned(), member: String::new(), instance: None, generation: -1 },
        }
    }

    /// Whether the group still goes along with what `metadata` says, and takes commits for these partitions from it.
    ///
    /// A member is stale when what it owns changed since it asked for its metadata, not when another member joined
    /// meanwhile: partitions move only with their owner's consent. Of the topics that it subscribes to, it may only
    /// commit partitions that it owns. Who is nobody may commit as long as the group has no members.
    pub(super) fn check<'a>(
        &self,
        metadata: &GroupMetadata,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<()> {
        let fenced = |what: &str| {
            Err(LogError::Fenced(format!("{what} of group `{}` was replaced by a newer one", metadata.group)))
        };
        let members = self.0.get(&metadata.group).map(|group| &group.members);
        if metadata.member.is_empty() {
            return match members {
                Some(members) if !members.is_empty() => fenced("a consumer that is no member"),
                _ => Ok(()),
            };
        }
        let named = |(number, _): &(&u64, &Member)| member_name(&metadata.group, **number) == metadata.member;
        let Some((_, member)) = members.and_then(|members| members.iter().find(named)) else {
            return fenced(&format!("member `{}`", metadata.member));
        };
        if member.generation != metadata.generation {
            return fenced(&format!("member `{}` in generation {}", metadata.member, metadata.generation));
        }
        match partitions.find(|name| member.topics.contains(&name.topic) && !member.owned.contains(*name)) {
            Some(partition) => fenced(&format!("member `{}`, which does not own {partition},", metadata.member)),
            None => Ok(()),
        }
    }
}

impl Group {
    fn to_revoke<'a>(&self, member: &'a Member) -> impl Iterator<Item = &'a TopicPartition> {
        member.owned.difference(&member.target).filter(|partition| !member.revoking.contains(*partition))
    }

    fn to_assign<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a TopicPartition> {
        member.target.iter().filter(|partition| self.members.values().all(|other| !other.owned.contains(*partition)))
    }

    /// Draws the target anew.
    fn draw(&mut self, catalogue: &Catalogue) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let topics: BTreeSet<_> = self.members.values().flat_map(|member| member.topics.iter().cloned()).collect();
        let partitions = topics.iter().filter_map(|name| catalogue.find(name)).flat_map(|topic| &topic.partitions);
        let partitions: BTreeSet<TopicPartition> = partitions.map(|partition| partition.name.clone()).collect();
        for member in self.members.values_mut() {
            let stays = |name: &TopicPartition| partitions.contains(name) && member.topics.contains(&name.topic);
            member.target.retain(stays);
            // A deleted topic's partition has nothing left to commit, so nobody is asked to give it up.
            member.owned.retain(|name| catalogue.find(&name.topic).is_some());
            member.revoking.retain(|name| catalogue.find(&name.topic).is_some());
        }
        for partition in partitions {
            if self.members.values().any(|member| member.target.contains(&partition)) {
                continue;
            }
            let able = self.members.values_mut().filter(|member| member.topics.contains(&partition.topic));
            if let Some(member) = able.min_by_key(|member| member.target.len()) {
                member.target.insert(partition);
            }
        }
        while self.level_one() {}
    }

    /// Moves one partition from a member with at least two more than another that could have it.
    fn level_one(&mut self) -> bool {
        let mut best: Option<(usize, u64, u64, TopicPartition)> = None;
        for (&from, heavy) in &self.members {
            for (&to, light) in &self.members {
                let surplus = heavy.target.len().saturating_sub(light.target.len());
                if surplus < 2 || best.as_ref().is_some_and(|(most, ..)| *most >= surplus) {
                    continue;
                }
                // Rather one that nobody works on yet.
                let able = heavy.target.iter().filter(|name| light.topics.contains(&name.topic));
                if let Some(partition) = able.max_by_key(|name| (!heavy.owned.contains(*name), (*name).clone())) {
                    best = Some((surplus, from, to, partition.clone()));
                }
            }
        }
        let Some((_, from, to, partition)) = best else { return false };
        if let Some(heavy) = self.members.get_mut(&from) {
            heavy.target.remove(&partition);
        }
        if let Some(light) = self.members.get_mut(&to) {
            light.target.insert(partition);
        }
        true
    }
}

fn member_name(group: &str, number: u64) -> String {
    format!("{group}-{number}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::TopicConfig;
    use super::super::catalogue::Topic;
    use super::*;

    /// What a member believes.
    #[derive(Default)]
    struct Believer {
        number: u64,
        owned: BTreeSet<TopicPartition>,
        revoking: Vec<TopicPartition>,
    }

    impl Believer {
        fn poll(&mut self, groups: &mut Groups) -> bool {
            assert!(groups.is_pending("g", self.number) || groups.rebalance("g", self.number).is_none());
            let Some(rebalance) = groups.rebalance("g", self.number) else { return false };
            rebalance.assigned.into_iter().for_each(|partition| assert!(self.owned.insert(partition)));
            assert!(rebalance.revoked.iter().all(|partition| self.owned.contains(partition)));
            self.revoking.extend(rebalance.revoked);
            true
        }

        fn acknowledge(&mut self, groups: &mut Groups) -> bool {
            groups.acknowledge("g", self.number, &self.revoking).unwrap();
            self.revoking.drain(..).map(|partition| assert!(self.owned.remove(&partition))).count() > 0
        }
    }

    fn each_is_owned_once(members: &[Believer]) {
        let mut seen = BTreeSet::new();
        for partition in members.iter().flat_map(|member| &member.owned) {
            assert!(seen.insert(partition), "{partition} has two owners");
        }
    }

    proptest! {
        #[test]
        fn whatever_members_do_each_partition_has_one_owner_and_in_the_end_all_have_their_share(
            partitions in 1..20,
            steps in proptest::collection::vec((0..4, 0..8usize), 0..60),
        ) {
            let mut catalogue = Catalogue::default();
            catalogue.insert(Arc::new(Topic::new("in", 0, TopicConfig::new(partitions))));
            let mut groups = Groups::default();
            let mut members: Vec<Believer> = Vec::new();
            for (action, which) in steps {
                let index = which.checked_rem(members.len());
                match (action, index) {
                    (0, _) | (_, None) => {
                        let number = groups.join("g", ["in".into()].into(), &catalogue);
                        members.push(Believer { number, ..Believer::default() });
                    }
                    (1, Some(index)) => groups.leave("g", members.swap_remove(index).number, &catalogue),
                    (2, Some(index)) => _ = members[index].poll(&mut groups),
                    (_, Some(index)) => _ = members[index].acknowledge(&mut groups),
                }
                each_is_owned_once(&members);
            }
            let mut changed = true;
            while changed {
                changed = false;
                for index in 0..members.len() {
                    changed |= members[index].poll(&mut groups);
                    changed |= members[index].acknowledge(&mut groups);
                    each_is_owned_once(&members);
                }
            }
            let shares: Vec<_> = members.iter().map(|member| member.owned.len()).collect();
            if let (Some(most), Some(least)) = (shares.iter().max(), shares.iter().min()) {
                prop_assert_eq!(shares.iter().sum::<usize>(), partitions as usize);
                prop_assert!(most - least <= 1, "{:?}", shares);
            }
        }
    }
}
