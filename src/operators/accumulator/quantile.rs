//! `approx_quantile`: a number such that a share `q` of all numbers is not above it, in a few KiB.
//!
//! A DDSketch (Masson, Rim and Lee, 2019): numbers are counted in buckets that grow by the factor γ, so that what is
//! given for a bucket is at most [`ERROR`] away from every number in it, relatively. It depends on the numbers alone, not
//! on their order, and two sketches merge exactly. Beyond [`MOST`] buckets the ones nearest to zero become one.
//!
//! A state is a list of buckets and their counts, in the order of the numbers, 12 bytes each.

use super::numbers::needed;
use crate::record::Value;

/// How far off a result may be, relatively.
const ERROR: f64 = 0.01;
/// How many buckets there are at the most: enough for numbers over 17 orders of magnitude.
const MOST: usize = 2_048;

/// The bucket of numbers around one; those of larger numbers count up from it, those of negative ones are its mirror
/// image. Zero's is 0.
const ONE: i32 = 50_000;
/// How far from [`ONE`] buckets lie at the most; no finite double needs more.
const FARTHEST: f64 = 40_000.0;

const BUCKET_BYTES: usize = size_of::<i32>();
const ENTRY_BYTES: usize = BUCKET_BYTES + size_of::<u64>();

/// Buckets, ascending, and how many numbers are in each.
type Buckets = Vec<(i32, u64)>;

/// ln γ.
fn step() -> f64 {
    ((1.0 + ERROR) / (1.0 - ERROR)).ln()
}

fn buckets(state: &Value) -> Result<Buckets, String> {
    let bytes: &[u8] = match state {
        Value::Null => &[],
        Value::Bytes(bytes) if bytes.len() % ENTRY_BYTES == 0 => bytes,
        other => return Err(format!("the state is none of approx_quantile, but a {}", other.kind())),
    };
    let entry = |entry: &[u8]| {
        let (bucket, count) = entry.split_at_checked(BUCKET_BYTES)?;
        Some((i32::from_be_bytes(bucket.try_into().ok()?), u64::from_be_bytes(count.try_into().ok()?)))
    };
    Ok(bytes.chunks_exact(ENTRY_BYTES).filter_map(entry).collect())
}

fn state(buckets: &[(i32, u64)]) -> Value {
    let mut bytes = Vec::with_capacity(buckets.len() * ENTRY_BYTES);
    for (bucket, count) in buckets {
        bytes.extend_from_slice(&bucket.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
    }
    Value::Bytes(bytes.into())
}

fn count(buckets: &mut Buckets, bucket: i32, times: u64) {
    match buckets.binary_search_by_key(&bucket, |(known, _)| *known) {
        Ok(place) => buckets[place].1 = buckets[place].1.saturating_add(times),
        Err(place) => {
            buckets.insert(place, (bucket, times));
            collapse(buckets);
        }
    }
}

/// Makes one of the two buckets nearest to zero, of the sign that has more of them, while there are too many.
fn collapse(buckets: &mut Buckets) {
    while buckets.len() > MOST {
        let negative = buckets.partition_point(|(bucket, _)| *bucket < 0);
        let positive = buckets.partition_point(|(bucket, _)| *bucket <= 0);
        let (least, next) = match buckets.len() - positive >= negative {
            true => (positive, positive),
            false => (negative - 1, negative - 2),
        };
        let (_, gone) = buckets.remove(least);
        buckets[next].1 = buckets[next].1.saturating_add(gone);
    }
}

/// The bucket of a number.
fn bucket(number: f64) -> i32 {
    if number == 0.0 {
        return 0;
    }
    let place = (number.abs().ln() / step()).ceil().clamp(-FARTHEST, FARTHEST) as i32;
    if number > 0.0 { ONE + place } else { -(ONE + place) }
}

/// What stands for the numbers of a bucket: as far from its upper end as from its lower, relatively.
fn representative(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let upper = (f64::from(bucket.abs() - ONE) * step()).exp();
    (2.0 * upper / (step().exp() + 1.0)).copysign(f64::from(bucket))
}

/// The state with one more number in it. What is not a number is passed over.
pub(super) fn add(before: &Value, argument: &Value) -> Result<Value, String> {
    let number = needed("approx_quantile", argument)?;
    if number.is_nan() {
        return Ok(before.clone());
    }
    let mut buckets = buckets(before)?;
    count(&mut buckets, bucket(number), 1);
    Ok(state(&buckets))
}

/// The state of all numbers of both.
pub(super) fn merge(a: &Value, b: &Value) -> Result<Value, String> {
    let mut all = buckets(a)?;
    for (bucket, times) in buckets(b)? {
        count(&mut all, bucket, times);
    }
    Ok(state(&all))
}

/// The number at `q`; null of none. With `n` numbers in order, counted from 0, it is the one at `q * (n - 1)`, rounded
/// down.
pub(super) fn at(state: &Value, q: f64) -> Result<Value, String> {
    let buckets = buckets(state)?;
    let total = buckets.iter().fold(0_u64, |total, (_, count)| total.saturating_add(*count));
    let rank = (q * total.saturating_sub(1) as f64).floor() as u64;
    let mut seen = 0_u64;
    for (bucket, count) in buckets {
        seen = seen.saturating_add(count);
        if seen > rank {
            return Ok(Value::Double(representative(bucket)));
        }
    }
    Ok(Value::Null)
}
