//! A partition's queue: started, read by the hundred, stopped.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::bindings::{self as sys, rd_kafka_resp_err_t as Code};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::super::connection::Signal;
use super::{Handle, Topic, last_error};

/// Whether a partition may have something to read.
struct Readiness {
    ready: AtomicBool,
    signal: Arc<Signal>,
}

/// A partition that is being fetched, into a queue of its own.
pub(in super::super) struct Fetch {
    queue: *mut sys::rd_kafka_queue_t,
    topic: Topic,
    partition: i32,
    readiness: Arc<Readiness>,
    /// The high watermark that an earlier fetch of the partition left behind, until this one has told something.
    left_behind: Option<i64>,
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
    pub(in super::super) fn start(
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
            // Should the first answer be here already, it counts once it is read.
            let left_behind = watermark(&topic, partition);
            Ok(Fetch { queue, topic, partition, readiness, left_behind })
        }
    }

    /// Whether there may be something to read.
    pub(in super::super) fn is_ready(&self) -> bool {
        self.readiness.ready.load(Ordering::Acquire)
    }

    /// Takes up to `limit` of what was fetched, in order. Returns how many there were.
    pub(in super::super) fn read(
        &mut self,
        buffer: &mut Buffer,
        limit: usize,
        mut take: impl FnMut(Read<'_>),
    ) -> usize {
        self.readiness.ready.store(false, Ordering::Release);
        buffer.0.resize(limit, ptr::null_mut());
        // SAFETY: the buffer has room for `limit` messages. Each is used before it is freed, once.
        let count = unsafe {
            let messages = buffer.0.as_mut_ptr();
            let count = sys::rd_kafka_consume_batch_queue(self.queue, 0, messages, limit);
            let count = usize::try_from(count).unwrap_or(0);
            for message in buffer.0.iter().take(count) {
                let read = Read::of(&**message);
                if !matches!(read, Read::Failed(..)) {
                    self.left_behind = None;
                }
                take(read);
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
    pub(in super::super) fn position(&self) -> Option<i64> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.topic.name.to_str().ok()?, self.partition);
        // SAFETY: client and list are alive.
        let code = unsafe { sys::rd_kafka_position(self.topic.client.native_ptr(), list.ptr()) };
        match list.elements().first()?.offset() {
            Offset::Offset(offset) if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR => Some(offset),
            _ => None,
        }
    }

    /// The partition's high watermark, as this fetch has told. librdkafka keeps what an earlier one was told, however
    /// long ago that was: it counts for nothing here, unless this one has told the same.
    pub(in super::super) fn high_watermark(&self) -> Option<i64> {
        watermark(&self.topic, self.partition).filter(|high| self.left_behind != Some(*high))
    }
}

/// The high watermark of a partition, as far as librdkafka knows it.
fn watermark(topic: &Topic, partition: i32) -> Option<i64> {
    let (mut low, mut high) = (-1, -1);
    // SAFETY: client and name are alive; the results are local.
    let code = unsafe {
        let (client, name) = (topic.client.native_ptr(), topic.name.as_ptr());
        sys::rd_kafka_get_watermark_offsets(client, name, partition, &raw mut low, &raw mut high)
    };
    (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
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
pub(in super::super) struct Buffer(Vec<*mut sys::rd_kafka_message_t>);

// SAFETY: between two reads it holds nothing that is used.
unsafe impl Send for Buffer {}

/// What was read of a partition.
pub(in super::super) enum Read<'a> {
    /// A record.
    Record(Message<'a>),
    /// The partition ends here, for now.
    End(i64),
    /// Fetching failed.
    Failed(RDKafkaErrorCode, String),
}

/// A record, in librdkafka's memory.
pub(in super::super) struct Message<'a>(&'a sys::rd_kafka_message_t);

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
    pub(in super::super) fn offset(&self) -> i64 {
        self.0.offset
    }

    pub(in super::super) fn timestamp(&self) -> i64 {
        // SAFETY: the message is alive; the kind of timestamp is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.0, ptr::null_mut()) }
    }

    pub(in super::super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: pointer and length belong together and are valid as long as the message is.
        unsafe { slice(self.0.key, self.0.key_len) }
    }

    pub(in super::super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { slice(self.0.payload, self.0.len) }
    }

    /// The headers; `None` where there are none. librdkafka looks for them anew at each call.
    pub(in super::super) fn headers(&self) -> Option<MessageHeaders<'a>> {
        let mut headers = ptr::null_mut();
        // SAFETY: the headers belong to the message.
        let code = unsafe { sys::rd_kafka_message_headers(self.0, &raw mut headers) };
        (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(MessageHeaders { headers, message: PhantomData })
    }
}

/// The headers of a message.
pub(in super::super) struct MessageHeaders<'a> {
    headers: *mut sys::rd_kafka_headers_t,
    message: PhantomData<&'a sys::rd_kafka_message_t>,
}

impl<'a> MessageHeaders<'a> {
    /// Calls `take` with each header's name and value.
    pub(in super::super) fn each(&self, mut take: impl FnMut(&'a [u8], Option<&'a [u8]>)) {
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        let mut index = 0;
        // SAFETY: the headers are alive as long as the message; names are C strings; values have their lengths.
        unsafe {
            while sys::rd_kafka_header_get_all(self.headers, index, &raw mut name, &raw mut value, &raw mut length)
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
