//! Compares what state was written with and what a topology would write.

use std::collections::{BTreeMap, BTreeSet};

use super::description::{Description, Input, KeptStore, Removed};
use super::layout::missing;
use super::{Finding, Verdict, facts};
use crate::log::TopicConfig;
use crate::topology::plan::Topology;

/// What to do where rows of a store do not fit.
const OTHER_STORE: &str = "Go back to what it was; or give the store another name (`store: {name: …}`, or the name of what \
                           it belongs to), under which it begins empty; or let the application start over with \
                           `signalstream reset`; or run it under another name";
/// What to do where records on their way would be lost.
const DRAIN: &str = "Run the topology as it was with `--until-end`, with nothing new in its inputs, so that they are \
                     processed; or give them up: `signalstream topics prune FILE --execute`";
/// What to do with what is left of a store.
const PRUNE: &str = "`signalstream topics prune FILE` shows what is left over, and deletes it with `--execute`";

/// What has changed.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What follows from it for what is stored.
    pub findings: Vec<Finding>,
    /// What follows from it if there are records in a repartition topic that have not been processed.
    pub in_transit: Vec<Finding>,
    /// What earlier versions had and this one has not.
    pub removed: Vec<Removed>,
}

/// What follows for the state that was written with `before`, when a topology goes on with it that would write `now`.
/// `existing` are the topics that there are.
pub fn compare(
    before: &Description,
    now: &Description,
    topology: &Topology,
    existing: &BTreeMap<String, TopicConfig>,
) -> Comparison {
    let change = Change { before, now, topology, existing };
    let mut comparison = Comparison::default();
    for store in now.stores() {
        match before.stores().find(|old| old.name == store.name) {
            Some(old) => change.store(old, store, &mut comparison.findings),
            None => comparison.findings.extend(change.returned(store).or_else(|| change.late_table(store))),
        }
    }
    let left = before.stores().filter(|old| !now.stores().any(|store| store.name == old.name));
    let left = left.filter(|old| existing.contains_key(&old.changelog));
    comparison.findings.extend(left.map(|old| change.removed_store(old)));
    change.inputs(&mut comparison);
    comparison.removed = change.removed_topics();
    comparison
}

struct Change<'a> {
    before: &'a Description,
    now: &'a Description,
    topology: &'a Topology,
    existing: &'a BTreeMap<String, TopicConfig>,
}

impl Change<'_> {
    fn finding(&self, verdict: Verdict, store: &KeptStore, what: &str, was: &str, is: &str, why: &str) -> Finding {
        Finding {
            verdict,
            subject: format!("store `{}`", store.name),
            topic: store.changelog.clone(),
            what: what.to_owned(),
            was: was.to_owned(),
            is: is.to_owned(),
            why: why.to_owned(),
            remedy: if verdict == Verdict::Refused { OTHER_STORE.to_owned() } else { String::new() },
            place: self.topology.places.get(&store.name).cloned(),
        }
    }

    /// A store that was there before.
    fn store(&self, old: &KeptStore, now: &KeptStore, findings: &mut Vec<Finding>) {
        let refused =
            |what: &str, was: &str, is: &str, why: &str| self.finding(Verdict::Refused, now, what, was, is, why);
        if old.kind != now.kind {
            let why = "The keys of its rows are laid out in another way";
            findings.push(refused("kind", &old.kind, &now.kind, why));
            return;
        }
        if old.key != now.key {
            let why = "The rows that are there would not be found under the new keys";
            findings.push(refused("keys", &old.key, &now.key, why));
        }
        let differences = now.value.differences(&old.value);
        if !differences.is_empty() {
            let why = "The rows that are there cannot be read as that";
            findings.push(refused("values", "", &differences.join(", "), why));
        }
        for (fact, was) in &old.facts {
            let Some(is) = now.facts.get(fact).filter(|is| *is != was) else { continue };
            // The layout says it already.
            let of_field = [facts::AGGREGATE, facts::ARGUMENT, facts::LIMIT].iter().any(|of| fact.starts_with(of));
            if of_field && !differences.is_empty() {
                continue;
            }
            let Some((verdict, why)) = rule(fact) else { continue };
            findings.push(self.finding(verdict, now, fact, was, is, why));
        }
    }

    /// A store that was not there before: one that an earlier version had and dropped has rows from then.
    fn returned(&self, store: &KeptStore) -> Option<Finding> {
        let known = |removed: &Removed| removed.topic == store.changelog && self.existing.contains_key(&removed.topic);
        self.before.removed.iter().any(known).then(|| {
            let why = "Its changelog has the rows that an earlier version of the topology left, and what came in between is \
                       missing in them";
            let is = "an earlier version had it, the last one had not";
            let remedy = format!("{PRUNE}, and the store begins empty; or give it another name");
            Finding { remedy, ..self.finding(Verdict::Refused, store, "comes back", "", is, why) }
        })
    }

    /// A new table of a topic that has been read before.
    fn late_table(&self, store: &KeptStore) -> Option<Finding> {
        let topic = store.facts.get(facts::READS)?;
        self.before.inputs().any(|input| input.topic == *topic).then(|| {
            let why = format!(
                "`{topic}` is read on from where the application has come to in it: rows that came before are not in the table"
            );
            let remedy = "Write them again, or let the application start over with `signalstream reset`".to_owned();
            let finding = self.finding(Verdict::Note, store, "begins empty", "", "", &why);
            Finding { remedy, topic: topic.clone(), ..finding }
        })
    }

    /// A store that is not there any more.
    fn removed_store(&self, old: &KeptStore) -> Finding {
        let mut why = format!("Its rows stay in the topic `{}`", old.changelog);
        if let Some(holds) = old.facts.get(facts::HOLDS) {
            why = format!("It held {holds}: they are not handed on any more. {why}");
        }
        let same = |store: &&KeptStore| {
            (&store.kind, &store.key, &store.value, &store.facts) == (&old.kind, &old.key, &old.value, &old.facts)
                && !self.before.stores().any(|known| known.name == store.name)
        };
        if let Some(new) = self.now.stores().find(same) {
            why = format!("If it was renamed to `{}`: that one begins empty. {why}", new.name);
        }
        let finding = self.finding(Verdict::Note, old, "is gone", "", "", &why);
        Finding { remedy: PRUNE.to_owned(), ..finding }
    }

    fn inputs(&self, comparison: &mut Comparison) {
        for old in self.before.inputs() {
            let now = self.now.inputs().find(|input| input.topic == old.topic);
            match (&old.passage, now) {
                (Some(_), now) => comparison.in_transit.extend(self.passage(old, now)),
                (None, Some(_)) => {}
                (None, None) => comparison.findings.extend(self.unread(old)),
            }
        }
    }

    /// A repartition topic: what is in it has to be read as it was written.
    fn passage(&self, old: &Input, now: Option<&Input>) -> Option<Finding> {
        let finding = |what: &str, was: &str, is: &str, why: &str| Finding {
            verdict: Verdict::Refused,
            subject: format!("topic `{}`", old.topic),
            topic: old.topic.clone(),
            what: what.to_owned(),
            was: was.to_owned(),
            is: is.to_owned(),
            why: why.to_owned(),
            remedy: DRAIN.to_owned(),
            place: None,
        };
        let was = old.passage.as_ref()?;
        let Some(is) = now.and_then(|input| input.passage.as_ref()) else {
            return Some(finding(
                "is not read any more",
                "",
                "",
                "Records in it have not been processed, and would be lost",
            ));
        };
        let differences = is.value.differences(&was.value);
        let unread = missing(&is.fields, &was.fields);
        if was.key != is.key {
            let why = "Records in it have not been processed, and their keys are in the old format";
            Some(finding("keys", &was.key, &is.key, why))
        } else if !differences.is_empty() {
            let why = "Records in it have not been processed, and are laid out as before";
            Some(finding("values", "", &differences.join(", "), why))
        } else if !unread.is_empty() {
            let why = "Records in it have not been processed, and do not have these fields, which nobody read before";
            Some(finding("reads more fields", "", &unread.join(", "), why))
        } else {
            None
        }
    }

    /// A topic that nobody reads any more, and stores that were made of it.
    fn unread(&self, old: &Input) -> Option<Finding> {
        let part = self.before.parts.iter().find(|part| part.inputs.iter().any(|input| input.topic == old.topic))?;
        let stays = |store: &&KeptStore| self.now.stores().any(|now| now.name == store.name);
        let store = part.stores.iter().find(stays)?;
        let why = format!("What came of its records in `{}` stays there", store.name);
        let subject = format!("topic `{}`", old.topic);
        let finding = self.finding(Verdict::Note, store, "is not read any more", "", "", &why);
        Some(Finding { subject, topic: old.topic.clone(), place: None, ..finding })
    }

    /// The topics of the engine's own that are left over, as far as they are there.
    fn removed_topics(&self) -> Vec<Removed> {
        let changelogs =
            self.before.stores().map(|old| Removed { topic: old.changelog.clone(), store: Some(old.name.clone()) });
        let passages = self.before.inputs().filter(|input| input.passage.is_some());
        let passages = passages.map(|input| Removed { topic: input.topic.clone(), store: None });
        let all = changelogs.chain(passages).chain(self.before.removed.iter().cloned());
        let used: BTreeSet<&str> = self.now.internal_topics().collect();
        let left = all.filter(|one| !used.contains(one.topic.as_str()) && self.existing.contains_key(&one.topic));
        left.collect::<BTreeSet<Removed>>().into_iter().collect()
    }
}

/// What follows when a fact changes, and why; `None`: nothing.
fn rule(fact: &str) -> Option<(Verdict, &'static str)> {
    use Verdict::{Note, Refused};
    let later = "It holds from now on: what was dropped or deleted before is gone";
    Some(match fact {
        facts::MADE_BY | facts::OF => (Refused, "Rows that the one has made mean something else to the other"),
        facts::WINDOWS => {
            (Refused, "Rows of the old windows would stand among those of the new ones, and be taken for them")
        }
        facts::TAKEN_BACK_BY => {
            let why = "A row that changes is taken out of its group by the expressions as they are now, but was added by \
                       those of then";
            (Refused, why)
        }
        facts::WITHIN | facts::SPAN | facts::HISTORY => {
            (Refused, "It decides where rows lie, so that those that are there would not be found")
        }
        facts::SIDE => (Refused, "Records of the one input would be taken for those of the other"),
        facts::UNTIL => (Refused, "What is held back lies in the order in which it is due, which is another one"),
        facts::FOREIGN_KEY => {
            let why = "A row that changes is unsubscribed from the row that the new expression names, but was subscribed by \
                       the old one";
            (Refused, why)
        }
        facts::GRACE | facts::RETENTION => (Note, later),
        facts::EMIT => (Note, "It holds from now on: what was handed on is not taken back, and may be handed on again"),
        facts::MATCHES => (Note, "It holds from now on: what was joined, or handed on without a match, stays so"),
        facts::HELD_FOR => (Note, "It holds for what is held back now, too"),
        facts::BY => (Note, "What was kept before is remembered by the old expression"),
        _ if fact.starts_with(facts::AGGREGATE) => {
            (Refused, "What is stored of the one aggregate means something else to the other")
        }
        _ if fact.starts_with(facts::ARGUMENT) => (Note, "It holds from now on: rows keep what was aggregated before"),
        _ if fact.starts_with(facts::LIMIT) => (Note, "It holds from now on: what was left out before is not known"),
        _ => return None,
    })
}
