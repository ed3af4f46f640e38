//! Whether bytes are text.
//!
//! Every text of every message is asked, and most are a few dozen ASCII characters, for which the standard library's check
//! goes byte by byte up to the first multiple of eight and from the last one on. Here whole blocks are looked at, the last of
//! which overlaps the one before. On the texts of `benches/avro.rs` this takes two fifths of the time, which is more than a
//! tenth of what it takes to read such a message; what is not ASCII is left to the standard library.
//!
//! What the `unsafe` relies on: bytes below 128 are UTF-8, each a character of its own.

#![allow(unsafe_code, reason = "there is no safe way to have text of bytes that something else has checked; see above")]

use std::str::Utf8Error;

use bytes::Bytes;
use bytestring::ByteString;

/// The bytes as text.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Result<&str, Utf8Error> {
    match is_ascii(bytes) {
        // SAFETY: they are ASCII.
        true => Ok(unsafe { str::from_utf8_unchecked(bytes) }),
        false => str::from_utf8(bytes),
    }
}

/// The bytes as text that shares them.
#[inline]
pub(super) fn shared(bytes: Bytes) -> Result<ByteString, Utf8Error> {
    text(&bytes)?;
    // SAFETY: they are text.
    Ok(unsafe { ByteString::from_bytes_unchecked(bytes) })
}

#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u8 = 0x80;
    if let Some(last) = bytes.last_chunk::<16>() {
        let mut seen = *last;
        for block in bytes.as_chunks::<16>().0 {
            seen.iter_mut().zip(block).for_each(|(seen, byte)| *seen |= byte);
        }
        u128::from_ne_bytes(seen) & u128::from_ne_bytes([HIGH; 16]) == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)) & u64::from_ne_bytes([HIGH; 8]) == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & u32::from_ne_bytes([HIGH; 4]) == 0
    } else {
        bytes.iter().fold(0, |seen, byte| seen | byte) < HIGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place of texts of every length up to several blocks holds every kind of byte once.
    #[test]
    fn it_says_what_the_standard_library_says() {
        let letters: Vec<u8> = (b'A'..=b'Z').cycle().take(70).collect();
        for length in 0..letters.len() {
            assert_eq!(text(&letters[..length]), str::from_utf8(&letters[..length]));
            for place in 0..length {
                for wrong in [0x00, 0x7f, 0x80, 0xc3, 0xe2, 0xf0, 0xff] {
                    let mut bytes = letters[..length].to_vec();
                    bytes[place] = wrong;
                    assert_eq!(text(&bytes), str::from_utf8(&bytes), "{wrong:#x} at {place} of {length}");
                    let kept = shared(bytes.clone().into());
                    assert_eq!(kept.as_deref(), str::from_utf8(&bytes).as_ref().map(|text| *text));
                }
            }
        }
    }

    #[test]
    fn characters_of_several_bytes_are_text_wherever_they_stand() {
        for character in ["é", "€", "😀"] {
            for before in 0..40 {
                let whole = format!("{}{character}{}", "a".repeat(before), "b".repeat(40 - before));
                assert_eq!(text(whole.as_bytes()), Ok(whole.as_str()));
                let cut = &whole.as_bytes()[..=before];
                assert_eq!(text(cut).unwrap_err().valid_up_to(), before);
            }
        }
    }
}
