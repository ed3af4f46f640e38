//! Foreign-key join of two tables: a row of the left one names a row of the right one, which lies in another task.
//!
//! Kafka Streams' rules (KIP-213), in its three parts: [`Subscribe`] tells the right table who names its rows, [`Answer`]
//! remembers that and answers with the row, [`Resolve`] joins the answer. An answer carries the hash of the left row that
//! asked: one for a row that is not there any more is discarded, as another is on its way.
//!
//! In one thing more is done than there. Every change of a left row is answered, for inner joins too, where such an answer
//! may say only that there is nothing to join: Kafka Streams leaves these out, and when the answer before them has become
//! stale meanwhile, a joined row stays that should have gone.

mod answer;
mod hash;
mod resolve;
mod subscribe;

use bytes::Bytes;

use super::{OperatorError, Result};
use crate::record::Value;
use crate::serdes::internal::Codec;

pub(super) use answer::Answer;
pub(super) use resolve::Resolve;
pub(super) use subscribe::Subscribe;

/// What the right table is to do about a left row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    /// Forget it: it names another row now, whose task answers.
    Withdraw,
    /// Forget it, and answer that there is no row.
    WithdrawAndAnswer,
    /// Remember it, and answer.
    Answer,
    /// As [`Instruction::Answer`]; that there is no row matters only if there was a joined one before.
    AnswerQuietly,
}

impl Instruction {
    fn number(self) -> i64 {
        match self {
            Instruction::Withdraw => 0,
            Instruction::WithdrawAndAnswer => 1,
            Instruction::Answer => 2,
            Instruction::AnswerQuietly => 3,
        }
    }

    fn of(number: i64) -> Option<Instruction> {
        let all =
            [Instruction::Withdraw, Instruction::WithdrawAndAnswer, Instruction::Answer, Instruction::AnswerQuietly];
        all.into_iter().find(|instruction| instruction.number() == number)
    }

    fn withdraws(self) -> bool {
        matches!(self, Instruction::Withdraw | Instruction::WithdrawAndAnswer)
    }
}

/// The hash of a row as it stands in subscriptions and answers: null of no row.
fn hash_of(row: &Value, codec: &Codec, buffer: &mut Vec<u8>) -> Value {
    if row.is_null() {
        return Value::Null;
    }
    buffer.clear();
    codec.encode(0, row, buffer);
    Value::Bytes(Bytes::copy_from_slice(&hash::murmur3_128(buffer)))
}

/// What is wrong with a record that the other side of the join did not write.
fn foreign(what: &str) -> OperatorError {
    OperatorError::Value(format!(
        "this is no {what} of a foreign-key join; the topic is the engine's own, and something else has written to it"
    ))
}

const LENGTH_BYTES: usize = size_of::<u32>();

/// What the keys of all subscriptions to a row begin with: the length of its key, and the key. So no key is the
/// beginning of another.
fn prefix(foreign_key: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(foreign_key.len())
        .map_err(|_| OperatorError::Value("a foreign key has more than 4 GiB".to_owned()))?;
    out.clear();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(foreign_key);
    Ok(())
}

/// The key of a subscription: the [`prefix`], and the key of the left row.
fn subscription_key(foreign_key: &[u8], key: &[u8], out: &mut Vec<u8>) -> Result<()> {
    prefix(foreign_key, out)?;
    out.extend_from_slice(key);
    Ok(())
}

/// The first key after all that begin with a prefix.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The key of the left row in the key of a subscription; `None`: it is none.
fn subscriber(subscription: &Bytes) -> Option<Bytes> {
    let length = subscription.first_chunk::<LENGTH_BYTES>()?;
    let start = LENGTH_BYTES.checked_add(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (start <= subscription.len()).then(|| subscription.slice(start..))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyed(foreign_key: &[u8], key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        subscription_key(foreign_key, key, &mut out).expect("it is short");
        out
    }

    #[test]
    fn what_is_no_key_of_a_subscription_is_refused() {
        assert_eq!(subscriber(&Bytes::from_static(b"")), None);
        assert_eq!(subscriber(&Bytes::from_static(&[0, 0, 0, 2, 1])), None);
    }

    #[test]
    fn every_instruction_is_read_back() {
        for number in 0..4 {
            assert_eq!(Instruction::of(number).map(Instruction::number), Some(number));
        }
        assert_eq!(Instruction::of(4), None);
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 0..4)
    }

    proptest! {
        #[test]
        fn the_subscriptions_to_a_row_are_one_range(foreign in bytes(), other in bytes(), key in bytes()) {
            let mut start = Vec::new();
            prefix(&foreign, &mut start).expect("it is short");
            let end = after_prefix(&start);
            let (own, others) = (keyed(&foreign, &key), keyed(&other, &key));
            prop_assert!(start <= own && own < end);
            prop_assert_eq!(start <= others && others < end, foreign == other);
            prop_assert_eq!(subscriber(&Bytes::from(own)), Some(Bytes::from(key)));
        }
    }
}
