//! Makes the schemas of an application known to the registry, and those of its inputs known to it, before it starts.

use std::collections::BTreeSet;

use crate::serdes::remote::{RegistryError, RemoteRegistry, SchemaText, Side, Subject};
use crate::topology::plan::Topology;
use crate::topology::schema_uses::{self, SchemaUse};

/// As [`announce_schemas`], and fetches the schemas that the inputs were written with.
pub(super) fn prepare(topology: &Topology) -> Result<(), RegistryError> {
    announce_schemas(topology)?;
    let Some(remote) = topology.schemas.remote() else { return Ok(()) };
    let uses = schema_uses::uses(topology);
    let subjects: BTreeSet<Subject> = uses.iter().map(|used| subject_of(topology, remote, used)).collect();
    for subject in subjects {
        let fetched = remote.prefetch(&subject)?;
        tracing::debug!(%subject, fetched, "schemas that records may have been written with");
    }
    Ok(())
}

/// Gives every schema that an application writes with its id, registering what is missing if the settings allow it. Without
/// a registry there is nothing to do: the ids derive from the schemas.
///
/// # Errors
/// When the registry does not answer, does not take a schema, or lacks one that may not be registered.
pub fn announce_schemas(topology: &Topology) -> Result<(), RegistryError> {
    let Some(remote) = topology.schemas.remote() else { return Ok(()) };
    let uses = schema_uses::uses(topology);
    for written in uses.iter().filter(|used| used.written) {
        let subject = subject_of(topology, remote, written);
        announce(topology, remote, &subject, &written.schema)?;
    }
    for read in uses.iter().filter(|used| !used.written) {
        let subject = subject_of(topology, remote, read);
        if topology.schemas.wire_id(&read.schema).is_none()
            && let Some((text, _)) = topology.schemas.text(&read.schema)
            && let Some(id) = remote.client().lookup(&subject, &SchemaText::avro(text))?
        {
            topology.schemas.assign(&read.schema, id);
        }
    }
    // Keys go on under the reader's own schema: into stores and internal topics, and into outputs of the same format.
    let keys = uses.iter().filter(|used| used.side == Side::Key).map(|used| used.schema.clone());
    let keys: BTreeSet<String> = keys.chain(schema_uses::internal_keys(topology)).collect();
    for key in keys.iter().filter(|key| topology.schemas.wire_id(key).is_none()) {
        announce(topology, remote, &Subject::named(format!("{}-{key}-key", topology.name)), key)?;
    }
    Ok(())
}

/// Has the registry say the id of a schema.
fn announce(
    topology: &Topology,
    remote: &RemoteRegistry,
    subject: &Subject,
    schema: &str,
) -> Result<(), RegistryError> {
    let Some((text, _)) = topology.schemas.text(schema) else { return Ok(()) };
    topology.schemas.assign(schema, remote.announce(subject, schema, text)?);
    Ok(())
}

fn subject_of(topology: &Topology, remote: &RemoteRegistry, used: &SchemaUse) -> Subject {
    let full_name = topology.schemas.text(&used.schema).map_or("", |(_, full_name)| full_name);
    let record = if full_name.is_empty() { &used.schema } else { full_name };
    remote.subject(&used.topic, used.side, record)
}
