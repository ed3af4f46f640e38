//! What topologies need of their topics, how topics grow, and how an application starts over.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{COUNTS, assert_success, lines, run, signalstream, stderr, stdout, with_counts};

fn at(directory: &Path, arguments: &[&str], input: &str) -> Output {
    run(directory, &[arguments, &["--embedded", "data"]].concat(), input)
}

/// The topology with so many partitions for its input.
fn with_partitions(directory: &Path, partitions: i32) {
    let text = format!("{COUNTS}topics:\n  orders: {{partitions: {partitions}}}\n");
    fs::write(directory.join("counts.yaml"), text).unwrap();
}

fn plan(directory: &Path) -> (Option<i32>, Json) {
    let output = at(directory, &["topics", "plan", "counts.yaml", "--output", "json"], "");
    (output.status.code(), serde_json::from_str(stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output))))
}

fn change<'a>(plan: &'a Json, topic: &str) -> &'a Json {
    plan.as_array().unwrap().iter().find(|step| step["topic"] == topic).unwrap()
}

/// The last counts by key.
fn counts(directory: &Path) -> Vec<(String, i64)> {
    let output = at(directory, &["stores", "scan", "totals", "--topology", "counts.yaml"], "");
    let row = |line: &Json| (line["key"].as_str().unwrap().to_owned(), line["value"]["n"].as_i64().unwrap());
    let mut counts: Vec<(String, i64)> = lines(&output).iter().map(row).collect();
    counts.sort();
    counts
}

fn orders(keys: &str) -> String {
    keys.chars().map(|key| format!("{{\"key\": \"{key}\", \"value\": 1}}\n")).collect()
}

#[test]
fn topics_are_listed_with_what_their_schemas_say_of_them() {
    let directory = with_counts();
    fs::create_dir(directory.path().join("schemas")).unwrap();
    let schema = json!({ "type": "record", "name": "Order", "doc": "what was bought", "owner": "sales",
        "fields": [{ "name": "mail", "type": "string", "pii": true }] });
    fs::write(directory.path().join("schemas/Order.avsc"), schema.to_string()).unwrap();
    let topology = COUNTS.replace("value: json}\ntables", "value: {avro: Order}}\ntables");
    fs::write(directory.path().join("counts.yaml"), topology).unwrap();
    assert_success(&at(directory.path(), &["topics", "apply", "counts.yaml"], ""));
    let listed = at(directory.path(), &["topics", "list", "counts.yaml", "--output", "json"], "");
    let listed: Json = serde_json::from_str(stdout(&listed)).unwrap_or_else(|_| panic!("{}", stderr(&listed)));
    let expected = json!({ "key": "string", "value": "avro Order", "schema": "Order", "doc": "what was bought",
        "owner": "sales", "tags": [], "personal_data": true });
    assert_eq!(change(&listed, "orders")["catalogue"], expected);
    assert_eq!(change(&listed, "totals")["catalogue"]["personal_data"], false);
    let text = at(directory.path(), &["topics", "list", "counts.yaml"], "");
    assert!(stdout(&text).contains("what was bought"), "{}", stdout(&text));
    let plain = at(directory.path(), &["topics", "--output", "json"], "");
    assert_success(&plain);
    assert!(!stdout(&plain).contains("catalogue"));
}

#[test]
fn topics_are_listed_with_the_personal_data_that_a_topology_declares_and_hands_on() {
    let directory = with_counts();
    let topology = "\
topology: counts
defaults: {key: string, value: json}
sources:
  orders: {topic: orders, personal_data: [mail]}
  clicks: {topic: clicks}
tables:
  last: {from: orders, aggregate: {mail: last(value.mail)}}
  clicked: {from: clicks, aggregate: {n: count()}}
sinks:
  - {from: last, topic: mails, personal_data: true}
  - {from: clicked, topic: totals}
";
    fs::write(directory.path().join("counts.yaml"), topology).unwrap();
    assert_success(&at(directory.path(), &["topics", "apply", "counts.yaml"], ""));
    let listed = at(directory.path(), &["topics", "list", "counts.yaml", "--output", "json"], "");
    let listed: Json = serde_json::from_str(stdout(&listed)).unwrap_or_else(|_| panic!("{}", stderr(&listed)));
    for (topic, expected) in [
        ("orders", json!(true)),
        ("mails", json!(true)),
        ("counts-last-changelog", json!(true)),
        ("totals", json!(false)),
        ("counts-clicked-changelog", json!(false)),
        // It is read, and nobody says what is in it.
        ("clicks", Json::Null),
    ] {
        assert_eq!(change(&listed, topic)["catalogue"]["personal_data"], expected, "{topic}");
    }
}

#[test]
fn a_plan_says_what_would_be_created_and_apply_creates_it() {
    let directory = with_counts();
    let (code, planned) = plan(directory.path());
    assert_eq!(code, Some(0));
    assert_eq!(planned.as_array().unwrap().len(), 4);
    assert_eq!(change(&planned, "counts-totals-changelog")["change"], "create");
    let dry = at(directory.path(), &["topics", "apply", "counts.yaml", "--dry-run"], "");
    assert!(stdout(&dry).contains("would be created") && !directory.path().join("data").exists());
    assert_success(&at(directory.path(), &["topics", "apply", "counts.yaml"], ""));
    let (code, planned) = plan(directory.path());
    assert_eq!(code, Some(0));
    assert!(planned.as_array().unwrap().iter().all(|step| step["change"] == "none"), "{planned}");
    let described = at(directory.path(), &["topics", "describe", "counts-totals-changelog"], "");
    assert!(stdout(&described).contains("compact"), "{}", stdout(&described));
    assert!(stderr(&at(directory.path(), &["topics", "describe", "order"], "")).contains("did you mean `orders`?"));
}

#[test]
fn what_breaks_correctness_fails_the_plan_stops_run_and_is_mended_by_apply() {
    let directory = with_counts();
    // A changelog that somebody made by hand.
    let made = [
        "produce",
        "counts-totals-changelog",
        "--partitions",
        "1",
        "--value-format",
        "bytes",
        "--key-format",
        "string",
    ];
    assert_success(&at(directory.path(), &made, ""));
    let (code, planned) = plan(directory.path());
    assert_eq!(code, Some(1));
    let step = change(&planned, "counts-totals-changelog");
    assert_eq!((&step["breaks"], &step["differences"][0]["property"]), (&json!(true), &json!("cleanup.policy")));
    let refused = at(directory.path(), &["run", "counts.yaml", "--until-end"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is a changelog but is not compacted"), "{}", stderr(&refused));
    let applied = at(directory.path(), &["topics", "apply", "counts.yaml"], "");
    assert_success(&applied);
    assert!(stdout(&applied).contains("changed: cleanup.policy from delete to compact"), "{}", stdout(&applied));
    assert_eq!(plan(directory.path()).0, Some(0));
    assert_success(&at(directory.path(), &["run", "counts.yaml", "--until-end"], ""));
}

#[test]
fn run_creates_no_topic_that_it_may_not() {
    let directory = with_counts();
    let refused = at(directory.path(), &["run", "counts.yaml", "--until-end", "--set", "topics.create=internal"], "");
    assert_eq!(refused.status.code(), Some(1));
    for part in ["these topics do not exist: orders, totals", "topics apply", "--create-topics"] {
        assert!(stderr(&refused).contains(part), "{part} in {}", stderr(&refused));
    }
    assert_success(&at(directory.path(), &["topics", "apply", "counts.yaml"], ""));
    assert_success(&at(directory.path(), &["run", "counts.yaml", "--until-end", "--set", "topics.create=none"], ""));
}

#[test]
fn a_reset_shows_what_it_would_do_and_then_lets_the_application_start_over() {
    let directory = with_counts();
    let here = directory.path();
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("aab")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    let expected = [("a".to_owned(), 2), ("b".to_owned(), 1)];
    assert_eq!(counts(here), expected);
    let dry = at(here, &["reset", "counts.yaml", "--output", "json"], "");
    assert_success(&dry);
    let steps: Json = serde_json::from_str(stdout(&dry)).unwrap();
    let what: Vec<&str> = steps.as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["offsets", "topic", "topic", "state"]);
    assert_eq!(counts(here), expected, "a dry run does nothing");
    assert_success(&at(here, &["reset", "counts.yaml", "--execute"], ""));
    let (_, planned) = plan(here);
    assert_eq!(change(&planned, "counts-tasks")["change"], "create");
    assert_eq!(change(&planned, "orders")["change"], "none", "what is not the engine's stays");
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    assert_eq!(counts(here), expected, "counted anew, once");
    assert_success(&at(here, &["stores", "verify"], ""));
}

#[test]
fn a_running_application_is_not_reset() {
    let directory = with_counts();
    let arguments = ["run", "counts.yaml", "--embedded", "data"];
    let mut first = signalstream(directory.path()).args(arguments).stderr(Stdio::null()).spawn().unwrap();
    while !stdout(&at(directory.path(), &["topics"], "")).contains("totals") {
        thread::sleep(Duration::from_millis(20));
    }
    let reset = at(directory.path(), &["reset", "counts.yaml", "--execute"], "");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(reset.status.code(), Some(1));
    assert!(stderr(&reset).contains("in use already"), "{}", stderr(&reset));
}

/// The procedure of docs/operations.md for a topic whose partitions state depends on.
#[test]
fn a_topic_with_state_by_its_partitions_is_copied_to_a_larger_one() {
    let directory = with_counts();
    let here = directory.path();
    with_partitions(here, 2);
    assert_success(&at(here, &["topics", "apply", "counts.yaml"], ""));
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    with_partitions(here, 5);
    let kept = at(here, &["topics", "apply", "counts.yaml"], "");
    assert_eq!(kept.status.code(), Some(1));
    assert!(stdout(&kept).contains("kept as it is: partitions is 2, wanted is 5"), "{}", stdout(&kept));
    let refused = at(here, &["topics", "apply", "counts.yaml", "--grow"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("copy the records"), "{}", stderr(&refused));

    let copy = "topology: copy-orders\ntopics:\n  orders-5: {partitions: 5}\nsources:\n  orders: {topic: orders, key: string, \
                value: json}\nsinks:\n  - {from: orders, topic: orders-5, key: string, value: json}\n";
    fs::write(here.join("copy.yaml"), copy).unwrap();
    assert_success(&at(here, &["run", "copy.yaml", "--until-end"], ""));
    fs::write(here.join("counts.yaml"), COUNTS.replace("topic: orders,", "topic: orders-5,")).unwrap();
    let refused = at(here, &["run", "counts.yaml", "--until-end"], "");
    assert!(stderr(&refused).contains("signalstream reset"), "{}", stderr(&refused));
    assert_success(&at(here, &["reset", "counts.yaml", "--execute"], ""));
    assert_success(&at(here, &["produce", "orders-5", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    assert_eq!(counts(here), ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| (key.to_owned(), 2)));
    assert_eq!(change(&plan(here).1, "counts-tasks")["partitions"], 5);
}

/// The procedure of docs/operations.md for a topic that state does not depend on, because a repartition topic stands
/// between.
#[test]
fn a_topic_that_is_repartitioned_before_any_state_grows_in_place() {
    let directory = with_counts();
    let here = directory.path();
    let topology = |partitions: i32| {
        let text = COUNTS.replace("from: orders\n", "from: keyed\n").replace(
            "tables:",
            "streams:\n  keyed:\n    from: orders\n    steps:\n      - select_key: string(key)\ntables:",
        );
        let text = format!("{text}topics:\n  orders: {{partitions: {partitions}}}\n");
        fs::write(here.join("counts.yaml"), text).unwrap();
    };
    topology(2);
    assert_success(&at(here, &["topics", "apply", "counts.yaml"], ""));
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    topology(5);
    assert_success(&at(here, &["topics", "apply", "counts.yaml", "--grow"], ""));
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    assert_eq!(counts(here), ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| (key.to_owned(), 2)));
    assert_eq!(change(&plan(here).1, "counts-tasks")["partitions"], 7);
}

/// The procedure of docs/operations.md for an application without state.
#[test]
fn the_input_of_an_application_without_state_grows_and_nothing_is_read_twice() {
    let directory = with_counts();
    let here = directory.path();
    let topology = |partitions: i32| {
        let text = format!(
            "topology: counts\ntopics:\n  orders: {{partitions: {partitions}}}\nsources:\n  orders: {{topic: orders, key: string, \
             value: json}}\nsinks:\n  - {{from: orders, topic: copies, key: string, value: json}}\n"
        );
        fs::write(here.join("counts.yaml"), text).unwrap();
    };
    topology(2);
    assert_success(&at(here, &["topics", "apply", "counts.yaml"], ""));
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    topology(5);
    let grown = at(here, &["topics", "apply", "counts.yaml", "--grow"], "");
    assert_success(&grown);
    assert!(stdout(&grown).matches("grown from 2 to 5 partitions").count() == 2, "{}", stdout(&grown));
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("abcdefgh")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    assert_eq!(lines(&at(here, &["consume", "copies", "--topology", "counts.yaml", "--from-beginning"], "")).len(), 16);
}

#[test]
fn what_a_changed_topology_makes_of_its_state_is_planned_and_what_it_leaves_over_is_pruned_or_reset() {
    let directory = with_counts();
    let here = directory.path();
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("aab")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    let (_, planned) = plan(here);
    assert_eq!(change(&planned, "counts-totals-changelog")["state"], json!([]));

    let text = fs::read_to_string(here.join("counts.yaml")).unwrap();
    let other = text.replace("    from: orders\n", "    from: orders\n    window: {tumbling: 1h}\n");
    fs::write(here.join("counts.yaml"), &other).unwrap();
    let (code, planned) = plan(here);
    let step = change(&planned, "counts-totals-changelog");
    assert_eq!((code, &step["breaks"], &step["change"]), (Some(1), &json!(true), &json!("none")));
    let state = &step["state"][0];
    for (field, value) in [("verdict", "refused"), ("what", "kind"), ("was", "key-value"), ("is", "window")] {
        assert_eq!(state[field], value, "{state}");
    }
    let refused = at(here, &["run", "counts.yaml", "--until-end"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("store `totals` (counts.yaml:"), "{}", stderr(&refused));

    let renamed = text.replace("totals:", "sums:").replace("from: totals", "from: sums");
    fs::write(here.join("counts.yaml"), &renamed).unwrap();
    let shown = at(here, &["topics", "plan", "counts.yaml"], "");
    assert_success(&shown);
    for said in ["note: store `totals`: is gone", "If it was renamed to `sums`: that one begins empty"] {
        assert!(stdout(&shown).contains(said), "{said} in {}", stdout(&shown));
    }
    let ran = at(here, &["run", "counts.yaml", "--until-end"], "");
    assert_success(&ran);
    assert!(stderr(&ran).contains("store `totals`: is gone"), "{}", stderr(&ran));
    let reset = at(here, &["reset", "counts.yaml", "--output", "json"], "");
    assert!(stdout(&reset).contains("counts-totals-changelog"), "{}", stdout(&reset));
    let left = at(here, &["topics", "prune", "counts.yaml", "--output", "json"], "");
    let left: Json = serde_json::from_str(stdout(&left)).unwrap();
    let row = json!([{"application": "counts", "topic": "counts-totals-changelog", "what": "changelog of `totals`", "done": false}]);
    assert_eq!(left, row);
    assert_success(&at(here, &["topics", "prune", "counts.yaml", "--execute"], ""));
    assert!(!stdout(&at(here, &["topics"], "")).contains("counts-totals-changelog"));
    assert!(stdout(&at(here, &["topics", "prune", "counts.yaml"], "")).contains("Nothing is left over"));
    // What was dropped, and begins anew, may come back.
    fs::write(here.join("counts.yaml"), &text).unwrap();
    assert_success(&at(here, &["produce", "orders", "--topology", "counts.yaml"], &orders("a")));
    assert_success(&at(here, &["run", "counts.yaml", "--until-end"], ""));
    assert_eq!(counts(here), [("a".to_owned(), 1)]);
    assert_success(&at(here, &["stores", "verify"], ""));
}

const PATTERNS: &str = r"
topology: patterns
defaults: {key: string, value: json}
sources:
  shops: {topic: {pattern: 'shop\..*'}}
sinks:
  - {from: shops, topic: out, map: {topic: topic}}
";

#[test]
fn patterns_take_the_topics_that_lines_name_and_that_a_log_has() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("patterns.yaml"), PATTERNS).unwrap();
    let line = |topic: &str| format!("{{\"topic\": \"{topic}\", \"key\": \"k\", \"value\": 1, \"timestamp\": 5}}\n");
    let driven = run(directory.path(), &["drive", "patterns.yaml"], &(line("shop.b") + &line("shop.a")));
    assert_success(&driven);
    let from: Vec<Json> = lines(&driven).iter().map(|line| line["value"]["topic"].clone()).collect();
    assert_eq!(from, [json!("shop.b"), json!("shop.a")]);
    let refused = run(directory.path(), &["drive", "patterns.yaml"], &line("my-shop.a"));
    assert!(stderr(&refused).contains("does not read `my-shop.a`"), "{}", stderr(&refused));

    let nothing = at(directory.path(), &["topics", "apply", "patterns.yaml"], "");
    assert!(stderr(&nothing).contains("no topic matches `shop\\..*`"), "{}", stderr(&nothing));
    let produce = ["produce", "shop.a", "--partitions", "3", "--topology", "patterns.yaml"];
    assert_success(&at(directory.path(), &produce, "{\"key\": \"k\", \"value\": 1}\n"));
    let planned = at(directory.path(), &["topics", "plan", "patterns.yaml"], "");
    assert_success(&planned);
    assert!(stdout(&planned).contains("shop.a"), "{}", stdout(&planned));
    assert_success(&at(directory.path(), &["run", "patterns.yaml", "--until-end"], ""));
    let read = at(directory.path(), &["consume", "out", "--from-beginning", "--topology", "patterns.yaml"], "");
    assert_eq!(lines(&read)[0]["value"], json!({"topic": "shop.a"}));
    let described = run(directory.path(), &["describe", "patterns.yaml"], "");
    assert!(stdout(&described).contains("read topics that match shop\\..*"), "{}", stdout(&described));
}
