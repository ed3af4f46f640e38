//! The binary: everything is in the library's `cli`.

use std::process::ExitCode;

/// One allocator for Rust and for RocksDB: it gives memory back that the system's keeps in an arena per thread, so
/// that a long run needs hardly more than a short one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    signalstream::cli::main()
}
