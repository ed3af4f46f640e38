//! A member of a group: learns what it owns, and gives it up only when it is told to.
//!
//! The topic that it subscribes to has a partition per task and no records. What it owns is paused at once, so that it
//! fetches nothing. librdkafka waits with a rebalance until a revocation is answered: that is when the engine commits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::super::{CommittedOffset, GroupMetadata, LogConsumer, LogError, Polled, Rebalance, Result, Waker};
use super::Shared;
use super::connection::{Context, Signal, Waited, lock};
use super::error::{Access, failed};
use super::native;
use super::offsets::code;
use super::producer::offsets_list;
use super::settings::{Role, refused_setting};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};

/// How long a poll waits at most before it looks at everything again.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A member of a group.
pub(super) struct KafkaMember {
    consumer: BaseConsumer<MemberContext>,
    shared: Arc<Shared>,
    group: String,
    signal: Arc<Signal>,
}

/// Hears of rebalances, while the consumer is polled.
struct MemberContext {
    connection: Context,
    changes: Mutex<Changes>,
    /// The member leaves: nobody will answer a revocation any more.
    leaving: AtomicBool,
}

#[derive(Default)]
struct Changes {
    /// What the next poll tells.
    untold: Rebalance,
    /// What librdkafka waits for to be given up, and what of it the engine has not acknowledged yet.
    revoking: Vec<TopicPartition>,
    unacknowledged: BTreeSet<TopicPartition>,
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = named(list);
        let mut changes = lock(&self.changes);
        let answered = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // A broker said so. A revocation may be librdkafka's own, after a session without brokers.
            self.connection.outage.answered();
            // Where it would begin does not matter; saying so saves a question.
            let at_end = list.set_all_offsets(Offset::End);
            let owned = at_end.and_then(|()| consumer.incremental_assign(list)).and_then(|()| consumer.pause(list));
            changes.untold.assigned.extend(partitions);
            owned
        } else if consumer.assignment_lost() || self.leaving.load(Ordering::Acquire) {
            let Changes { untold, revoking, unacknowledged } = &mut *changes;
            for partition in partitions {
                untold.assigned.retain(|assigned| *assigned != partition);
                untold.revoked.retain(|revoked| *revoked != partition);
                revoking.retain(|revoking| *revoking != partition);
                unacknowledged.remove(&partition);
                untold.lost.push(partition);
            }
            consumer.incremental_unassign(list)
        } else {
            let Changes { untold, revoking, unacknowledged } = &mut *changes;
            for partition in partitions {
                revoking.push(partition.clone());
                unacknowledged.insert(partition.clone());
                // What the engine has not heard of it need not give up, but the answer below is still due.
                if untold.assigned.contains(&partition) {
                    untold.assigned.retain(|assigned| *assigned != partition);
                    unacknowledged.remove(&partition);
                } else {
                    untold.revoked.push(partition);
                }
            }
            give_up(consumer, &mut changes)
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "a rebalance could not be answered");
        }
    }
}

/// Answers a revocation once all of it is acknowledged. librdkafka takes the answer for the whole.
fn give_up(consumer: &BaseConsumer<MemberContext>, changes: &mut Changes) -> Result<(), KafkaError> {
    if changes.revoking.is_empty() || !changes.unacknowledged.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(changes.revoking.len());
    for partition in changes.revoking.drain(..) {
        list.add_partition(&partition.topic, partition.partition);
    }
    consumer.incremental_unassign(&list)
}

fn named(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let mut topic: Arc<str> = Arc::from("");
    let name = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        if *element.topic() != *topic {
            topic = element.topic().into();
        }
        TopicPartition::new(Arc::clone(&topic), element.partition())
    };
    elements.iter().map(name).collect()
}

impl KafkaMember {
    pub(super) fn open(shared: Arc<Shared>, group: &str, instance: Option<&str>) -> Result<Self> {
        let mut config = shared.settings.config(Role::Member);
        config.set("group.id", group);
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let context = MemberContext {
            connection: Context::new(&shared.outage),
            changes: Mutex::default(),
            leaving: AtomicBool::new(false),
        };
        let mut consumer: BaseConsumer<MemberContext> = config.create_with_context(context).map_err(refused_setting)?;
        let signal = Arc::<Signal>::default();
        let news = Arc::clone(&signal);
        consumer.set_nonempty_callback(move || news.news());
        Ok(KafkaMember { consumer, shared, group: group.to_owned(), signal })
    }

    /// Hears what there is to hear, without waiting.
    fn hear(&self) -> Result<()> {
        while let Some(heard) = self.consumer.poll(Duration::ZERO) {
            match heard {
                // There are no records; one that was put there by mistake is nobody's.
                Ok(_) | Err(KafkaError::PartitionEOF(_)) => {}
                Err(KafkaError::MessageConsumptionFatal(code)) => {
                    return Err(LogError::Fenced(format!(
                        "the member of group `{}` was replaced by a newer instance ({code})",
                        self.group
                    )));
                }
                Err(error) => self.judge(code(&error))?,
            }
        }
        Ok(())
    }

    /// What an error means for the member; librdkafka itself deals with most.
    fn judge(&self, code: Code) -> Result<()> {
        let action = || format!("being a member of group `{}`", self.group);
        match code {
            Code::GroupAuthorizationFailed => {
                Err(failed(action(), code, Access::Group(&self.group, "Read"), &self.shared.outage))
            }
            Code::TopicAuthorizationFailed => {
                let access = Access::Topic(&self.group, "Describe and Read");
                match failed(action(), code, access, &self.shared.outage) {
                    LogError::Denied { action, .. } => Err(LogError::Denied {
                        action,
                        remedy: "add an ACL: allow Describe and Read on the application's tasks topic".to_owned(),
                    }),
                    other => Err(other),
                }
            }
            Code::PollExceeded => {
                tracing::warn!(group = self.group, "the member was too long without a poll, and lost what it owned");
                Ok(())
            }
            Code::InconsistentGroupProtocol => Err(LogError::Refused {
                action: action(),
                detail: "its members assign partitions in another way; is another kind of application using the name?"
                    .to_owned(),
            }),
            code => {
                tracing::debug!(group = self.group, ?code, "membership");
                Ok(())
            }
        }
    }

    fn take(&self) -> Option<Rebalance> {
        let untold = std::mem::take(&mut lock(&self.consumer.context().changes).untold);
        (!untold.is_empty()).then_some(untold)
    }

    fn fetches_nothing<T>(&self) -> Result<T> {
        Err(LogError::IllegalState("a member of a group fetches nothing: use a consumer".to_owned()))
    }
}

impl LogConsumer for KafkaMember {
    fn subscribe(&mut self, topics: &[&str]) -> Result<()> {
        self.consumer.subscribe(topics).map_err(|error| LogError::Refused {
            action: format!("joining group `{}`", self.group),
            detail: error.to_string(),
        })
    }

    fn acknowledge_revocation(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let mut changes = lock(&self.consumer.context().changes);
        for partition in partitions {
            changes.unacknowledged.remove(partition);
        }
        give_up(&self.consumer, &mut changes).map_err(|error| LogError::Refused {
            action: format!("giving up partitions of group `{}`", self.group),
            detail: error.to_string(),
        })
    }

    fn assign(&mut self, _partition: &TopicPartition, _offset: i64) -> Result<()> {
        self.fetches_nothing()
    }

    fn unassign(&mut self, _partition: &TopicPartition) {}

    fn pause(&mut self, _partition: &TopicPartition) {}

    fn resume(&mut self, _partition: &TopicPartition) {}

    fn poll(&mut self, _max_records: usize, timeout: Duration) -> Result<Polled> {
        let clock = SystemClock::new();
        let mut woken = false;
        loop {
            let heard = self.hear();
            // A change of ownership is told once only, so it must not get lost; the error comes again.
            let rebalance = self.take();
            if rebalance.is_some() {
                return Ok(Polled { rebalance, batches: Vec::new() });
            }
            heard?;
            let left = timeout.saturating_sub(clock.elapsed());
            if woken || left.is_zero() {
                return Ok(Polled::default());
            }
            woken = self.signal.wait(left.min(LOOK_AROUND)) == Waited::Woken;
        }
    }

    fn waker(&self) -> Waker {
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.wake())
    }

    fn position(&self, _partition: &TopicPartition) -> Option<i64> {
        None
    }

    fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        self.shared.offsets.committed(&self.group, partition)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.offsets.bounds(partition).map(|(_, end)| end)
    }

    fn known_end(&self, _partition: &TopicPartition) -> Option<i64> {
        None
    }

    fn beginning_offset(&self, partition: &TopicPartition) -> Result<i64> {
        self.shared.offsets.bounds(partition).map(|(start, _)| start)
    }

    fn group_metadata(&self) -> Result<GroupMetadata> {
        native::group_metadata(self.consumer.client())
            .ok_or_else(|| LogError::IllegalState(format!("this consumer is not in group `{}`", self.group)))
    }

    fn commit_offsets(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        let list = offsets_list(offsets)?;
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| {
            let action = format!("committing offsets of group `{}`", self.group);
            match failed(action, code(&error), Access::Group(&self.group, "Read"), &self.shared.outage) {
                // The records are written, and will be again: that is what at least once means.
                LogError::Refused { action, detail } => LogError::Unreachable { action, detail },
                other => other,
            }
        })
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        // The consumer closes by polling, and must not wait for an answer to what it revokes.
        let context = self.consumer.context();
        context.leaving.store(true, Ordering::Release);
        let mut changes = lock(&context.changes);
        changes.unacknowledged.clear();
        if let Err(error) = give_up(&self.consumer, &mut changes) {
            tracing::debug!(%error, group = self.group, "leaving");
        }
    }
}
