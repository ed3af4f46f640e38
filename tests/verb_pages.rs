//! What the pages of `docs/verbs/` show is what comes out, and every verb has a page.
//!
//! On a page, a `yaml` block that starts with `topology:` begins a run. Each `json input` block after it is fed to the
//! topology as `signalstream drive --cache off` does, going on where the one before ended. What comes out meanwhile
//! stands in a `json output` block right below it, and there is none when nothing does. Below the last one, a `json
//! dropped` block says how many records were dropped, by reason, if any were. `UPDATE_GOLDENS=1` writes both kinds.

/// Pages show a topology with its processor.
#[allow(dead_code, unreachable_pub, reason = "a program of its own, of which the processor is taken")]
#[path = "../examples/processor/main.rs"]
mod example;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use signalstream::agents::Agents;
use signalstream::metrics::DropReason;
use signalstream::serdes::SchemaRegistry;
use signalstream::testing::{DriverOptions, InputLine, TopologyDriver, parse_line};
use signalstream::topology::{PlanOptions, json_schema, load_with};

const INPUT: &str = "json input";
const OUTPUT: &str = "json output";
const DROPPED: &str = "json dropped";

/// What every page has, in this order.
const HEADINGS: [&str; 6] = [
    "## Fields",
    "## Example",
    "## Nulls, tombstones and late records",
    "## Keys and partitions",
    "## State and cost",
    "## In Kafka Streams",
];

/// Fields of streams and tables that are no verbs: each stands on the pages of the verbs that it goes with.
const NOT_VERBS: [&str; 4] = ["from", "steps", "group_value", "on_error"];

/// Files of `src/operators/` that are no verb.
const NOT_OPERATORS: [&str; 5] = ["mod", "accumulator", "aggregate_changes", "emission", "sink"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of verbs, without the index.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(top().join("docs/verbs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .filter(|path| !path.ends_with("README.md"))
        .collect();
    pages.sort();
    pages
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Lines outside of blocks.
    Prose(Vec<String>),
    /// A fenced block: what stands behind the fence, and its lines.
    Block(String, Vec<String>),
}

impl Part {
    fn block(info: &str, lines: Vec<String>) -> [Part; 2] {
        [Part::Prose(vec![String::new()]), Part::Block(info.to_owned(), lines)]
    }

    fn is_made(&self) -> bool {
        matches!(self, Part::Block(info, _) if info == OUTPUT || info == DROPPED)
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut prose = Vec::new();
    let mut lines = text.lines().map(str::to_owned);
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            prose.push(line);
            continue;
        };
        parts.push(Part::Prose(std::mem::take(&mut prose)));
        let body = lines.by_ref().take_while(|line| line != "```").collect();
        parts.push(Part::Block(info.to_owned(), body));
    }
    parts.push(Part::Prose(prose));
    parts
}

fn text(parts: &[Part]) -> String {
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Part::Prose(prose) => lines.extend(prose.iter().cloned()),
            Part::Block(info, body) => {
                lines.push(format!("```{info}"));
                lines.extend(body.iter().cloned());
                lines.push("```".to_owned());
            }
        }
    }
    lines.join("\n") + "\n"
}

/// The parts that people write, without the blocks that are made and the blank lines before these.
fn written(parts: Vec<Part>) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::new();
    for part in parts {
        if !part.is_made() {
            kept.push(part);
            continue;
        }
        if let Some(Part::Prose(prose)) = kept.last_mut()
            && prose.last().is_some_and(String::is_empty)
        {
            prose.pop();
        }
    }
    kept
}

/// A topology that goes on from block to block.
struct Run {
    driver: TopologyDriver,
    /// Where in the page its last block of input stands.
    last: Option<usize>,
}

impl Run {
    fn new(topology: &str) -> Result<Run, String> {
        let mut schemas = SchemaRegistry::new();
        schemas.load_directory(&top().join("schemas")).unwrap();
        let agents = Agents::local();
        let options = PlanOptions { registry: &schemas, agents: &agents, projection: true };
        let topology = load_with("example.yaml", topology, &options, &example::processors())
            .map_err(|mistakes| mistakes.to_string())?;
        let options = DriverOptions { caching: false, ..DriverOptions::default() };
        let driver = TopologyDriver::new(Arc::new(topology), &schemas, options).map_err(|error| error.to_string())?;
        Ok(Run { driver, last: None })
    }

    fn feed(&mut self, lines: &[String]) -> Result<Vec<String>, String> {
        for line in lines {
            let fed = match parse_line(line).map_err(|error| format!("{line}: {error}"))? {
                None => Ok(()),
                Some(InputLine::Record(record)) => self.driver.pipe(&record),
                Some(InputLine::AdvanceWallClock(by)) => self.driver.advance_wall_clock(by),
            };
            fed.map_err(|error| format!("{line}: {error}"))?;
        }
        Ok(self.driver.take_outputs().iter().map(|record| record.to_json().to_string()).collect())
    }

    /// What the end of the input brings out, which without a cache is nothing; then what was dropped.
    fn finish(mut self) -> Result<Option<String>, String> {
        self.driver.finish().map_err(|error| error.to_string())?;
        let late: Vec<String> = self.driver.take_outputs().iter().map(|record| record.to_json().to_string()).collect();
        if !late.is_empty() {
            return Err(format!("the end of the input brings out {late:?}"));
        }
        let counted = DropReason::ALL.map(|reason| (reason.label(), self.driver.counters().dropped_for(reason)));
        let counts: Map<String, Json> = counted
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| (label.to_owned(), count.into()))
            .collect();
        Ok((!counts.is_empty()).then(|| Json::Object(counts).to_string()))
    }
}

/// Ends a run, and adds what was dropped below its last input.
fn end(run: Option<Run>, added: &mut Vec<(usize, [Part; 2])>) -> Result<(), String> {
    let Some(run) = run else { return Ok(()) };
    let last = run.last.ok_or("a topology has no input")?;
    if let Some(dropped) = run.finish()? {
        added.push((last, Part::block(DROPPED, vec![dropped])));
    }
    Ok(())
}

/// The page as it should be: with what comes out of its examples.
fn made(page: &str) -> Result<String, String> {
    let mut parts = written(parts(page));
    let mut added: Vec<(usize, [Part; 2])> = Vec::new();
    let mut run: Option<Run> = None;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Block(info, lines) if info == "yaml" && lines.first().is_some_and(|l| l.starts_with("topology:")) => {
                end(run.take(), &mut added)?;
                run = Some(Run::new(&lines.join("\n"))?);
            }
            Part::Block(info, lines) if info == INPUT => {
                let run = run.as_mut().ok_or("there is input before the first topology")?;
                run.last = Some(at);
                let outputs = run.feed(lines)?;
                if !outputs.is_empty() {
                    added.push((at, Part::block(OUTPUT, outputs)));
                }
            }
            _ => {}
        }
    }
    if run.is_none() {
        return Err("it shows no topology".to_owned());
    }
    end(run, &mut added)?;
    // From the end, so that places stay; of one place, what was added last comes last.
    for (at, block) in added.into_iter().rev() {
        drop(parts.splice(at + 1..at + 1, block));
    }
    Ok(text(&parts))
}

/// The first line in which a page and what it should be differ.
fn difference(found: &str, made: &str) -> Option<String> {
    if found == made {
        return None;
    }
    let (mut ours, mut theirs) = (made.lines(), found.lines());
    for number in 1.. {
        let (made, found) = (ours.next(), theirs.next());
        if made != found || made.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("the end of the page").to_owned();
            return Some(format!("line {number}:\n  - {}\n  + {}", shown(found), shown(made)));
        }
    }
    None
}

#[test]
fn what_the_pages_show_comes_out() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut failures = Vec::new();
    for path in pages() {
        let name = path.strip_prefix(top()).unwrap().display().to_string();
        let found = fs::read_to_string(&path).unwrap();
        match made(&found) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(made) if update => fs::write(&path, made).unwrap(),
            Ok(made) => failures.extend(difference(&found, &made).map(|difference| format!("{name}: {difference}"))),
        }
    }
    assert!(failures.is_empty(), "{}\nUPDATE_GOLDENS=1 writes what comes out", failures.join("\n"));
}

/// The names under which a page can be found: that of its file, and the words of its title's code.
fn names(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned();
    let code = title.split('`').skip(1).step_by(2);
    let words = code.flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let stem = path.file_stem().unwrap().to_str().unwrap();
    words.chain([stem]).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The verbs of the language: steps, what tables and streams are made by, kinds of windows, and operators.
fn verbs() -> BTreeSet<String> {
    let schema = json_schema();
    let definitions = &schema["$defs"];
    let mut verbs = BTreeSet::new();
    for step in definitions["Step"]["anyOf"].as_array().unwrap() {
        let names = step["properties"].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
        verbs.extend(names.unwrap_or_default());
        verbs.extend(step["const"].as_str().map(str::to_owned));
    }
    for of in ["Stream", "Table"] {
        let fields = definitions[of]["properties"].as_object().unwrap().keys();
        verbs.extend(fields.filter(|field| !NOT_VERBS.contains(&field.as_str())).cloned());
    }
    for window in definitions["Window"]["anyOf"].as_array().unwrap() {
        let name = window["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        verbs.insert(definitions[name]["required"][0].as_str().unwrap().to_owned());
    }
    for entry in fs::read_dir(top().join("src/operators")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if !NOT_OPERATORS.contains(&name) && name != "tests" {
            verbs.insert(name.to_owned());
        }
    }
    verbs
}

#[test]
fn every_verb_has_a_page() {
    let named: BTreeSet<String> = pages().iter().flat_map(|page| names(page)).collect();
    let verbs = verbs();
    for expected in ["filter", "peek", "tumbling", "suppress", "merge", "join_foreign_key", "deduplicate"] {
        assert!(verbs.contains(expected), "`{expected}` is a verb: the schema is not understood");
    }
    let missing: Vec<_> = verbs.difference(&named).collect();
    assert!(missing.is_empty(), "no page of docs/verbs/ has one of these in its title: {missing:?}");
}

#[test]
fn every_page_has_the_same_headings_and_is_in_the_index() {
    let index = fs::read_to_string(top().join("docs/verbs/README.md")).unwrap();
    let mut failures = Vec::new();
    for path in pages() {
        let file = path.file_name().unwrap().to_str().unwrap();
        let page = fs::read_to_string(&path).unwrap();
        let prose = parts(&page);
        let lines = prose.iter().filter_map(|part| match part {
            Part::Prose(lines) => Some(lines),
            Part::Block(..) => None,
        });
        let headings: Vec<&str> = lines.flatten().map(String::as_str).filter(|line| line.starts_with("## ")).collect();
        if headings != HEADINGS {
            failures.push(format!("{file}: its headings are {headings:?}"));
        }
        if !index.contains(&format!("({file})")) {
            failures.push(format!("{file} is not in docs/verbs/README.md"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The checks bite.
mod self_tests {
    use super::*;

    const PAGE: &str = r#"# `branch`

```yaml
topology: example
defaults: {key: string, value: json}
sources:
  in: {topic: in}
streams:
  sorted:
    from: in
    steps:
      - branch: {small: int(value) < 10}
sinks:
  - {from: sorted.small, topic: out}
```

```json input
{"topic":"in","key":"a","value":1,"timestamp":5}
{"topic":"in","key":"a","value":20,"timestamp":6}
```

```json output
{"topic":"out","partition":0,"key":"a","value":1,"timestamp":5}
```

```json dropped
{"no_branch":1}
```

The end.
"#;

    #[test]
    fn a_page_that_is_right_stays_as_it_is() {
        assert_eq!(made(PAGE).unwrap(), PAGE);
    }

    #[test]
    fn what_is_wrong_or_missing_is_found_and_mended() {
        for (right, wrong) in [
            ("\"value\":1,\"timestamp\":5}\n```", "\"value\":2,\"timestamp\":5}\n```"),
            ("```json dropped\n{\"no_branch\":1}\n```\n\n", ""),
            ("{\"no_branch\":1}", "{\"no_branch\":2}"),
            (
                "```json output\n{\"topic\":\"out\",\"partition\":0,\"key\":\"a\",\"value\":1,\"timestamp\":5}\n```\n\n",
                "",
            ),
        ] {
            let page = PAGE.replacen(right, wrong, 1);
            assert_ne!(page, PAGE, "{right}");
            let made = made(&page).unwrap();
            assert!(difference(&page, &made).is_some(), "{wrong}");
            assert_eq!(made, PAGE, "{wrong}");
        }
    }

    #[test]
    fn broken_examples_are_refused() {
        for (right, wrong) in [("from: in", "from: elsewhere"), ("{\"topic\":\"in\"", "{\"topic\":\"nowhere\"")] {
            assert!(made(&PAGE.replacen(right, wrong, 1)).is_err(), "{wrong}");
        }
        assert!(made("# `branch`\n").is_err());
    }
}
