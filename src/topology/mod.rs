//! From a topology's YAML to a checked plan, and descriptions of it.

mod diagnostics;
pub mod partitioning;
pub mod plan;
mod schema;
mod spec;
mod yaml;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use schema::json_schema;
