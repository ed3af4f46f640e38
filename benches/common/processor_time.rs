//! The clock of benchmarks, and of tests, that work in one thread.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been on a processor: what else the machine does makes little difference. What RocksDB does
/// beside it does not count.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}
