//! MurmurHash3, x64, 128 bits, seed 0 (Austin Appleby): what Kafka Streams tells left rows apart by.

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

fn mixed_1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mixed_2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finished(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// Up to eight bytes, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The hash, big-endian.
pub(super) fn murmur3_128(data: &[u8]) -> [u8; 16] {
    let (mut a, mut b) = (0_u64, 0_u64);
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        let (low, high) = block.split_at(8);
        a ^= mixed_1(word(low));
        a = a.rotate_left(27).wrapping_add(b).wrapping_mul(5).wrapping_add(0x52dc_e729);
        b ^= mixed_2(word(high));
        b = b.rotate_left(31).wrapping_add(a).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let rest = blocks.remainder();
    let (low, high) = rest.split_at(rest.len().min(8));
    a ^= mixed_1(word(low));
    b ^= mixed_2(word(high));
    let length = data.len() as u64;
    a ^= length;
    b ^= length;
    a = a.wrapping_add(b);
    b = b.wrapping_add(a);
    a = finished(a);
    b = finished(b);
    a = a.wrapping_add(b);
    b = b.wrapping_add(a);
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        let hash = |text: &str| u128::from_be_bytes(murmur3_128(text.as_bytes()));
        assert_eq!(hash(""), 0);
        assert_eq!(hash("hello"), 0xcbd8_a7b3_41bd_9b02_5b1e_906a_48ae_1d19);
        assert_eq!(hash("hello, world"), 0x342f_ac62_3a5e_bc8e_4cdc_bc07_9642_414d);
        assert_eq!(hash("The quick brown fox jumps over the lazy dog."), 0xcd99_481f_9ee9_02c9_695d_a1a3_8987_b6e7);
    }
}
