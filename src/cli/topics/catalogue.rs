//! What topologies and their schemas say of topics: how keys and values are written, who answers for them, and whether
//! personal data is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use comfy_table::Table;
use serde_json::{Value as Json, json};

use crate::serdes::{Format, SchemaDescription};
use crate::topology::pattern;
use crate::topology::plan::{Sink, Topic, Topology, Verb};
use crate::topology::taint::PlaceKind;

use super::super::output::table;

/// What is said of topics, by their names.
#[derive(Default)]
pub(super) struct Catalogue(BTreeMap<String, Entry>);

struct Entry {
    key: String,
    value: String,
    /// What the schema of its values says, else that of its keys.
    schema: Option<Arc<SchemaDescription>>,
    /// Whether there is personal data in its records; `None`: nobody says anything of them.
    personal_data: Option<bool>,
}

impl Catalogue {
    /// What these topologies say of the topics that there are, those of their patterns too. Of a topic that several use, the
    /// first says it; that there is personal data in it, any may say.
    pub(super) fn of<'t>(topologies: &[Topology], existing: impl Iterator<Item = &'t str> + Clone) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for topology in topologies {
            let resolved = pattern::on_topics(topology, existing.clone());
            let resolved = resolved.as_deref().unwrap_or(topology);
            for topic in &resolved.topics {
                let entry = Entry::of(resolved, topic);
                let personal_data = entry.personal_data;
                let known = catalogue.0.entry(topic.name.clone()).or_insert(entry);
                known.personal_data = known.personal_data.max(personal_data);
            }
        }
        catalogue
    }

    /// What is said of these topics, where something is, for people.
    pub(super) fn table<'t>(&self, topics: impl Iterator<Item = &'t str>) -> Option<Table> {
        let mut table = table(&["TOPIC", "KEY", "VALUE", "OWNER", "PERSONAL DATA", "ABOUT"], &[]);
        let mut any = false;
        for (name, entry) in topics.filter_map(|name| Some((name, self.0.get(name)?))) {
            any = true;
            let schema = entry.schema.as_ref();
            table.add_row([
                name.to_owned(),
                entry.key.clone(),
                entry.value.clone(),
                schema.and_then(|schema| schema.owner.clone()).unwrap_or_default(),
                if entry.personal_data == Some(true) { "yes" } else { "" }.to_owned(),
                schema.map(|schema| schema.doc.clone()).unwrap_or_default(),
            ]);
        }
        any.then_some(table)
    }

    /// What is said of a topic, for programs; null where nothing is.
    pub(super) fn to_json(&self, topic: &str) -> Json {
        self.0.get(topic).map_or(Json::Null, |entry| {
            let schema = entry.schema.as_ref();
            json!({
                "key": entry.key,
                "value": entry.value,
                "schema": schema.map(|schema| &schema.name),
                "doc": schema.map(|schema| &schema.doc),
                "owner": schema.and_then(|schema| schema.owner.as_ref()),
                "tags": schema.map(|schema| &schema.tags),
                "personal_data": entry.personal_data,
            })
        })
    }
}

impl Entry {
    fn of(topology: &Topology, topic: &Topic) -> Entry {
        let of = |format: &Format| format.schema().and_then(|name| topology.catalogue.get(name));
        let schemas = [topic.value.as_ref().and_then(of), of(&topic.key)];
        Entry {
            key: topic.key.to_string(),
            value: topic.value.as_ref().map_or_else(|| "internal".to_owned(), Format::to_string),
            schema: schemas.into_iter().flatten().next().cloned(),
            personal_data: holds_personal_data(topology, topic, schemas),
        }
    }
}

/// Whether there is personal data in the records of a topic: as the schemas of its keys and values mark it, as a source or
/// sink of the topology declares it, or as it gets there by way of what the topology does. `None`: it is only read, and
/// nobody says anything of what is in it.
fn holds_personal_data(
    topology: &Topology,
    topic: &Topic,
    schemas: [Option<&Arc<SchemaDescription>>; 2],
) -> Option<bool> {
    let name = topic.name.as_str();
    let parts = || topology.subtopologies.iter();
    let mut sources = parts().flat_map(|part| &part.sources).chain(topology.globals.iter().map(|table| &table.source));
    let sinks = parts().flat_map(|part| &part.nodes).filter_map(|node| match &node.verb {
        Verb::Sink(sink) if sink.topic.names().any(|topic| &**topic == name) => Some(sink),
        _ => None,
    });
    let sinks: Vec<&Sink> = sinks.collect();
    let store = parts().flat_map(|part| &part.stores).find(|store| store.changelog.as_deref() == Some(name));
    let holds = |kind: PlaceKind, name: &str| {
        topology.personal_data.places.iter().any(|place| place.kind == kind && place.name == name)
    };
    let found = schemas.into_iter().flatten().any(|schema| schema.holds_personal_data())
        || sources.any(|source| &*source.topic == name && source.personal_data)
        || sinks.iter().any(|sink| sink.personal_data.any())
        || store.is_some_and(|store| holds(PlaceKind::Store, &store.name))
        || holds(PlaceKind::Topic, name)
        || holds(PlaceKind::InternalTopic, name);
    let is_known = found || !sinks.is_empty() || store.is_some() || schemas.iter().any(Option::is_some);
    is_known.then_some(found)
}
