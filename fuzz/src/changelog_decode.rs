//! Any bytes are a row of a changelog, a key of a store, a checkpoint or an offset's metadata, or an error. What was read
//! is written as bytes that are read as the same.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use signalstream::record::{EnumShape, Provenance, Shape, Text};
use signalstream::serdes::internal::Codec;
use signalstream::state::{
    Checkpoint, index_key, index_start, join_key, parse_join_key, parse_session_key, parse_window_key, session_key,
    window_key,
};
use signalstream::task::OffsetMetadata;

use super::feed::Feed;
use super::outcome;

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let mood = EnumShape { name: "Mood".to_owned(), symbols: ["good", "bad"].map(Text::from_static).to_vec() };
    let inner = Shape::structure("Inner", [("n", Shape::Int), ("text", Shape::String.optional())]);
    let row = Shape::structure(
        "Row",
        [
            ("count", Shape::Int),
            ("sum", Shape::Double.optional()),
            ("mood", Shape::Enum(Arc::new(mood))),
            ("inner", inner.clone()),
            ("list", Shape::list(inner.clone().optional())),
            ("map", Shape::map(Shape::UInt)),
            ("raw", Shape::Bytes),
            ("at", Shape::Timestamp),
            ("for", Shape::Duration),
            ("any", Shape::Any),
        ],
    );
    let aggregate = Shape::structure("", [("row", row.clone().optional()), ("from", Provenance::shape())]);
    vec![Shape::Any, row, inner.optional(), aggregate, Shape::String, Shape::list(Shape::Any)]
});

/// Reads the bytes as each thing that the first byte asks for.
pub fn run(data: &[u8]) -> u64 {
    let mut feed = Feed::new(data);
    match feed.byte() {
        0 => checkpoint(feed.rest()),
        1 => keys(feed.rest()),
        2 => metadata(feed.rest()),
        _ => {
            let shape = &SHAPES[feed.below(SHAPES.len())];
            let outcomes = [Codec::new(shape), Codec::for_keys(shape)].map(|codec| row(&codec, feed.rest()));
            outcome::of(outcomes.iter().map(String::as_str))
        }
    }
}

fn row(codec: &Codec, data: &[u8]) -> String {
    let write = |timestamp, value| {
        let mut out = Vec::new();
        codec.encode(timestamp, value, &mut out);
        Bytes::from(out)
    };
    match codec.decode(&Bytes::copy_from_slice(data)) {
        Ok((timestamp, value)) => {
            let written = write(timestamp, &value);
            let (again, same) = codec.decode(&written).unwrap_or_else(|error| panic!("{error}: {value:?}"));
            assert_eq!((again, write(again, &same)), (timestamp, written));
            value.kind().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

fn checkpoint(data: &[u8]) -> u64 {
    let path = Path::new("fuzz");
    match Checkpoint::decode(data, path) {
        Ok(checkpoint) => {
            let written = checkpoint.encode().unwrap_or_else(|error| panic!("{error}"));
            let kinds = [checkpoint.input_offsets.len(), checkpoint.stream_times.len()];
            assert_eq!(Checkpoint::decode(&written, path).ok(), Some(checkpoint));
            outcome::of(kinds.map(|count| if count == 0 { "none" } else { "some" }))
        }
        Err(error) => outcome::of([error.to_string().as_str()]),
    }
}

fn keys(data: &[u8]) -> u64 {
    let mut out = Vec::new();
    if let Some((start, key)) = parse_window_key(data) {
        window_key(start, key, &mut out);
        assert_eq!(out[4..], data[4..]);
    }
    if let Some((session, key)) = parse_session_key(data) {
        out.clear();
        session_key(session, key, &mut out);
        assert_eq!(out[4..], data[4..]);
    }
    if let Some(found) = parse_join_key(data) {
        out.clear();
        join_key(0, &found.key, found.timestamp, found.number, &mut out);
        assert_eq!(out.get(8..), data.get(8..));
    }
    if let Some(start) = index_start(data, 3) {
        out.clear();
        index_key(&data[4..7], start, &mut out);
        assert_eq!(out[4..], data[4..]);
    }
    let kinds = [parse_window_key(data).is_some(), parse_session_key(data).is_some(), parse_join_key(data).is_some()];
    outcome::of(kinds.map(|is| if is { "is" } else { "is not" }))
}

fn metadata(data: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(data) else { return outcome::NONE };
    let metadata = OffsetMetadata::parse(text);
    assert_eq!(OffsetMetadata::parse(&metadata.format()), metadata);
    let mut merged = metadata.clone();
    merged.merge(metadata.clone());
    assert_eq!(merged, metadata);
    outcome::of([metadata.format().as_str()])
}
