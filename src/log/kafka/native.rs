//! The calls of librdkafka that the safe crate lacks. All `unsafe` of the project is here.
//!
//! The reasons, each measured or required: records are taken from a partition's queue by the hundred instead of one
//! event each; the end of a partition tells its offset, without which a restore would not know that it is done; each
//! partition has a queue of its own, so that pausing it throws nothing away and partitions are read fairly; records are
//! produced by topic handle instead of a look-up of the name for each; a commit serves deliveries while it waits
//! (the safe one looks every 100 ms); and the group's generation travels as plain data.
//!
//! What the functions rely on: a client outlives everything made from it (all hold a [`Handle`]); librdkafka is
//! thread-safe; callbacks only touch the [`Context`], which the client keeps alive.

#![allow(unsafe_code, reason = "the safe crate lacks these calls; see above")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::bindings::{self as sys, rd_kafka_resp_err_t as Code, rd_kafka_vtype_t as VType};
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaType;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::connection::{Context, Signal};
use crate::log::{GroupMetadata, ProducerRecord};

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

/// Whether a partition may have something to read.
pub(super) struct Readiness {
    ready: AtomicBool,
    signal: Arc<Signal>,
}

/// A partition that is being fetched, into a queue of its own.
pub(super) struct Fetch {
    queue: *mut sys::rd_kafka_queue_t,
    topic: Topic,
    partition: i32,
    readiness: Arc<Readiness>,
}

// SAFETY: librdkafka's objects may be used from any thread.
unsafe impl Send for Fetch {}

unsafe extern "C" fn on_news(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the readiness lives until the callback is disabled, which waits for one that runs.
    let readiness = unsafe { &*opaque.cast::<Readiness>() };
    readiness.ready.store(true, Ordering::Release);
    readiness.signal.news();
}

impl Fetch {
    /// Starts to fetch a partition at an offset.
    pub(super) fn start(
        client: &Handle,
        topic: &str,
        partition: i32,
        offset: i64,
        signal: &Arc<Signal>,
    ) -> Result<Fetch, RDKafkaErrorCode> {
        let topic = Topic::open(client, topic)?;
        let readiness = Arc::new(Readiness { ready: AtomicBool::new(true), signal: Arc::clone(signal) });
        // SAFETY: client, topic and queue are alive; the callback's value is alive until `drop` disables it.
        unsafe {
            let queue = sys::rd_kafka_queue_new(client.native_ptr());
            let opaque = Arc::as_ptr(&readiness).cast_mut().cast();
            sys::rd_kafka_queue_cb_event_enable(queue, Some(on_news), opaque);
            if sys::rd_kafka_consume_start_queue(topic.topic, partition, offset, queue) != 0 {
                let code = last_error();
                sys::rd_kafka_queue_cb_event_enable(queue, None, ptr::null_mut());
                sys::rd_kafka_queue_destroy(queue);
                return Err(code);
            }
            Ok(Fetch { queue, topic, partition, readiness })
        }
    }

    /// Whether there may be something to read.
    pub(super) fn is_ready(&self) -> bool {
        self.readiness.ready.load(Ordering::Acquire)
    }

    /// Takes up to `limit` of what was fetched, in order. Returns how many there were.
    pub(super) fn read(&self, buffer: &mut Buffer, limit: usize, mut take: impl FnMut(Read<'_>)) -> usize {
        self.readiness.ready.store(false, Ordering::Release);
        buffer.0.resize(limit, ptr::null_mut());
        // SAFETY: the buffer has room for `limit` messages. Each is used before it is freed, once.
        let count = unsafe {
            let messages = buffer.0.as_mut_ptr();
            let count = sys::rd_kafka_consume_batch_queue(self.queue, 0, messages, limit);
            let count = usize::try_from(count).unwrap_or(0);
            for message in buffer.0.iter().take(count) {
                take(Read::of(&**message));
                sys::rd_kafka_message_destroy(*message);
            }
            count
        };
        if count == limit {
            self.readiness.ready.store(true, Ordering::Release);
        }
        count
    }

    /// The offset after what was read, control records included. `None`: nothing was read.
    pub(super) fn position(&self) -> Option<i64> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.topic.name.to_str().ok()?, self.partition);
        // SAFETY: client and list are alive.
        let code = unsafe { sys::rd_kafka_position(self.topic.client.native_ptr(), list.ptr()) };
        match list.elements().first()?.offset() {
            Offset::Offset(offset) if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR => Some(offset),
            _ => None,
        }
    }

    /// The partition's high watermark, as the last fetch told.
    pub(super) fn high_watermark(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name are alive; the results are local.
        let code = unsafe {
            let client = self.topic.client.native_ptr();
            sys::rd_kafka_get_watermark_offsets(
                client,
                self.topic.name.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // SAFETY: disabling the callback waits for one that runs; stopping waits until nothing is put in the queue any
        // more; what is in it is freed with it.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            sys::rd_kafka_consume_stop(self.topic.topic, self.partition);
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Room for what [`Fetch::read`] takes; used again and again.
#[derive(Default)]
pub(super) struct Buffer(Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: between two reads it holds nothing that is used.
unsafe impl Send for Buffer {}

/// What was read of a partition.
pub(super) enum Read<'a> {
    /// A record.
    Record(Message<'a>),
    /// The partition ends here, for now.
    End(i64),
    /// Fetching failed.
    Failed(RDKafkaErrorCode, String),
}

/// A record, in librdkafka's memory.
pub(super) struct Message<'a>(&'a sys::rd_kafka_message_t);

impl Read<'_> {
    fn of(message: &sys::rd_kafka_message_t) -> Read<'_> {
        match message.err {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Read::Record(Message(message)),
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Read::End(message.offset),
            code => {
                // SAFETY: the message is alive; the text is static or the message's own.
                let text = unsafe { CStr::from_ptr(sys::rd_kafka_message_errstr(message)) };
                Read::Failed(code.into(), text.to_string_lossy().into_owned())
            }
        }
    }
}

impl<'a> Message<'a> {
    pub(super) fn offset(&self) -> i64 {
        self.0.offset
    }

    pub(super) fn timestamp(&self) -> i64 {
        // SAFETY: the message is alive; the kind of timestamp is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.0, ptr::null_mut()) }
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: pointer and length belong together and are valid as long as the message is.
        unsafe { slice(self.0.key, self.0.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { slice(self.0.payload, self.0.len) }
    }

    /// Calls `take` with each header's name and value.
    pub(super) fn each_header(&self, mut take: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the headers belong to the message; names are C strings; values have their lengths.
        unsafe {
            if sys::rd_kafka_message_headers(self.0, &raw mut headers) != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            let mut index = 0;
            while sys::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut length)
                == Code::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                take(CStr::from_ptr(name).to_bytes(), slice(value.cast_mut(), length));
                index += 1;
            }
        }
    }
}

/// # Safety
/// `length` bytes at `start` are valid for `'a`, or `start` is null.
unsafe fn slice<'a>(start: *mut c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// Why a call of a transaction failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: RDKafkaErrorCode,
    pub(super) text: String,
    /// The producer is of no use any more.
    pub(super) fatal: bool,
    /// The same call may succeed.
    pub(super) retriable: bool,
    /// The transaction can only be aborted.
    pub(super) abort: bool,
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
pub(super) fn init_transactions(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_init_transactions(client.native_ptr(), millis(timeout)) })
}

pub(super) fn begin_transaction(client: &Client<Context>) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_begin_transaction(client.native_ptr()) })
}

/// Writes what waits and commits; serves deliveries meanwhile.
pub(super) fn commit_transaction(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_commit_transaction(client.native_ptr(), millis(timeout)) })
}

pub(super) fn abort_transaction(client: &Client<Context>, timeout: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive.
    outcome(unsafe { sys::rd_kafka_abort_transaction(client.native_ptr(), millis(timeout)) })
}

/// Adds a group's offsets to the transaction, as the member that `group` names.
pub(super) fn send_offsets(
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
pub(super) fn group_metadata<C: ClientContext>(client: &Client<C>) -> Option<GroupMetadata> {
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
