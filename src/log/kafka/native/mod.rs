//! The calls of librdkafka that the safe crate lacks.
//!
//! The reasons, each measured or required: records are taken from a partition's queue by the hundred instead of one
//! event each; the end of a partition tells its offset, without which a restore would not know that it is done; each
//! partition has a queue of its own, so that pausing it throws nothing away and partitions are read fairly; records are
//! produced by topic handle instead of a look-up of the name for each; a commit serves deliveries while it waits
//! (the safe one looks every 100 ms); the group's generation travels as plain data; and what a group's coordinator says
//! counts although another broker is down, which the safe crate takes for an error, and loses memory by.
//!
//! What the functions rely on: a client outlives everything made from it (all hold a [`Handle`]); librdkafka is
//! thread-safe; callbacks only touch the [`Context`], which the client keeps alive.

#![allow(unsafe_code, reason = "the safe crate lacks these calls; see above")]

mod fetch;
mod groups;
mod transactions;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{self as sys, rd_kafka_resp_err_t as Code, rd_kafka_vtype_t as VType};
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaType;
use rdkafka::{ClientConfig, ClientContext};

use super::connection::Context;
use crate::log::ProducerRecord;
pub(super) use fetch::{Buffer, Fetch, Message, Read};
pub(super) use groups::{Group, group};
pub(super) use transactions::{
    Failure, abort_transaction, begin_transaction, commit_transaction, group_metadata, init_transactions, send_offsets,
};

/// A client, shared by what is made from it.
pub(super) type Handle = Arc<Client<Context>>;

/// Connects a client whose events are served by [`serve`], or while a commit waits.
pub(super) fn open(config: &ClientConfig, kind: RDKafkaType, context: Context) -> KafkaResult<Handle> {
    let native = config.create_native_config()?;
    // SAFETY: the configuration is valid until the client takes it over. The callbacks find the context as the opaque
    // value that `Client::new` sets, and the client keeps it alive for as long as it may call them.
    unsafe {
        sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
        sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        if kind == RDKafkaType::RD_KAFKA_PRODUCER {
            sys::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(on_delivery));
        }
    }
    Ok(Arc::new(Client::new(config, native, kind, context)?))
}

unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: librdkafka hands over valid text and the opaque value, which is the context.
    let (context, reason) = unsafe { (&*opaque.cast::<Context>(), CStr::from_ptr(reason).to_string_lossy()) };
    context.error(KafkaError::Global(code_of(code)), reason.trim());
}

unsafe extern "C" fn on_log(rk: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, text: *const c_char) {
    // SAFETY: as above; a log line before the client is complete has no opaque value.
    unsafe {
        let Some(context) = sys::rd_kafka_opaque(rk).cast::<Context>().as_ref() else { return };
        let (facility, text) = (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy());
        context.log(level_of(level), facility.trim(), text.trim());
    }
}

unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: as above; the message is valid during the call, its private value is the slot that was sent with it.
    let (context, message) = unsafe { (&*opaque.cast::<Context>(), &*message) };
    let error = (message.err != Code::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| message.err.into());
    context.delivered(message._private as usize, message.offset, error);
}

/// The level that a number of syslog stands for.
fn level_of(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 | 6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}

/// The code that a number stands for.
fn code_of(code: c_int) -> RDKafkaErrorCode {
    Code::try_from(code).unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN).into()
}

/// Serves what the client has to tell: errors, log lines, deliveries. Waits up to `timeout` for some.
pub(super) fn serve(client: &Client<Context>, timeout: Duration) -> usize {
    // SAFETY: the client is alive.
    let served = unsafe { sys::rd_kafka_poll(client.native_ptr(), millis(timeout)) };
    usize::try_from(served).unwrap_or(0)
}

/// How many records wait to be written, or for their delivery to be served.
pub(super) fn outstanding(client: &Client<Context>) -> usize {
    // SAFETY: the client is alive.
    usize::try_from(unsafe { sys::rd_kafka_outq_len(client.native_ptr()) }).unwrap_or(0)
}

/// Waits until all records are written or have failed. `false` if the time was not enough.
pub(super) fn flush(client: &Client<Context>, timeout: Duration) -> bool {
    // SAFETY: the client is alive.
    unsafe { sys::rd_kafka_flush(client.native_ptr(), millis(timeout)) == Code::RD_KAFKA_RESP_ERR_NO_ERROR }
}

fn millis(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

/// A topic of a client.
pub(super) struct Topic {
    topic: *mut sys::rd_kafka_topic_t,
    name: CString,
    client: Handle,
}

// SAFETY: librdkafka's objects may be used from any thread.
unsafe impl Send for Topic {}

impl Topic {
    pub(super) fn open(client: &Handle, name: &str) -> Result<Topic, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is alive and the name a C string; no configuration means the client's.
        let topic = unsafe { sys::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), ptr::null_mut()) };
        if topic.is_null() {
            return Err(last_error());
        }
        Ok(Topic { topic, name, client: Arc::clone(client) })
    }

    /// Hands a record over to be written; `slot` comes back with its delivery. The bytes are copied.
    pub(super) fn produce(&self, record: &ProducerRecord, slot: usize) -> Result<(), RDKafkaErrorCode> {
        let bytes = |bytes: &Option<bytes::Bytes>| {
            bytes.as_ref().map_or((ptr::null(), 0), |bytes| (bytes.as_ptr().cast::<c_void>(), bytes.len()))
        };
        let ((key, key_len), (value, value_len)) = (bytes(&record.key), bytes(&record.value));
        let headers = self.headers(record)?;
        // SAFETY: the arguments have the types that each tag calls for; key and value live until the call returns, and
        // are copied by it; the headers belong to librdkafka if it takes the record, and are freed here otherwise.
        unsafe {
            let code = sys::rd_kafka_producev(
                self.client.native_ptr(),
                VType::RD_KAFKA_VTYPE_RKT,
                self.topic,
                VType::RD_KAFKA_VTYPE_PARTITION,
                record.partition,
                VType::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                VType::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                VType::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                VType::RD_KAFKA_VTYPE_OPAQUE,
                slot as *mut c_void,
                VType::RD_KAFKA_VTYPE_TIMESTAMP,
                // librdkafka takes 0 for "now".
                record.timestamp.max(1),
                VType::RD_KAFKA_VTYPE_HEADERS,
                headers,
                VType::RD_KAFKA_VTYPE_END,
            );
            if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Ok(());
            }
            if !headers.is_null() {
                sys::rd_kafka_headers_destroy(headers);
            }
            Err(code.into())
        }
    }

    fn headers(&self, record: &ProducerRecord) -> Result<*mut sys::rd_kafka_headers_t, RDKafkaErrorCode> {
        let headers = record.headers.as_slice();
        if headers.is_empty() {
            return Ok(ptr::null_mut());
        }
        // SAFETY: names and values are given with their lengths and copied.
        unsafe {
            let native = sys::rd_kafka_headers_new(headers.len());
            for header in headers {
                let (value, length) = match &header.value {
                    Some(value) => (value.as_ptr().cast::<c_void>(), value.len() as isize),
                    None => (ptr::null(), 0),
                };
                let name = header.name.as_bytes();
                let added = sys::rd_kafka_header_add(native, name.as_ptr().cast(), name.len() as isize, value, length);
                if added != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                    sys::rd_kafka_headers_destroy(native);
                    return Err(added.into());
                }
            }
            Ok(native)
        }
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `open`, freed once.
        unsafe { sys::rd_kafka_topic_destroy(self.topic) };
    }
}

fn last_error() -> RDKafkaErrorCode {
    // SAFETY: reads a value of the calling thread.
    unsafe { sys::rd_kafka_last_error() }.into()
}
