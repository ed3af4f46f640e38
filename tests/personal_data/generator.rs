//! Random topologies that read people: decisions in, YAML out.

use std::fmt::Write;

/// The way to grow that joins with a table, whose only key is `k`.
const JOIN: usize = 5;

/// The way to grow that reduces values to those of sessions, which merge.
const SESSIONS: usize = 4;

/// Who says what of the people is personal data.
#[derive(Clone, Copy, PartialEq)]
enum Declared {
    /// Their schema.
    BySchema,
    /// Their schema, and their times are made of it.
    WithTime,
    /// The source, part by part: they are JSON.
    ByParts,
    /// The source, all of it.
    AsAWhole,
}

impl Declared {
    fn by_schema(self) -> bool {
        matches!(self, Declared::BySchema | Declared::WithTime)
    }

    fn source(self) -> &'static str {
        match self {
            Declared::BySchema => "{topic: people, value: {avro: Person}}",
            Declared::WithTime => "{topic: people, value: {avro: Person}, timestamp: value.born}",
            Declared::ByParts => {
                "{topic: people, personal_data: [name, email, age, score, member, kind, born, photo, nicknames, scores, \
                 'orders[].note', address.street, contacts, headers.who, key]}"
            }
            Declared::AsAWhole => "{topic: people, personal_data: true}",
        }
    }
}

/// Decisions that are still to be made; when there are none left, the simplest is made.
struct Choices<'a> {
    rest: std::slice::Iter<'a, u8>,
    /// Whether what is looked for is nothing that `redact` would find by itself.
    bare: bool,
}

impl Choices<'_> {
    fn of(&mut self, count: usize) -> usize {
        usize::from(self.rest.next().copied().unwrap_or(0)) % count
    }

    fn one<'t>(&mut self, of: &'t [String]) -> &'t str {
        &of[self.of(of.len())]
    }
}

/// What expressions may read.
#[derive(Clone)]
struct Scope {
    texts: Vec<String>,
    lists: Vec<String>,
}

impl Scope {
    fn new(texts: &[&str], lists: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope { texts: owned(texts), lists: owned(lists) }
    }

    /// The same of values whose shape is not known.
    fn untyped(&self) -> Self {
        let texts = self.texts.iter().map(|text| format!("string({text})"));
        let lists = self.lists.iter().map(|list| format!("{list}.map(one, string(one))"));
        Scope { texts: texts.collect(), lists: lists.collect() }
    }

    /// A person under a name.
    fn person(name: &str) -> Self {
        let texts = ["id", "name", "city", "address.street", "address.city", "orders[0].note", "orders[0].sku"];
        let texts = texts.iter().map(|field| format!("{name}.{field}")).chain([format!("{name}.contacts['home']")]);
        let lists = vec![
            format!("{name}.words"),
            format!("{name}.nicknames"),
            format!("{name}.orders.map(order, order.note)"),
            format!("{name}.orders.map(order, order.sku)"),
        ];
        Scope { texts: texts.collect(), lists }
    }

    fn text(&self, choices: &mut Choices<'_>, depth: usize) -> String {
        if depth == 0 {
            return choices.one(&self.texts).to_owned();
        }
        let deeper = |choices: &mut Choices<'_>| self.text(choices, depth - 1);
        match choices.of(19) {
            0..=3 => choices.one(&self.texts).to_owned(),
            4 => "'plain'".to_owned(),
            5 => format!("({} + ' ' + {})", deeper(choices), deeper(choices)),
            6 => format!("{}.trim()", deeper(choices)),
            7 => format!("{}.upperAscii()", deeper(choices)),
            8 => format!("(size({}) > 5 ? {} : {})", deeper(choices), deeper(choices), deeper(choices)),
            9 if !choices.bare => format!("redact({})", choices.one(&self.texts)),
            9 | 10 => format!("redact({}, 'text')", deeper(choices)),
            11 => format!("{}.join(' ')", self.list(choices, depth - 1)),
            12 => format!("{{'k': {}, 'other': {}}}.k", deeper(choices), deeper(choices)),
            13 => format!("[{}, {}][1]", deeper(choices), deeper(choices)),
            14 => format!("coalesce({}.last(), {})", self.list(choices, depth - 1), deeper(choices)),
            15 => format!("merge({{'k': {}}}, {{'k': {}}}).k", deeper(choices), deeper(choices)),
            16 => format!("without({{'k': {}, 'other': {}}}, 'other').k", deeper(choices), deeper(choices)),
            17 => format!("string(size({}))", deeper(choices)),
            // What is longer fails, and what it says must not hold it.
            _ => format!("[{}].map(text, size(text) > 30 ? string(int(text)) : text)[0]", deeper(choices)),
        }
    }

    fn list(&self, choices: &mut Choices<'_>, depth: usize) -> String {
        if depth == 0 {
            return choices.one(&self.lists).to_owned();
        }
        let deeper = |choices: &mut Choices<'_>| self.list(choices, depth - 1);
        match choices.of(10) {
            0 | 1 => choices.one(&self.lists).to_owned(),
            2 => format!("[{}, {}]", self.text(choices, depth - 1), self.text(choices, depth - 1)),
            3 => format!("({} + {})", deeper(choices), deeper(choices)),
            4 => format!("{}.map(item, item + ' .')", deeper(choices)),
            5 => format!("{}.filter(item, size(item) > 1)", deeper(choices)),
            6 => format!("{}.distinct()", deeper(choices)),
            7 => format!("[{}, {}].flatten()", deeper(choices), deeper(choices)),
            8 => format!("{}.map(item, {})", deeper(choices), self.text(choices, depth - 1)),
            _ => format!("{}.split('#')", self.text(choices, depth - 1)),
        }
    }
}

/// A topology as it grows: the stream or table that was made last, and what its expressions may read.
struct Draft {
    declared: Declared,
    streams: String,
    tables: String,
    steps: String,
    scope: Scope,
    from: String,
    count: usize,
    /// Whether headers have been set.
    headed: bool,
}

fn quoted(expression: &str) -> String {
    format!("\"{expression}\"")
}

impl Draft {
    fn new(declared: Declared) -> Self {
        let (streams, tables, steps) = (String::new(), String::new(), String::new());
        let from = "people".to_owned();
        let person = Scope::person("value");
        let scope = if declared.by_schema() { person } else { person.untyped() };
        Draft { declared, streams, tables, steps, scope, from, count: 0, headed: false }
    }

    fn text(&self, choices: &mut Choices<'_>) -> String {
        let mut scope = self.scope.clone();
        if self.headed {
            scope.texts.push("coalesce(headers.h, '')".to_owned());
        }
        scope.texts.push("key".to_owned());
        quoted(&scope.text(choices, 3))
    }

    fn list(&self, choices: &mut Choices<'_>) -> String {
        quoted(&self.scope.list(choices, 3))
    }

    /// One more step.
    fn step(&mut self, choices: &mut Choices<'_>) {
        let text = self.text(choices);
        let bare = text.trim_matches('"').to_owned();
        self.count += 1;
        let n = self.count;
        let step = match choices.of(16) {
            0 | 1 => {
                let (other, list) = (self.text(choices), self.list(choices));
                self.scope = Scope::new(&["value.a", "value.b"], &["value.l"]);
                format!("map_values: {{a: {text}, b: {other}, l: {list}}}")
            }
            2 => format!("select_key: {text}"),
            3 => {
                self.headed = true;
                format!("set_headers: {{h: {text}}}")
            }
            4 => {
                let list = self.list(choices);
                self.scope = Scope::new(&["value.a"], &["value.l"]);
                format!("flat_map_values: \"[{{'a': {bare}, 'l': {}}}]\"", list.trim_matches('"'))
            }
            5 => {
                let other = self.text(choices);
                let list = self.list(choices);
                self.scope = Scope::new(&["value.a"], &["value.l"]);
                format!(
                    "flat_map: \"[{{'key': {bare}, 'value': {{'a': {}, 'l': {}}}}}]\"",
                    other.trim_matches('"'),
                    list.trim_matches('"')
                )
            }
            6 | 10 | 11 => format!("repartition: {{name: r{n}}}"),
            8 => {
                self.scope = self.scope.untyped();
                "process: {processor: pass}".to_owned()
            }
            9 => {
                self.scope = Scope::new(&["string(value.a)"], &["[string(value.a)]"]);
                "process: {processor: clear}".to_owned()
            }
            _ => format!("deduplicate: {{by: {text}, within: 1s, name: d{n}}}"),
        };
        writeln!(self.steps, "      - {step}").expect("a string");
    }

    /// What was made so far gets a name.
    fn close(&mut self) {
        self.count += 1;
        let name = format!("s{}", self.count);
        let steps =
            if self.steps.is_empty() { "      - filter: 'true'\n".to_owned() } else { std::mem::take(&mut self.steps) };
        write!(self.streams, "  {name}:\n    from: {}\n    steps:\n{steps}", self.from).expect("a string");
        self.from = name;
    }

    /// Made into a table, or joined with one.
    fn grow(&mut self, choices: &mut Choices<'_>) {
        let kind = choices.of(6);
        if kind == JOIN {
            writeln!(self.steps, "      - select_key: \"'k'\"").expect("a string");
        }
        if kind == SESSIONS {
            let (a, b, l) = (self.text(choices), self.text(choices), self.list(choices));
            writeln!(self.steps, "      - map_values: {{a: {a}, b: {b}, l: {l}}}").expect("a string");
            self.scope = Scope::new(&["value.a", "value.b"], &["value.l"]);
        }
        self.close();
        let (text, other, list) = (self.text(choices), self.text(choices), self.list(choices));
        self.count += 1;
        let (name, from) = (format!("t{}", self.count), self.from.clone());
        let mut state = self.scope.clone();
        state.texts.push("acc.p".to_owned());
        state.lists.push("acc.q".to_owned());
        match kind {
            0 => {
                let list = bare(&list);
                let aggregates = [
                    ("a", format!("last({})", bare(&text))),
                    ("b", format!("collect({}, 3)", bare(&other))),
                    ("c", "count()".to_owned()),
                    ("d", format!("top_k({list}, 2)")),
                    ("e", format!("count_if(size({}) > 1)", bare(&text))),
                ];
                write!(self.tables, "  {name}:\n    from: {from}\n    group_by: {text}\n    aggregate:\n")
                    .expect("a string");
                for (field, call) in aggregates {
                    writeln!(self.tables, "      {field}: \"{call}\"").expect("a string");
                }
                self.scope = Scope::new(&["coalesce(value.a, '')", "string(value.c)", "string(value.e)"], &["value.b"]);
            }
            1 => {
                let (p, q) = (quoted(&state.text(choices, 2)), quoted(&state.text(choices, 2)));
                let q = format!("\"take_last(acc.q + [{}], 3)\"", bare(&q));
                write!(
                    self.tables,
                    "  {name}:\n    from: {from}\n    group_by: {text}\n    fold:\n      init: {{p: \"'start'\", q: [\"'start'\"]}}\n      add: {{p: {p}, q: {q}}}\n"
                )
                .expect("a string");
                self.scope = Scope::new(&["value.p"], &["value.q"]);
            }
            2 => {
                write!(
                    self.tables,
                    "  {name}:\n    from: {from}\n    group_by: {text}\n    reduce: \"acc == null ? value : value\"\n"
                )
                .expect("a string");
            }
            3 => {
                write!(self.tables, "  {name}:\n    from: {from}\n").expect("a string");
            }
            SESSIONS => self.sessions(&name, &from, choices),
            JOIN => self.join(&name, &from, choices),
            _ => unreachable!("there is no other kind"),
        }
        self.from = name;
        self.headed = false;
    }

    /// Reduced over sessions, of which the last record brings two together.
    fn sessions(&mut self, name: &str, from: &str, choices: &mut Choices<'_>) {
        let mut state = Scope::new(&["value.a", "value.b", "acc.a", "acc.b"], &["value.l", "acc.l"]);
        state.texts.push("'x'".to_owned());
        let (a, b) = (state.text(choices, 2), state.text(choices, 2));
        write!(
                    self.tables,
                    "  {name}:\n    from: {from}\n    group_by: \"'k'\"\n    window: {{session: 1s, grace: 1h}}\n    reduce: \"{{'a': {a}, 'b': {b}, 'l': take_last(value.l, 3)}}\"\n"
                )
                .expect("a string");
    }

    /// Joined with the table of persons.
    fn join(&mut self, name: &str, from: &str, choices: &mut Choices<'_>) {
        let field = |name: &str| name.replace("value.", "left.");
        let mut both = Scope::person("right");
        both.texts.extend(self.scope.texts.iter().map(|name| field(name)));
        both.lists.extend(self.scope.lists.iter().map(|name| field(name)));
        let (a, b, l) = (both.text(choices, 2), both.text(choices, 2), both.list(choices, 2));
        write!(
                    self.streams,
                    "  {name}:\n    join: {{inputs: {{left: {from}, right: persons}}}}\n    map_values: {{a: \"{a}\", b: \"{b}\", l: \"{l}\"}}\n"
                )
                .expect("a string");
        self.scope = Scope::new(&["value.a", "value.b"], &["value.l"]);
    }

    /// Another stream of the same records, on which a step fails that quotes what it is given.
    fn failing(&mut self, choices: &mut Choices<'_>) -> &'static str {
        let is_table = self.tables.contains(&format!("  {}:\n", self.from));
        let to_stream = if is_table { "      - to_stream\n" } else { "" };
        let (from, text) = (&self.from, self.text(choices));
        let number = format!("\"int(string(offset) + 'x' + {})\"", bare(&text));
        writeln!(self.streams, "  fails:\n    from: {from}\n    steps:\n{to_stream}      - map_values: {number}")
            .expect("a string");
        "  - {from: fails, topic: other, personal_data: true}\n"
    }

    fn finish(mut self, choices: &mut Choices<'_>) -> String {
        if self.from == "people" || !self.steps.is_empty() {
            self.close();
        }
        let (m0, m1) = (self.text(choices), self.list(choices));
        let fails = if choices.of(3) == 0 { self.failing(choices) } else { "" };
        let persons = match self.streams.contains("right: persons") {
            true => "  persons: {topic: persons, kind: table, value: {avro: Person}}\n",
            false => "",
        };
        let tables = if self.tables.is_empty() { String::new() } else { format!("tables:\n{}", self.tables) };
        let (from, map) = (&self.from, format!("{{m0: {m0}, m1: {m1}}}"));
        let (again, sinks) = match choices.of(7) {
            // What is written is read again: its key, its headers, and the fields that nobody has named, too.
            4 | 5 => {
                let declared = ["", ", personal_data: [m0]"][choices.of(2)];
                let parts = match choices.of(2) {
                    // Times have no name.
                    1 if self.declared != Declared::WithTime => "[value, key, headers]",
                    _ => "true",
                };
                (
                    format!("  again: {{topic: between{declared}}}\n"),
                    format!(
                        "  - {{from: {from}, topic: between, personal_data: {parts}, map: {map}}}\n  \
                         - {{from: again, topic: out, personal_data: true, map: {{m0: value.m0, m1: value.m1}}}}\n"
                    ),
                )
            }
            6 => (
                String::new(),
                format!(
                    "  - from: {from}\n    topic: {{expression: \"'out'\", topics: [out, out2]}}\n    \
                     personal_data: true\n    map: {map}\n"
                ),
            ),
            _ => (String::new(), format!("  - {{from: {from}, topic: out, personal_data: true, map: {map}}}\n")),
        };
        format!(
            "topology: t\ndefaults: {{key: string, value: json, dlq: failed}}\nsources:\n  people: {}\n\
             {persons}{again}streams:\n{}{tables}sinks:\n{sinks}{fails}",
            self.declared.source(),
            self.streams,
        )
    }
}

fn bare(quoted: &str) -> &str {
    quoted.trim_matches('"')
}

/// A topology, and where it says that personal data may be beside the values.
pub(super) struct Generated {
    pub(super) text: String,
    /// Whether keys and headers may be some.
    pub(super) beside: bool,
    /// Whether more is declared than is marked, so that more is refused than would leak.
    pub(super) declared: bool,
}

/// A topology, from nothing but decisions. `bare`: what it is run on has nothing that `redact` would find by itself.
pub(super) fn topology(decisions: &[u8], bare: bool) -> Generated {
    let mut choices = Choices { rest: decisions.iter(), bare };
    let declared = match choices.of(8) {
        0..=3 => Declared::BySchema,
        4 => Declared::WithTime,
        5 | 6 => Declared::ByParts,
        _ => Declared::AsAWhole,
    };
    let mut draft = Draft::new(declared);
    for _ in 0..choices.of(5) {
        draft.step(&mut choices);
    }
    if choices.of(3) > 0 {
        draft.grow(&mut choices);
    }
    let (text, beside) = (draft.finish(&mut choices), !declared.by_schema());
    let declared = declared != Declared::BySchema || text.contains("topic: between");
    Generated { text, beside, declared }
}
