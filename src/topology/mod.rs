//! From a topology's YAML to a checked plan, and descriptions of it.

pub mod plan;
