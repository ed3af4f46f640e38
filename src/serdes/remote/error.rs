//! What can go wrong with a registry.

use crate::error::{Classified, ErrorClass};

/// Why a registry gave no answer, or not the one that was needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It did not answer, at any of its URLs.
    #[error("the schema registry does not answer: {0}; see that it runs and that `schema_registry.url` leads to it")]
    Away(String),
    /// It has too much to do, or is not ready, and says for how long.
    #[error("the schema registry is busy: {urls} wants to be left alone for another {seconds}s; ask again after that")]
    Busy {
        /// Where it was to be asked.
        urls: String,
        /// For how long.
        seconds: u64,
    },
    /// It does not let this client in.
    #[error(
        "the schema registry at {url} refuses this client (status {status}); see `schema_registry.username` and \
         `schema_registry.password`, `schema_registry.token` or `schema_registry.certificate_file`, and what that user may do"
    )]
    Refused {
        /// Where it was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It does not have what was asked for.
    #[error("the schema registry has no {what}: {message}")]
    Missing {
        /// What was asked for.
        what: String,
        /// What it says.
        message: String,
    },
    /// The schema does not fit those that stand under the subject.
    #[error("the schema registry does not take the schema under `{subject}`: {message}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// What it says.
        message: String,
    },
    /// The registry does not take a schema, whatever stands under the subject.
    #[error(
        "the schema `{schema}` is not accepted by the schema registry, for `{subject}`: {message}; correct the schema"
    )]
    Invalid {
        /// The name that the schema gives itself.
        schema: String,
        /// The subject that it is for.
        subject: String,
        /// What it says.
        message: String,
    },
    /// A schema is not registered, and may not be.
    #[error(
        "the schema `{schema}` is not registered under `{subject}`; register it (`signalstream schemas register`), or let a \
         start do so with `schema_registry.auto_register: on`"
    )]
    Unregistered {
        /// The schema.
        schema: String,
        /// Where it should stand.
        subject: String,
    },
    /// It answered with an error.
    #[error("the schema registry at {url} answers with an error (status {status}, code {code}): {message}")]
    Answered {
        /// Where it was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The registry's own code; 0 where it gave none.
        code: i64,
        /// What it says.
        message: String,
    },
    /// What answered is no registry.
    #[error("{url} does not answer as a schema registry does: {detail}; see `schema_registry.url`")]
    Malformed {
        /// Where it was asked.
        url: String,
        /// What is wrong.
        detail: String,
    },
    /// The answer is larger than any schema may be.
    #[error("the answer from {url} has more than {limit} bytes, the most that is read of a schema")]
    TooLarge {
        /// Where it was asked.
        url: String,
        /// The most that is read.
        limit: u64,
    },
    /// A schema of the registry is none that can be used.
    #[error("{what} cannot be used: {message}")]
    Unusable {
        /// Which schema.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The thread that asks the registry could not be started.
    #[error("the thread that asks the schema registry could not be started: {0}")]
    Spawn(String),
}

impl Classified for RegistryError {
    /// A registry that does not answer, or is busy, may come back; everything else stays as it is until somebody does something.
    fn class(&self) -> ErrorClass {
        match self {
            RegistryError::Away(_) | RegistryError::Busy { .. } => ErrorClass::Retry,
            _ => ErrorClass::Fatal,
        }
    }
}
