//! Makes the schemas of an application known to the registry, and those of its inputs known to it, before it starts.

use std::collections::BTreeSet;

use crate::error::{Classified, ErrorClass};
use crate::serdes::remote::{RegistryError, RemoteRegistry, Side, Subject};
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::schema_uses::{self, SchemaUse};

/// A registry that is away fails a start, which would only wait. Whatever else it says of what may never be needed is left
/// to the record that needs it.
fn must_answer(answered: Result<(), RegistryError>) -> Result<(), RegistryError> {
    match answered {
        Err(error) if error.class() != ErrorClass::Retry => {
            tracing::warn!(%error, "a schema that records may have been written with is not known ahead");
            Ok(())
        }
        answered => answered,
    }
}

/// Gives every schema that an application writes to the topics that there are its id, registering what is missing if the
/// settings allow it, and fetches the schemas that its inputs were written with. Without a registry there is nothing to do:
/// the ids derive from the schemas.
///
/// # Errors
/// When the registry does not answer, does not take a schema, or lacks one that may not be registered.
pub(super) fn prepare<'t>(
    topology: &Topology,
    existing: impl IntoIterator<Item = &'t String>,
) -> Result<(), RegistryError> {
    let Some(remote) = topology.schemas.remote() else { return Ok(()) };
    let uses = on_topics(topology, existing);
    announce(topology, remote, uses.iter())?;
    for read in uses.iter().filter(|used| !used.written && used.side == Side::Key) {
        must_answer(find_key(topology, remote, read))?;
    }
    let inputs = uses.iter().filter(|used| used.read);
    let subjects: BTreeSet<Subject> = inputs.map(|used| subject_of(topology, remote, used)).collect();
    for subject in subjects {
        must_answer(remote.prefetch(&subject).map(|fetched| {
            tracing::debug!(%subject, fetched, "schemas that records may have been written with");
        }))?;
    }
    Ok(())
}

/// As [`prepare`], for topics that have come since: makes the schemas known that are written to them.
///
/// # Errors
/// As [`prepare`].
pub(super) fn announce_new(topology: &Topology, come: &BTreeSet<String>) -> Result<(), RegistryError> {
    let Some(remote) = topology.schemas.remote() else { return Ok(()) };
    announce(topology, remote, on_topics(topology, come).iter().filter(|used| come.contains(&used.topic)))
}

/// The uses of schemas, those of patterns by the topics that they take. Patterns that contradict each other are for the
/// start to refuse.
fn on_topics<'t>(topology: &Topology, existing: impl IntoIterator<Item = &'t String>) -> Vec<SchemaUse> {
    match pattern::on_topics(topology, existing.into_iter().map(String::as_str)) {
        Ok(resolved) => schema_uses::uses(&resolved),
        Err(_) => schema_uses::uses(topology),
    }
}

fn announce<'u>(
    topology: &Topology,
    remote: &RemoteRegistry,
    uses: impl Iterator<Item = &'u SchemaUse>,
) -> Result<(), RegistryError> {
    for written in uses.filter(|used| used.written) {
        let Some(text) = topology.schemas.announcement(&written.schema) else { continue };
        let subject = subject_of(topology, remote, written);
        topology.schemas.assign(&written.schema, remote.announce(&subject, &written.schema, &text)?);
    }
    Ok(())
}

/// Looks for the id of a key that is only read: by it, others have chosen the partitions of their topics, and so are those
/// of internal topics that are joined with them.
fn find_key(topology: &Topology, remote: &RemoteRegistry, read: &SchemaUse) -> Result<(), RegistryError> {
    if topology.schemas.wire_id(&read.schema).is_none()
        && let Some(text) = topology.schemas.announcement(&read.schema)
        && let Some(id) = remote.client().lookup(&subject_of(topology, remote, read), &text)?
    {
        topology.schemas.assign(&read.schema, id);
    }
    Ok(())
}

fn subject_of(topology: &Topology, remote: &RemoteRegistry, used: &SchemaUse) -> Subject {
    let full_name = topology.schemas.text(&used.schema).map_or("", |(_, full_name)| full_name);
    let record = if full_name.is_empty() { &used.schema } else { full_name };
    remote.subject(&used.topic, used.side, record)
}
