//! `schemas check`: at which levels a schema fits two older versions, in a registry, in directories and in a repository.

use std::fs;

use serde_json::{Value as Json, json};

use super::commands::{Shop, said};
use super::harness::Registry;

/// Versions of a schema, the oldest first and the one that is checked last, and at which levels that one breaks.
struct History {
    versions: [Json; 3],
    breaks: [&'static str; 2],
    direction: &'static str,
}

const LEVELS: [&str; 6] =
    ["backward", "backward_transitive", "forward", "forward_transitive", "full", "full_transitive"];

/// Both last versions fit at every level. With the first one, the new version does not, in one direction.
fn histories() -> [History; 2] {
    let amount = json!({ "name": "amount", "type": "long" });
    let note = json!({ "name": "note", "type": "string" });
    let with_default = json!({ "name": "note", "type": "string", "default": "" });
    let more = json!({ "name": "more", "type": "int", "default": 0 });
    [
        History {
            versions: [json!([amount]), json!([amount, with_default]), json!([amount, note, more])],
            breaks: ["backward_transitive", "full_transitive"],
            direction: "backward",
        },
        History {
            versions: [json!([amount, note]), json!([amount, with_default]), json!([amount])],
            breaks: ["forward_transitive", "full_transitive"],
            direction: "forward",
        },
    ]
}

fn amount(fields: &Json) -> Json {
    json!({ "type": "record", "name": "Amount", "namespace": "shop", "fields": fields })
}

impl History {
    /// What a check at a level says: the exit status, the finding, and in which version it breaks if it does.
    fn compare(&self, level: &str, (status, report): &(Option<i32>, Json), version: &str) {
        let finding = &report["schemas"][0];
        assert_eq!((&finding["schema"], &finding["level"]), (&json!("Amount"), &json!(level)), "{report}");
        if !self.breaks.contains(&level) {
            assert_eq!((*status, &finding["status"]), (Some(0), &json!("fits")), "{level}: {report}");
            assert_eq!(finding["breaks"], json!([]), "{level}: {report}");
            return;
        }
        assert_eq!((*status, &report["compatible"]), (Some(1), &json!(false)), "{level}: {report}");
        let breaks = finding["breaks"].as_array().unwrap();
        assert_eq!(breaks.len(), 1, "{level}: {report}");
        let found = ["field", "direction"].map(|part| breaks[0][part].as_str().unwrap());
        assert_eq!(found, ["note", self.direction], "{level}");
        assert!(breaks[0]["version"].as_str().unwrap().starts_with(version), "{level}: {report}");
    }
}

#[test]
fn schemas_are_checked_against_a_registry_at_the_level_of_their_subject() {
    let (shop, registry) = (Shop::new(), Registry::start());
    let place = format!("--registry {}", registry.url());
    let (status, report) = shop.json(&format!("schemas check {place} --subject Amount=others"));
    assert_eq!((status, &report["schemas"][0]["status"]), (Some(0), &json!("new")), "{report}");

    for (number, history) in histories().into_iter().enumerate() {
        let subject = format!("amounts{number}-value");
        let [first, second, new] = &history.versions;
        registry.register(&subject, &amount(first));
        registry.register(&subject, &amount(second));
        let check = format!("schemas check {place} --subject Amount={subject}");
        shop.amount(second.clone());
        let (status, report) = shop.json(&check);
        assert_eq!((status, &report["schemas"][0]["status"]), (Some(0), &json!("same")), "{report}");
        shop.amount(new.clone());
        for level in LEVELS {
            let config = json!({ "compatibility": level.to_uppercase() });
            registry.ask("PUT", &format!("/config/{subject}"), Some(&config));
            let answer = shop.json(&check);
            history.compare(level, &answer, "version 1");
            // The registry's own word stands beside ours, and is the same.
            assert_eq!(answer.1["schemas"][0]["registry"].is_string(), history.breaks.contains(&level), "{level}");
        }
        // Another level than the subject's is asked for by name.
        registry.ask("PUT", &format!("/config/{subject}"), Some(&json!({ "compatibility": "NONE" })));
        history.compare("full_transitive", &shop.json(&format!("{check} --level full_transitive")), "version 1");
        let finished = shop.signalstream(&format!("{check} --level full_transitive"));
        let expected = format!("Amount: does not fit `{subject}` (full_transitive)\n  version 1: the ");
        assert!(finished.text().starts_with(&expected), "{}", finished.text());
    }
}

#[test]
fn a_topology_says_which_schemas_are_checked_against_a_registry() {
    let (shop, registry) = (Shop::new(), Registry::start());
    let order = |fields: &[(&str, &str)]| {
        super::order(fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect())
    };
    registry.register("orders-value", &order(&[("amount", "int")]));
    shop.schema("schemas/Order.avsc", &order(&[("amount", "long")]));
    let check = format!("schemas check --registry {} --topology shop.yaml", registry.url());
    let (status, report) = shop.json(&check);
    let of = |name: &str, report: &Json| {
        report["schemas"].as_array().unwrap().iter().find(|finding| finding["schema"] == name).unwrap().clone()
    };
    assert_eq!((status, &of("Order", &report)["status"]), (Some(0), &json!("fits")), "{report}");
    assert_eq!(of("Order", &report)["level"], "reads all versions");
    shop.schema("schemas/Order.avsc", &order(&[("amount", "long"), ("note", "string")]));
    let (status, report) = shop.json(&check);
    assert_eq!((status, &of("Order", &report)["breaks"][0]["field"]), (Some(1), &json!("note")), "{report}");
    assert_eq!(of("Amount", &report)["status"], "new", "the other one still fits");
}

#[test]
fn all_older_versions_of_files_count_where_the_level_says_so() {
    for history in histories() {
        let shop = Shop::new();
        for arguments in ["init -q", "config user.email t@t", "config user.name t"] {
            shop.command("git", arguments).succeeded();
        }
        let commit = || {
            shop.command("git", "add .").succeeded();
            shop.command("git", "commit -q -m next").succeeded();
        };
        let [first, second, new] = &history.versions;
        for (number, fields) in [first, second].into_iter().enumerate() {
            shop.amount(fields.clone());
            commit();
            fs::create_dir_all(shop.path("released")).unwrap();
            fs::create_dir(shop.path(&format!("released/{number}"))).unwrap();
            fs::copy(shop.path("schemas/Amount.avsc"), shop.path(&format!("released/{number}/Amount.avsc"))).unwrap();
            // Nobody has written a record with what is no schema.
            fs::write(shop.path("schemas/Amount.avsc"), "{").unwrap();
            commit();
        }
        shop.amount(second.clone());
        commit();
        shop.amount(new.clone());
        for level in LEVELS {
            let answer = shop.json(&format!("schemas check --against-revision HEAD --level {level}"));
            history.compare(level, &answer, "schemas at ");
            let both = "--against released/0 --against released/1";
            history.compare(level, &shop.json(&format!("schemas check {both} --level {level}")), "released/0");
        }

        // What a checkout leaves out is not taken for what never was.
        let origin = format!("clone -q --depth 1 file://{} clone", shop.path("").display());
        shop.command("git", &origin).succeeded();
        let finished = shop.signalstream("schemas check --schemas clone/schemas --against-revision HEAD --level full");
        assert_eq!(finished.status.code(), Some(0), "{}", said(&finished));
        let check = "schemas check --schemas clone/schemas --against-revision HEAD --level full_transitive";
        let finished = shop.signalstream(check);
        assert_eq!(finished.status.code(), Some(1));
        assert!(said(&finished).contains("git fetch --unshallow"), "{}", said(&finished));
    }
}
