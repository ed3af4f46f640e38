//! What reaction an error calls for.
//!
//! Every module has an error type of its own that says what failed and on which record. The engine
//! decides what to do about it from its class alone, so that no caller matches on the text or the
//! variants of another module's errors.

/// The reaction that an error calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The record is at fault: treat it as `on_error` says (dead letter, skip, fail) and go on.
    Skip,
    /// The outside world is at fault and may recover: drop uncommitted work, rewind to the committed
    /// offsets and try again.
    Retry,
    /// The task's local state cannot be used: restore it from its changelog.
    TaskCorrupted,
    /// The task belongs to another member of the group now: drop it without committing.
    TaskMigrated,
    /// Nothing the engine does will help: stop, and say what a person must do.
    Fatal,
}

/// An error that knows which reaction it calls for.
pub trait Classified: std::error::Error {
    /// The reaction that this error calls for.
    fn class(&self) -> ErrorClass;
}
