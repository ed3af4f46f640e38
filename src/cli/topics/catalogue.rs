//! What topologies and their schemas say of topics: how keys and values are written, who answers for them, and whether
//! personal data is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use comfy_table::Table;
use serde_json::{Value as Json, json};

use crate::serdes::{Format, SchemaDescription};
use crate::topology::pattern;
use crate::topology::plan::{Topic, Topology};

use super::super::output::table;

/// What is said of topics, by their names.
#[derive(Default)]
pub(super) struct Catalogue(BTreeMap<String, Entry>);

struct Entry {
    key: String,
    value: String,
    /// What the schema of its values says, else that of its keys.
    schema: Option<Arc<SchemaDescription>>,
    personal_data: bool,
}

impl Catalogue {
    /// What these topologies say of the topics that there are, those of their patterns too. Of a topic that several use, the
    /// first says it.
    pub(super) fn of<'t>(topologies: &[Topology], existing: impl Iterator<Item = &'t str> + Clone) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for topology in topologies {
            let resolved = pattern::on_topics(topology, existing.clone());
            let topics = resolved.as_ref().map_or(&topology.topics, |resolved| &resolved.topics);
            for topic in topics {
                catalogue.0.entry(topic.name.clone()).or_insert_with(|| Entry::of(topology, topic));
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
                if entry.personal_data { "yes" } else { "" }.to_owned(),
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
            personal_data: schemas.into_iter().flatten().any(|schema| schema.holds_personal_data()),
        }
    }
}
