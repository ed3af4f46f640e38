//! What a dead letter's value says: the shape of an `ErrorEvent`.

use crate::record::Shape;

/// The shape of what the engine writes to the dead letter topic; `schemas/ErrorEvent.avsc` takes it.
pub fn error_event_shape() -> Shape {
    let header = Shape::structure("Header", [("name", Shape::String), ("value", Shape::Bytes.optional())]);
    Shape::structure(
        "ErrorEvent",
        [
            ("original_topic", Shape::String),
            ("original_partition", Shape::Int),
            ("original_offset", Shape::Int),
            ("key", Shape::Bytes.optional()),
            ("value", Shape::Bytes.optional()),
            ("headers", Shape::list(header)),
            ("error_class", Shape::String),
            ("error_message", Shape::String),
            ("node", Shape::String),
            ("retry_count", Shape::Int),
            ("first_failure", Shape::Timestamp),
            ("last_failure", Shape::Timestamp),
        ],
    )
}
