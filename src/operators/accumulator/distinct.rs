//! `approx_distinct`: how many different values there were, in 4 KiB at the most.
//!
//! Up to [`FEW`] values the state is the list of their hashes, and the count exact (but for equal 64-bit hashes). Beyond,
//! it is a HyperLogLog of 4,096 registers (Flajolet, Fusy, Gandouet and Meunier, 2007, with the 64-bit hashes of Heule,
//! Nunkesser and Hall, 2013), read by the estimator of Ertl (2017), which is unbiased over the whole range without
//! tables. Its standard error is 1.04 / √4096 = 1.6%. Which state it is follows from its length.

use bytes::Bytes;

use crate::record::{Shape, Value};
use crate::serdes::internal::Codec;

/// Bits of a hash that choose the register.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// The most that a register holds: the place of the first one among the other bits.
const HIGHEST: usize = (u64::BITS - PRECISION + 1) as usize;
const HASH_BYTES: usize = size_of::<u64>();
/// Up to how many values are counted exactly.
pub(super) const FEW: usize = 256;

/// What a state holds.
enum Sketch<'a> {
    /// Hashes, sorted, 8 bytes each.
    Few(&'a [u8]),
    /// Registers, a byte each.
    Many(&'a [u8]),
}

fn sketch(state: &Value) -> Result<Sketch<'_>, String> {
    match state {
        Value::Null => Ok(Sketch::Few(&[])),
        Value::Bytes(bytes) if bytes.len() == REGISTERS => Ok(Sketch::Many(bytes)),
        Value::Bytes(bytes) if bytes.len() % HASH_BYTES == 0 && bytes.len() <= FEW * HASH_BYTES => {
            Ok(Sketch::Few(bytes))
        }
        other => Err(format!("the state is none of approx_distinct, but a {}", other.kind())),
    }
}

/// The state with one more value in it.
pub(super) fn add(state: &Value, argument: &Value) -> Result<Value, String> {
    let hash = hash(argument);
    match sketch(state)? {
        Sketch::Few(hashes) => {
            let Err(place) = search(hashes, hash) else { return Ok(state.clone()) };
            if hashes.len() == FEW * HASH_BYTES {
                let mut registers = registers(hashes);
                note(&mut registers, hash);
                return Ok(Value::Bytes(registers.into()));
            }
            let mut longer = Vec::with_capacity(hashes.len() + HASH_BYTES);
            let (before, after) = hashes.split_at(place * HASH_BYTES);
            longer.extend_from_slice(before);
            longer.extend_from_slice(&hash.to_be_bytes());
            longer.extend_from_slice(after);
            Ok(Value::Bytes(longer.into()))
        }
        Sketch::Many(registers) => {
            let (register, rank) = place(hash);
            if registers.get(register).is_some_and(|known| *known >= rank) {
                return Ok(state.clone());
            }
            let mut registers = registers.to_vec();
            note(&mut registers, hash);
            Ok(Value::Bytes(registers.into()))
        }
    }
}

/// The state of all values that are in either.
pub(super) fn merge(a: &Value, b: &Value) -> Result<Value, String> {
    match (sketch(a)?, sketch(b)?) {
        (Sketch::Few(left), Sketch::Few(right)) => {
            let mut hashes: Vec<u64> = each(left).chain(each(right)).collect();
            hashes.sort_unstable();
            hashes.dedup();
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
            Ok(Value::Bytes(Bytes::from(if hashes.len() > FEW { registers(&bytes) } else { bytes })))
        }
        (Sketch::Many(many), Sketch::Few(few)) | (Sketch::Few(few), Sketch::Many(many)) => {
            let mut registers = many.to_vec();
            each(few).for_each(|hash| note(&mut registers, hash));
            Ok(Value::Bytes(registers.into()))
        }
        (Sketch::Many(left), Sketch::Many(right)) => {
            Ok(Value::Bytes(left.iter().zip(right).map(|(a, b)| *a.max(b)).collect::<Vec<u8>>().into()))
        }
    }
}

/// How many different values there were, about.
pub(super) fn estimate(state: &Value) -> Result<Value, String> {
    let count = match sketch(state)? {
        Sketch::Few(hashes) => (hashes.len() / HASH_BYTES) as i64,
        Sketch::Many(registers) => estimated(registers).round() as i64,
    };
    Ok(Value::Int(count))
}

/// A hash that is the same on every machine and for ever: FNV-1a over the value's canonical bytes, then the finalizer of
/// MurmurHash3, which makes every bit depend on all others.
fn hash(value: &Value) -> u64 {
    let mut bytes = Vec::with_capacity(32);
    Codec::for_keys(&Shape::Any).encode(0, value, &mut bytes);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn each(hashes: &[u8]) -> impl Iterator<Item = u64> {
    hashes.chunks_exact(HASH_BYTES).filter_map(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Where a hash stands among sorted ones, or where it belongs.
fn search(hashes: &[u8], hash: u64) -> Result<usize, usize> {
    let (mut low, mut high) = (0, hashes.len() / HASH_BYTES);
    let wanted = hash.to_be_bytes();
    while low < high {
        let middle = low + (high - low) / 2;
        match hashes[middle * HASH_BYTES..][..HASH_BYTES].cmp(&wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Ok(middle),
        }
    }
    Err(low)
}

/// The register of a hash, and the place of the first one among its other bits.
fn place(hash: u64) -> (usize, u8) {
    let register = (hash >> (u64::BITS - PRECISION)) as usize;
    // The bit behind the last one ends the search where all others are zero.
    let rest = (hash << PRECISION) | (1 << (PRECISION - 1));
    (register, rest.leading_zeros() as u8 + 1)
}

fn note(registers: &mut [u8], hash: u64) {
    let (register, rank) = place(hash);
    if let Some(known) = registers.get_mut(register) {
        *known = rank.max(*known);
    }
}

fn registers(hashes: &[u8]) -> Vec<u8> {
    let mut registers = vec![0; REGISTERS];
    each(hashes).for_each(|hash| note(&mut registers, hash));
    registers
}

/// Ertl's improved raw estimator.
fn estimated(registers: &[u8]) -> f64 {
    let mut counts = [0_u32; HIGHEST + 1];
    for register in registers {
        counts[usize::from(*register).min(HIGHEST)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(counts[HIGHEST]) / m);
    for count in counts[1..HIGHEST].iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(counts[0]) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

/// What registers that are still zero add.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// What registers that cannot grow add.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
