//! Windows, and when the changes of a table are handed on.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::lower::{Lower, choice, mapping};
use super::scalars::{Limit, Millis, Moment, refuse_word};
use crate::yaml::{Content, Node, Span};
use crate::yaml::{Diagnostic, Problems};

/// When the changes of a table are handed on.
#[derive(Clone, Debug)]
pub(crate) struct EmitSpec {
    /// When.
    pub(crate) kind: EmitKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// When changes are handed on.
#[derive(Clone, Debug)]
pub(crate) enum EmitKind {
    /// At each update.
    OnUpdate,
    /// Only once a window has closed.
    OnClose,
    /// At this interval of the wall clock.
    Every(Millis),
}

impl EmitSpec {
    /// Whether only once a window has closed.
    pub(crate) fn is_on_close(&self) -> bool {
        matches!(self.kind, EmitKind::OnClose)
    }
}

mapping! {
    /// At an interval.
    EverySpec = "emit" {
        /// The interval, of the wall clock.
        required every: Millis,
    }
    later []
}

impl Lower for EmitSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let kind = match node.scalar().map(|scalar| scalar.text.as_str()) {
            Some("on_update") => EmitKind::OnUpdate,
            Some("on_close") => EmitKind::OnClose,
            None if node.get("every").is_some() => EmitKind::Every(EverySpec::lower(node, problems)?.every),
            _ => {
                refuse_word(node, "a way to emit", &["on_update", "on_close", "{every: 10s}"], &[], problems);
                return None;
            }
        };
        Some(EmitSpec { kind, span: node.place() })
    }
}

impl JsonSchema for EmitSpec {
    fn schema_name() -> Cow<'static, str> {
        "Emit".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let every = generator.subschema_for::<EverySpec>();
        schemars::json_schema!({
            "description": "When changes are handed on.",
            "anyOf": [
                every,
                {"const": "on_update", "description": "At each update; with caching on, once per key and commit."},
                {"const": "on_close", "description": "Once, when the window and its grace period have passed."}
            ]
        })
    }
}

mapping! {
    /// Holds changes back: of each key, only the last one goes on.
    SuppressSpec = "suppress" {
        /// `window_closes`, or how long after the first change that is held back, in stream time.
        required until: UntilSpec,
        /// How many changes are held back at most.
        optional max_records: Limit,
        /// About how many bytes of keys and values are held back at most.
        optional max_bytes: Limit,
        /// What happens when there are more.
        optional when_full: WhenFullSpec,
    }
    later []
}

choice! {
    /// What happens when more changes are held back than may be.
    WhenFullSpec = "what to do when full" {
        /// The earliest go on: the default of a time.
        EmitEarly = "emit_early",
        /// The application stops: the default until windows close.
        Stop = "stop",
    }
    later []
}

/// Until when changes are held back.
#[derive(Clone, Debug)]
pub(crate) enum UntilSpec {
    /// Until the window of the key is over.
    WindowCloses(Span),
    /// For a time.
    For(Millis),
}

impl Lower for UntilSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar().map(|scalar| scalar.text.as_str()) {
            Some("window_closes") => Some(UntilSpec::WindowCloses(node.place())),
            Some(text) if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
                Millis::lower(node, problems).map(UntilSpec::For)
            }
            _ => {
                refuse_word(node, "how long to hold back", &["window_closes", "a duration such as 10s"], &[], problems);
                None
            }
        }
    }
}

impl JsonSchema for UntilSpec {
    fn schema_name() -> Cow<'static, str> {
        "Until".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "string", "description": "`window_closes`, or a duration such as 10s."})
    }
}

mapping! {
    /// Windows that follow each other without overlap.
    TumblingSpec = "a tumbling window" {
        /// How long a window is.
        required tumbling: Millis,
        /// How long after its end a window still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// The size of hopping windows.
    HoppingSize = "hopping" {
        /// How long a window is.
        required size: Millis,
        /// The time from the start of a window to the start of the next.
        required advance: Millis,
    }
    later []
}

mapping! {
    /// Windows that start at fixed intervals and may overlap.
    HoppingSpec = "a hopping window" {
        /// Their size and advance.
        required hopping: HoppingSize,
        /// How long after its end a window still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// Windows around each record.
    SlidingSpec = "a sliding window" {
        /// How far apart the records of a window are at most.
        required sliding: Millis,
        /// How long after its end a window still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// Sessions: records that follow each other closely.
    SessionSpec = "a session window" {
        /// The longest pause within a session.
        required session: Millis,
        /// How long after it would have ended a session still takes late records; 0s if not given.
        optional grace: Millis,
    }
    later []
}

mapping! {
    /// The start of the unlimited window.
    UnlimitedStart = "unlimited" {
        /// The first moment of the window; 1970 if not given.
        optional start: Moment,
    }
    later []
}

mapping! {
    /// One window for everything from a moment on.
    UnlimitedSpec = "an unlimited window" {
        /// Its start.
        required unlimited: UnlimitedStart,
    }
    later []
}

/// The windows of an aggregation.
#[derive(Clone, Debug)]
pub(crate) struct WindowSpec {
    /// Of what kind they are.
    pub(crate) kind: WindowKind,
    /// How long after its end a window still takes late records.
    pub(crate) grace: Option<Millis>,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A kind of windows.
#[derive(Clone, Debug)]
pub(crate) enum WindowKind {
    /// One after the other, of this size.
    Tumbling(Millis),
    /// At fixed intervals.
    Hopping(HoppingSize),
    /// Around each record, with this time difference.
    Sliding(Millis),
    /// Sessions with this gap.
    Session(Millis),
    /// One without end.
    Unlimited(UnlimitedStart),
}

impl Lower for WindowSpec {
    fn lower(node: &Node, problems: &mut Problems) -> Option<Self> {
        let kinds = ["tumbling", "hopping", "sliding", "session", "unlimited"];
        let given: Vec<&str> = kinds.iter().copied().filter(|kind| node.get(kind).is_some()).collect();
        if let [first, second, ..] = given.as_slice() {
            let message = format!("a window is of one kind, not both `{first}` and `{second}`");
            problems.report(Diagnostic::new(node.place(), message).help("define a table for each"));
            return None;
        }
        let (kind, grace, span) = match given.first().copied() {
            Some("tumbling") => {
                let spec = TumblingSpec::lower(node, problems)?;
                (WindowKind::Tumbling(spec.tumbling), spec.grace, spec.span)
            }
            Some("hopping") => {
                let spec = HoppingSpec::lower(node, problems)?;
                (WindowKind::Hopping(spec.hopping), spec.grace, spec.span)
            }
            Some("sliding") => {
                let spec = SlidingSpec::lower(node, problems)?;
                (WindowKind::Sliding(spec.sliding), spec.grace, spec.span)
            }
            Some("session") => {
                let spec = SessionSpec::lower(node, problems)?;
                (WindowKind::Session(spec.session), spec.grace, spec.span)
            }
            Some(_) => {
                if let Content::Mapping(entries) = &node.content
                    && let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "grace")
                {
                    let problem = Diagnostic::new(key.span.clone(), "an unlimited window has no `grace`");
                    problems.report(problem.help("it never ends, so that nothing is too late for it"));
                    return None;
                }
                let spec = UnlimitedSpec::lower(node, problems)?;
                (WindowKind::Unlimited(spec.unlimited), None, spec.span)
            }
            None => {
                refuse_word(node, "a window", &kinds, &[], problems);
                return None;
            }
        };
        Some(WindowSpec { kind, grace, span })
    }
}

impl JsonSchema for WindowSpec {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = [
            generator.subschema_for::<TumblingSpec>(),
            generator.subschema_for::<HoppingSpec>(),
            generator.subschema_for::<SlidingSpec>(),
            generator.subschema_for::<SessionSpec>(),
            generator.subschema_for::<UnlimitedSpec>(),
        ];
        schemars::json_schema!({"description": "The windows of an aggregation.", "anyOf": kinds})
    }
}
