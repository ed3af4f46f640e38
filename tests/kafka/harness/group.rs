//! Consumer groups and transactions as Kafka's own tools see them.

use std::collections::BTreeMap;

use super::cluster::Cluster;

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";

impl Cluster {
    /// The committed offsets of a group, by topic and partition.
    pub(crate) fn committed(&self, group: &str) -> BTreeMap<(String, i32), i64> {
        let table = table(&self.tool(GROUPS, &["--describe", "--group", group, "--offsets"]), "GROUP");
        table
            .iter()
            .filter_map(|row| {
                let partition = row["PARTITION"].parse().ok()?;
                Some(((row["TOPIC"].clone(), partition), row["CURRENT-OFFSET"].parse().ok()?))
            })
            .collect()
    }

    /// The state of a group: `Stable`, `Empty`, `PreparingRebalance`, …; and how many members it has.
    pub(crate) fn group_state(&self, group: &str) -> (String, usize) {
        let text = self.tool(GROUPS, &["--describe", "--group", group, "--state"]);
        let table = table(&text, "GROUP");
        let row = table.first().unwrap_or_else(|| panic!("no state of group {group}:\n{text}"));
        (row["STATE"].clone(), row["#MEMBERS"].parse().unwrap())
    }

    /// The number of the broker that coordinates a transactional id, and the state of its transaction.
    pub(crate) fn transaction(&self, transactional_id: &str) -> (usize, String) {
        let text = self.tool(TRANSACTIONS, &["describe", "--transactional-id", transactional_id]);
        let table = table(&text, "CoordinatorId");
        let row = table.first().unwrap_or_else(|| panic!("no transactional id {transactional_id}:\n{text}"));
        (row["CoordinatorId"].parse().unwrap(), row["TransactionState"].clone())
    }

    /// The transactional ids that the cluster knows, each with the broker that coordinates it.
    pub(crate) fn transactional_ids(&self) -> BTreeMap<String, usize> {
        let text = self.tool(TRANSACTIONS, &["list"]);
        let table = table(&text, "TransactionalId");
        table.iter().map(|row| (row["TransactionalId"].clone(), row["Coordinator"].parse().unwrap())).collect()
    }
}

/// A table as Kafka's tools print it: a line of headings that starts with `first`, then rows; the cells are separated
/// by blanks and hold none.
fn table(text: &str, first: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(headings) = lines.by_ref().find(|line| line.trim_start().starts_with(first)) else { return Vec::new() };
    // `COORDINATOR (ID)` is one heading whose cells are two words; what follows it would be counted wrongly.
    let headings: Vec<String> =
        headings.replace("COORDINATOR (ID)", "COORDINATOR ID").split_whitespace().map(str::to_owned).collect();
    lines.map(|line| headings.iter().cloned().zip(line.split_whitespace().map(str::to_owned)).collect()).collect()
}
