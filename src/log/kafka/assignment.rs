//! What a member of a group was given, in the form in which Kafka's consumers tell each other.
//!
//! The brokers hand these bytes on as they are, from the member that leads the group: whatever joined it may have written
//! them. So nothing in them is believed before it is there.

use std::sync::Arc;

use crate::record::TopicPartition;

/// The least that a topic takes: the length of its name, and the number of its partitions.
const LEAST_TOPIC: usize = 6;
/// What a partition takes.
const PARTITION: usize = 4;

/// The partitions of an assignment (`ConsumerProtocolAssignment`, of any version: what later ones add comes behind).
/// Nothing at all is what a member has that was given nothing yet. `None`: it is of another form.
pub(super) fn partitions(assignment: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    let rest = &mut { assignment };
    if rest.is_empty() {
        return Some(partitions);
    }
    let version = i16::from_be_bytes(take(rest)?);
    if version < 0 {
        return None;
    }
    for _ in 0..count(rest, LEAST_TOPIC)? {
        let length = usize::try_from(i16::from_be_bytes(take(rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        *rest = behind;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..count(rest, PARTITION)? {
            let partition = i32::from_be_bytes(take(rest)?);
            partitions.push(TopicPartition::new(Arc::clone(&topic), partition));
        }
    }
    Some(partitions)
}

/// How many elements follow, of at least so many bytes each: no more than there is room for.
fn count(rest: &mut &[u8], least: usize) -> Option<usize> {
    let count = i32::from_be_bytes(take(rest)?);
    // Kafka writes -1 for a list that is not there.
    let count = usize::try_from(count.max(0)).ok()?;
    (count <= rest.len() / least).then_some(count)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two topics, then what an assignor adds.
    const BYTES: &[u8] = &[
        0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, b'b', b'c', 0, 0, 0, 1, 0, 0, 0, 7, 0,
        0, 0, 1, 9,
    ];

    #[test]
    fn the_partitions_of_all_topics_are_read() {
        let partitions = partitions(BYTES).unwrap();
        let expected = [("a", 0), ("a", 256), ("bc", 7)].map(|(topic, number)| TopicPartition::new(topic, number));
        assert_eq!(partitions, expected);
        assert_eq!(super::partitions(&[]), Some(Vec::new()), "nothing was given yet");
        assert_eq!(super::partitions(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]), Some(Vec::new()));
    }

    #[test]
    fn whatever_is_cut_off_or_claims_more_than_there_is_is_refused() {
        // What stands behind the partitions is the assignor's own, and may be missing.
        let end = BYTES.len() - 5;
        for length in 1..end {
            assert_eq!(partitions(&BYTES[..length]), None, "{length} bytes");
        }
        assert!(partitions(&BYTES[..end]).is_some());
        for at in [2, 9] {
            let mut many = BYTES.to_vec();
            many[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
            assert_eq!(partitions(&many), None, "a count of two thousand million at {at}");
        }
        let mut name = BYTES.to_vec();
        name[8] = 0xff;
        assert_eq!(partitions(&name), None, "no text");
        assert_eq!(partitions(&[0xff; 12]), None, "no version");
    }
}
