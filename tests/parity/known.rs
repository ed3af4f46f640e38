//! Where the engine is not yet, or on purpose not, what Kafka Streams is.

/// Scenarios whose verbs are not there yet. One that comes out as in Kafka Streams must leave this list.
pub(crate) const PENDING: &[(&str, &str)] = &[
    ("sliding", "sliding windows are not there yet"),
    ("sliding_on_close", "sliding windows are not there yet"),
    ("unlimited", "unlimited windows are not there yet"),
    ("session", "session windows are not there yet"),
    (
        "session_headers",
        "session windows are not there yet; changes of sessions will keep headers, which Kafka Streams drops",
    ),
    ("session_no_grace", "session windows are not there yet"),
    ("session_on_close", "session windows are not there yet"),
    ("session_count", "session windows are not there yet"),
    ("session_reduce", "session windows are not there yet"),
    ("cogroup", "`cogroup` is not there yet"),
    ("cogroup_tumbling", "`cogroup` is not there yet"),
    ("cogroup_session", "`cogroup` is not there yet"),
    ("suppress_time", "`suppress` is not there yet"),
    ("suppress_early", "`suppress` is not there yet"),
    ("suppress_windows", "`suppress` is not there yet"),
    ("suppress_sessions", "`suppress` is not there yet"),
    ("join_streams_inner", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_left", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_outer", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_outer_grace", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_left_asymmetric", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_outer_asymmetric", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_after_only", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_self", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_rekeyed", "stream\u{2013}stream joins are not there yet"),
    ("join_streams_fold", "stream\u{2013}stream joins are not there yet"),
    ("join_global_table", "joins with a global table are not there yet"),
    ("foreign_key_inner", "foreign-key joins are not there yet"),
    ("foreign_key_left", "foreign-key joins are not there yet"),
    ("join_versioned", "versioned tables are not there yet"),
    ("join_versioned_grace", "versioned tables are not there yet"),
    ("join_versioned_tables", "versioned tables are not there yet"),
    ("grouped_table_count", "grouped tables are not there yet"),
    ("grouped_table_reduce", "grouped tables are not there yet"),
    ("grouped_table_fold", "grouped tables are not there yet"),
    ("grouped_table_chain", "grouped tables are not there yet"),
];

/// Scenarios of what is done differently on purpose; `docs/architecture.md` says why.
pub(crate) const DECIDED: &[(&str, &str)] = &[
    ("tumbling_on_close_short", "every window that closes is handed on, however far time leaps"),
    ("window_null_value", "a windowed aggregate skips null values and counts them"),
];
