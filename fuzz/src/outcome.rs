//! What came of an input as a number, by which `tests/fuzz.rs` sees that one led to something new. `cargo fuzz` has better:
//! the code that was reached.

/// Nothing worth telling apart.
pub(crate) const NONE: u64 = 0;

/// A number for some messages, without what they quote and count.
pub(crate) fn of<'a>(messages: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for message in messages {
        let mut quoted = false;
        for byte in message.bytes() {
            quoted ^= matches!(byte, b'`' | b'"' | b'\'');
            if !quoted && !byte.is_ascii_digit() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}
