//! What Kafka says, as what it means for the engine and what to do about it.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::{LogError, TopicPartition};
use super::connection::Outage;
use super::native::Failure;

/// What an action needs to be allowed to do, for the message that says so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access<'a> {
    /// An operation on a topic.
    Topic(&'a str, &'static str),
    /// An operation on a group.
    Group(&'a str, &'static str),
    /// An operation on a transactional id.
    TransactionalId(&'a str, &'static str),
    /// An operation on the cluster.
    Cluster(&'static str),
}

impl Access<'_> {
    fn grant(self) -> String {
        match self {
            Access::Topic(topic, operation) => format!("allow {operation} on topic `{topic}`"),
            Access::Group(group, operation) => format!("allow {operation} on group `{group}`"),
            Access::TransactionalId(id, operation) => format!("allow {operation} on transactional id `{id}`"),
            Access::Cluster(operation) => format!("allow {operation} on the cluster"),
        }
    }
}

/// What a failed action means. `access` is what it needs to be allowed to do.
pub(super) fn failed(action: impl Into<String>, code: Code, access: Access<'_>, outage: &Outage) -> LogError {
    let action = action.into();
    match code {
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => LogError::Denied {
            action,
            remedy: format!("add an ACL: {} (for this user, from this host)", access.grant()),
        },
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => match access {
            Access::Topic(topic, _) => LogError::UnknownTopic {
                topic: topic.to_owned(),
                hint: "; create it first, or have it created with `topics apply`".to_owned(),
            },
            _ => LogError::Refused { action, detail: code.to_string() },
        },
        Code::Authentication | Code::SaslAuthenticationFailed => authentication(outage),
        Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::SSL
        | Code::WaitingForCoordinator
        | Code::CoordinatorNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::NotCoordinator
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::NetworkException
        | Code::ConcurrentTransactions
        | Code::PreviousInProgress
        | Code::InProgress
        | Code::UnstableOffsetCommit
        | Code::RebalanceInProgress
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::QueueFull
        | Code::MessageTimedOut => unreachable_or_unknown(action, code, outage),
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::ProducerFenced
        | Code::Fenced
        | Code::InvalidProducerEpoch => LogError::Fenced(format!("{action}: replaced by a newer instance")),
        code => LogError::Refused { action, detail: code.to_string() },
    }
}

/// Kafka did not answer. If who we are is the reason, that is said instead: it will not mend itself.
fn unreachable_or_unknown(action: String, code: Code, outage: &Outage) -> LogError {
    match outage.last() {
        Some((Code::Authentication | Code::SaslAuthenticationFailed, _)) => authentication(outage),
        Some((cause, reason)) => {
            LogError::Unreachable { action, detail: format!("{reason}{}", remedy(cause, &reason)) }
        }
        None if code == Code::BrokerTransportFailure => LogError::Unreachable {
            action,
            detail: "no broker answers; check that they run, and the address in `--bootstrap-servers`".to_owned(),
        },
        None => LogError::Unreachable { action, detail: code.to_string() },
    }
}

fn authentication(outage: &Outage) -> LogError {
    let said = outage.last().map_or_else(|| "authentication failed".to_owned(), |(_, reason)| reason);
    LogError::Authentication(format!("{said}; check `sasl.mechanism`, user and password, or the client's certificate"))
}

fn remedy(cause: Code, reason: &str) -> &'static str {
    match cause {
        Code::Resolve => "; check the host's name in `--bootstrap-servers`",
        Code::SSL => "; check `security.protocol`, `ssl.ca.location` and the name in the broker's certificate",
        _ if reason.contains("refused") => "; check the address in `--bootstrap-servers`, and that the broker runs",
        _ if reason.contains("disconnected") || reason.contains("Disconnected") => {
            "; if this persists, the listener may expect another `security.protocol`"
        }
        _ => "",
    }
}

/// What to do about what is larger than its topic takes.
const TOO_LARGE: &str = "a record, or a batch of them, is larger than the topic takes: raise its `max.message.bytes`, \
                         write less, or set `kafka.batch.size` below it if no single record is so large";

/// What a failed call of a transaction means.
pub(super) fn transaction_failed(action: &str, failure: Failure, id: &str, outage: &Outage) -> LogError {
    let Failure { code, text, fatal, retriable, abort } = failure;
    match code {
        Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch => {
            // The brokers fence a producer themselves when they give its transaction up.
            LogError::Fenced(format!(
                "{action}: the producer of transactional id `{id}` is fenced: a newer instance has taken over, or its \
                 transaction took longer than `transaction_timeout` (raise that if this comes again)"
            ))
        }
        Code::UnknownMemberId | Code::FencedInstanceId => {
            LogError::Fenced(format!("{action}: the group has gone on without the member for which `{id}` commits"))
        }
        // The group has moved on and we with it: asked anew, the generation will do.
        Code::IllegalGeneration | Code::RebalanceInProgress if !fatal => {
            LogError::Aborted(format!("{action}: the group is rebalancing"))
        }
        Code::TransactionalIdAuthorizationFailed => {
            failed(action, code, Access::TransactionalId(id, "Write and Describe"), outage)
        }
        Code::TopicAuthorizationFailed => LogError::Denied {
            action: format!("{action} ({text})"),
            remedy: "add an ACL: allow Write on the topics that are written, Read on those whose offsets are committed"
                .to_owned(),
        },
        Code::GroupAuthorizationFailed => LogError::Denied {
            action: format!("{action} ({text})"),
            remedy: "add an ACL: allow Read on the application's group".to_owned(),
        },
        Code::ClusterAuthorizationFailed => failed(action, code, Access::Cluster("IdempotentWrite"), outage),
        _ if fatal => LogError::InDoubt(format!("{action}: {text}")),
        // The same records would be refused again.
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            LogError::Refused { action: format!("{action} ({text})"), detail: TOO_LARGE.to_owned() }
        }
        _ if abort => LogError::Aborted(format!("{action}: {text}")),
        Code::State => LogError::IllegalState(format!("cannot {action}: {text}")),
        code if retriable => match failed(action, code, Access::TransactionalId(id, "Write"), outage) {
            LogError::Refused { action, .. } => LogError::Unreachable { action, detail: text },
            known => known,
        },
        code => match failed(action, code, Access::TransactionalId(id, "Write and Describe"), outage) {
            LogError::Refused { action, .. } => LogError::Refused { action, detail: text },
            known => known,
        },
    }
}

/// Why a record was not written.
pub(super) fn not_delivered(partition: &TopicPartition, code: Code, timeout: Duration, outage: &Outage) -> LogError {
    match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            LogError::Refused { action: format!("writing to {partition}"), detail: TOO_LARGE.to_owned() }
        }
        Code::MessageTimedOut => LogError::Aborted(format!(
            "a record for {partition} could not be written within {timeout:?} (`delivery_timeout`, else \
             `transaction_timeout`): {}",
            outage.last().map_or_else(|| "the brokers did not answer".to_owned(), |(_, reason)| reason)
        )),
        Code::TopicAuthorizationFailed => {
            failed(format!("writing to {partition}"), code, Access::Topic(&partition.topic, "Write"), outage)
        }
        Code::InvalidRecord | Code::InvalidTimestamp => LogError::Refused {
            action: format!("writing to {partition}"),
            detail: format!("{code}; a compacted topic takes no record without a key"),
        },
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => LogError::UnknownTopic {
            topic: partition.topic.to_string(),
            hint: format!("; or no longer partition {}: it was changed while it was written to", partition.partition),
        },
        Code::PolicyViolation => {
            LogError::Refused { action: format!("writing to {partition}"), detail: code.to_string() }
        }
        code => LogError::Aborted(format!("a record for {partition} was not written: {code}")),
    }
}
