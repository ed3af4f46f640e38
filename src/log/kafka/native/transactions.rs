//! Transactions, and who a member is to its group.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientContext, TopicPartitionList};

use super::super::connection::Context;
use super::millis;
use crate::log::GroupMetadata;

/// Why a call of a transaction failed.
#[derive(Debug)]
pub(in super::super) struct Failure {
    pub(in super::super) code: RDKafkaErrorCode,
    pub(in super::super) text: String,
    /// The producer is of no use any more.
    pub(in super::super) fatal: bool,
    /// The same call may succeed.
    pub(in super::super) retriable: bool,
    /// The transaction can only be aborted.
    pub(in super::super) abort: bool,
}

fn outcome(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is ours, read before it is freed, once.
    unsafe {
        let failure = Failure {
            code: sys::rd_kafka_error_code(error).into(),
            text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        Err(failure)
    }
}

/// Fences earlier producers of the transactional id and decides what they left open.
pub(in super::super) fn init_transactions(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_init_transactions(client.native_ptr(), millis(timeout)) })
}

pub(in super::super) fn begin_transaction(client: &Client<Context>) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_begin_transaction(client.native_ptr()) })
}

/// Writes what waits and commits; serves deliveries meanwhile.
pub(in super::super) fn commit_transaction(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_commit_transaction(client.native_ptr(), millis(timeout)) })
}

pub(in super::super) fn abort_transaction(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_abort_transaction(client.native_ptr(), millis(timeout)) })
}

/// Adds a group's offsets to the transaction, as the member that `group` names.
pub(in super::super) fn send_offsets(
    client: &Client<Context>,
    offsets: &TopicPartitionList,
    group: &GroupMetadata,
    timeout: Duration,
) -> Result<(), Failure> {
    let c_string = |text: &str| CString::new(text).unwrap_or_default();
    let (name, member) = (c_string(&group.group), c_string(&group.member));
    let instance = group.instance.as_deref().map(c_string);
    // SAFETY: the strings live until the calls return; the metadata is freed once, after its use.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata_new_with_genid(
            name.as_ptr(),
            group.generation,
            member.as_ptr(),
            instance.as_ref().map_or(ptr::null(), |instance| instance.as_ptr()),
        );
        let sent =
            sys::rd_kafka_send_offsets_to_transaction(client.native_ptr(), offsets.ptr(), metadata, millis(timeout));
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        outcome(sent)
    }
}

/// Who a member of a group is now. `None`: it is in no group.
pub(in super::super) fn group_metadata<C: ClientContext>(client: &Client<C>) -> Option<GroupMetadata> {
    // SAFETY: the metadata is ours, and its texts are copied before it is freed, once.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(client.native_ptr());
        if metadata.is_null() {
            return None;
        }
        let text = |text: *const c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        let found = GroupMetadata {
            group: text(sys::rd_kafka_consumer_group_metadata_group_id(metadata)).unwrap_or_default(),
            member: text(sys::rd_kafka_consumer_group_metadata_member_id(metadata)).unwrap_or_default(),
            instance: text(sys::rd_kafka_consumer_group_metadata_group_instance_id(metadata)),
            generation: sys::rd_kafka_consumer_group_metadata_generation_id(metadata),
        };
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        Some(found)
    }
}
