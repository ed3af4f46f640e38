//! Where the engine is not yet, or on purpose not, what Kafka Streams is.

/// Scenarios whose verbs are not there yet. One that comes out as in Kafka Streams must leave this list.
pub(crate) const PENDING: &[(&str, &str)] = &[];

/// Scenarios of what is done differently on purpose; `docs/architecture.md` says why.
pub(crate) const DECIDED: &[(&str, &str)] = &[
    ("cogroup_session", "a windowed cogroup has one stream time"),
    ("cogroup_tumbling", "a windowed cogroup has one stream time"),
    ("join_streams_fold", "a stream\u{2013}stream join honours its grace for records that come late"),
    ("join_streams_left_asymmetric", "a stream\u{2013}stream join honours its grace for records that come late"),
    ("join_streams_outer_asymmetric", "a stream\u{2013}stream join honours its grace for records that come late"),
    ("join_streams_outer_grace", "a stream\u{2013}stream join honours its grace for records that come late"),
    ("join_streams_rekeyed", "a stream\u{2013}stream join honours its grace for records that come late"),
    ("session_headers", "changes of sessions keep the headers of the record that made them"),
    ("tumbling_on_close_short", "every window that closes is handed on, however far time leaps"),
    ("window_null_value", "a windowed aggregate skips null values and counts them"),
];

/// Of these the ones of which only late records differ: where times are in order, all that comes out is the same.
pub(crate) const AGREE_IN_ORDER: &[(&str, &str)] = &[
    ("cogroup_session", "which input a record comes from matters only for one that is late"),
    ("cogroup_tumbling", "which input a record comes from matters only for one that is late"),
    ("join_streams_fold", "grace is for records that come late"),
    ("join_streams_left_asymmetric", "grace is for records that come late"),
    ("join_streams_outer_asymmetric", "grace is for records that come late"),
    ("join_streams_outer_grace", "grace is for records that come late"),
    ("join_streams_rekeyed", "grace is for records that come late"),
    ("session_headers", "random records have no headers"),
];

/// Single sequences of other scenarios in which something that is done differently on purpose shows: scenario, name of the
/// sequence, reason.
pub(crate) const SEQUENCES: &[(&str, &str, &str)] = &[
    (
        "join_versioned_tables",
        "a deletion at the time of the row that it deletes, then a row from before",
        "a deletion is remembered, also one that has the time of the only row of its key",
    ),
    (
        "join_versioned_tables",
        "random 141",
        "a deletion is remembered, also one that has the time of the only row of its key",
    ),
];
