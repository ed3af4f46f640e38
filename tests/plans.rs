//! Plans as goldens: each `tests/plans/NAME.yaml` is planned and described, and the description compared with
//! `NAME.txt` beside it. `UPDATE_GOLDENS=1` writes the descriptions anew; read the difference before committing.

use std::fs;
use std::path::{Path, PathBuf};

use signalstream::agents::Agents;
use signalstream::serdes::SchemaRegistry;
use signalstream::topology::{DescribeFormat, PlanOptions, Topology, describe, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn plan(path: &Path) -> Topology {
    let mut registry = SchemaRegistry::new();
    registry.load_directory(&directory().join("schemas")).expect("the schemas are valid");
    let agents = Agents::local();
    let options = PlanOptions { registry: &registry, agents: &agents, projection: true };
    let text = fs::read_to_string(path).expect("the topology can be read");
    load(&path.display().to_string(), &text, &options).unwrap_or_else(|problems| panic!("{problems}"))
}

fn topologies() -> Vec<PathBuf> {
    let entries = fs::read_dir(directory()).expect("the directory is there").flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|name| name == "yaml")).collect();
    paths.sort();
    paths
}

#[test]
fn plans_are_as_they_were() {
    let mut differing = Vec::new();
    for path in topologies() {
        // Schemas are named by their files.
        let described =
            describe(&plan(&path), DescribeFormat::Text).replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "");
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&golden, &described).expect("the golden can be written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if described != expected {
            differing.push(format!("{}:\n{described}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "plans differ; UPDATE_GOLDENS=1 accepts them\n{}", differing.join("\n"));
}

#[test]
fn planning_twice_gives_the_same_plan() {
    for path in topologies() {
        let render = || describe(&plan(&path), DescribeFormat::Json);
        assert_eq!(render(), render());
    }
}

#[test]
fn every_format_names_every_node_store_and_topic() {
    for path in topologies() {
        let topology = plan(&path);
        for format in [DescribeFormat::Text, DescribeFormat::Mermaid, DescribeFormat::Dot, DescribeFormat::Json] {
            let described = describe(&topology, format);
            let parts = topology.subtopologies.iter();
            let nodes = parts.clone().flat_map(|part| &part.nodes).map(|node| node.name.as_str());
            let stores = parts.flat_map(|part| &part.stores).map(|store| store.name.as_str());
            let topics = topology.topics.iter().map(|topic| topic.name.as_str());
            let topics = topics.filter(|name| !name.ends_with("-changelog"));
            for name in nodes.chain(stores).chain(topics) {
                assert!(described.contains(name), "{name} is missing in {format:?} of {}", path.display());
            }
        }
        let json: serde_json::Value = serde_json::from_str(&describe(&topology, DescribeFormat::Json)).expect("JSON");
        assert_eq!(json["topology"], topology.name.as_str());
    }
}
