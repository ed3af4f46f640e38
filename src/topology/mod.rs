//! From a topology's YAML to a checked plan, and descriptions of it.

mod diagnostics;
mod error_event;
pub mod partitioning;
pub mod plan;
mod schema;
mod spec;
mod yaml;

pub use error_event::error_event_shape;
pub use diagnostics::{Diagnostic, Diagnostics};
pub use schema::json_schema;
