//! What the binary carries with it: the support topology, its schemas, and sample conversations.

/// The support-intelligence topology.
pub(super) const SUPPORT_TOPOLOGY: &str = include_str!("../../topologies/support-intelligence.yaml");

/// What messages call that topology.
pub(super) const SUPPORT_TOPOLOGY_NAME: &str = "topologies/support-intelligence.yaml (built in)";

/// Sample conversations of that topology's input, as lines of JSON.
pub(super) const SAMPLE_CONVERSATIONS: &str = include_str!("../../topologies/samples/support-conversations.jsonl");

/// Their name in messages.
pub(super) const SAMPLE_CONVERSATIONS_NAME: &str = "topologies/samples/support-conversations.jsonl (built in)";

/// The files of `schemas/`: names and texts.
pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("AggregatedIntelligence.avsc", include_str!("../../schemas/AggregatedIntelligence.avsc")),
    ("ConversationState.avsc", include_str!("../../schemas/ConversationState.avsc")),
    ("ErrorEvent.avsc", include_str!("../../schemas/ErrorEvent.avsc")),
    ("Escalation.avsc", include_str!("../../schemas/Escalation.avsc")),
    ("InsightsResult.avsc", include_str!("../../schemas/InsightsResult.avsc")),
    ("MessageCreated.avsc", include_str!("../../schemas/MessageCreated.avsc")),
    ("PIIDetectionResult.avsc", include_str!("../../schemas/PIIDetectionResult.avsc")),
    ("SentimentResult.avsc", include_str!("../../schemas/SentimentResult.avsc")),
    ("SummaryResult.avsc", include_str!("../../schemas/SummaryResult.avsc")),
    ("TenantMood.avsc", include_str!("../../schemas/TenantMood.avsc")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_the_project_is_built_in() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, SCHEMAS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }
}
