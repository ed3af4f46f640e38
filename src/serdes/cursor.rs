//! Reads a payload from front to back, never past its end and never on its word alone.

use bytes::Bytes;

use super::error::{Problem, SerdeError};
use crate::record::{Text, Value};

/// Items that take no bytes (nulls, empty records) a payload may have: enough for any honest one, and few
/// enough that a lie of a few bytes cannot make the reader fill its memory.
const EMPTY_ITEMS: u64 = 65_536;

/// How deep a record may lie in records that contain themselves. It bounds the stack, and what is left of a value when it is
/// dropped, compared or written.
const MAX_DEPTH: usize = 128;

/// A position in a payload.
pub(super) struct Cursor<'a> {
    payload: &'a Bytes,
    bytes: &'a [u8],
    position: usize,
    empty_items_left: u64,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at byte `position` of a payload.
    pub(super) fn new(payload: &'a Bytes, position: usize) -> Self {
        Cursor { payload, bytes: payload, position, empty_items_left: EMPTY_ITEMS, depth: 0 }
    }

    /// The byte to be read next, counted from the start of the payload.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// How many bytes have not been read yet.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// Reads what is one level deeper in a value of a schema that contains itself.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, SerdeError>) -> Result<T, SerdeError> {
        if self.depth >= MAX_DEPTH {
            return Err(Problem::TooDeep(MAX_DEPTH).at(self.position));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// The next `count` bytes.
    #[inline]
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], SerdeError> {
        let start = self.position;
        self.skip(count)?;
        Ok(self.bytes.get(start..self.position).unwrap_or_default())
    }

    /// Checks that everything has been read.
    pub(super) fn finish(&self) -> Result<(), SerdeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Problem::TrailingBytes(left).at(self.position)),
        }
    }

    /// One byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, SerdeError> {
        match self.bytes.get(self.position) {
            Some(byte) => {
                self.position += 1;
                Ok(*byte)
            }
            None => Err(Problem::Truncated { needed: 1 }.at(self.position)),
        }
    }

    /// A boolean of one byte.
    #[inline]
    pub(super) fn boolean(&mut self) -> Result<bool, SerdeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Problem::BadBoolean(other).at(self.position - 1)),
        }
    }

    /// A variable-length unsigned integer, seven bits a byte, lowest first.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, SerdeError> {
        match varint(self.bytes, self.position) {
            Some((number, end)) => {
                self.position = end;
                Ok(number)
            }
            None => Err(self.bad_varint()),
        }
    }

    /// What is wrong with an integer that is none.
    #[cold]
    fn bad_varint(&self) -> SerdeError {
        match self.remaining() < LONGEST_VARINT {
            true => Problem::Truncated { needed: 1 }.at(self.bytes.len()),
            false => Problem::IntegerTooLong.at(self.position),
        }
    }

    /// Goes on at the position that `pass` gives for the whole payload and the position that was reached, if it gives one.
    #[inline]
    pub(super) fn advance(&mut self, pass: impl FnOnce(&[u8], usize) -> Option<usize>) -> bool {
        let reached = pass(self.bytes, self.position);
        self.position = reached.unwrap_or(self.position);
        reached.is_some()
    }

    /// A signed integer in Avro's zig-zag form.
    #[inline]
    pub(super) fn zigzag(&mut self) -> Result<i64, SerdeError> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A zig-zag integer of at most 32 bits.
    #[inline]
    pub(super) fn zigzag_int(&mut self) -> Result<i64, SerdeError> {
        let start = self.position;
        let number = self.zigzag()?;
        match i32::try_from(number) {
            Ok(_) => Ok(number),
            Err(_) => Err(Problem::IntOutOfRange(number).at(start)),
        }
    }

    /// Exactly `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SerdeError> {
        match self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(Problem::Truncated { needed: N - self.remaining().min(N) }.at(self.bytes.len())),
        }
    }

    /// Passes over `count` bytes.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) -> Result<(), SerdeError> {
        if count > self.remaining() {
            return Err(Problem::Truncated { needed: count - self.remaining() }.at(self.bytes.len()));
        }
        self.position += count;
        Ok(())
    }

    /// The next `count` bytes, sharing the payload.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, SerdeError> {
        let start = self.position;
        self.skip(count)?;
        Ok(self.payload.slice(start..self.position))
    }

    /// The next `count` bytes as text, sharing the payload.
    #[inline]
    pub(super) fn text(&mut self, count: usize) -> Result<Text, SerdeError> {
        let start = self.position;
        let bytes = self.take(count)?;
        Text::try_from(bytes).map_err(|_| self.invalid_text(start))
    }

    /// A length in Avro's zig-zag form and as many bytes of text, as a value made in its place.
    #[inline(always)]
    pub(super) fn text_into(&mut self, place: &mut Value) -> Result<(), SerdeError> {
        let length = self.zigzag_length()?;
        let start = self.position;
        // The bytes are there: their length fits.
        self.position += length;
        match Value::put_text(self.payload, start..self.position, place) {
            true => Ok(()),
            false => Err(self.invalid_text(start)),
        }
    }

    /// Points at the first byte that is not text.
    #[cold]
    fn invalid_text(&self, start: usize) -> SerdeError {
        let text = self.bytes.get(start..self.position).unwrap_or_default();
        let valid = std::str::from_utf8(text).err().map_or(0, |error| error.valid_up_to());
        Problem::InvalidUtf8.at(start + valid)
    }

    /// An unsigned length that the bytes left can hold.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, SerdeError> {
        let start = self.position;
        let announced = self.varint()?;
        self.fits(announced, start)
    }

    /// A length in Avro's zig-zag form that the bytes left can hold.
    #[inline(always)]
    pub(super) fn zigzag_length(&mut self) -> Result<usize, SerdeError> {
        if let Some((number, at)) = varint(self.bytes, self.position)
            && number & 1 == 0
            && number >> 1 <= (self.bytes.len() - at) as u64
        {
            self.position = at;
            return Ok((number >> 1) as usize);
        }
        self.bad_length()
    }

    /// What is wrong with a length that is none.
    #[cold]
    fn bad_length(&mut self) -> Result<usize, SerdeError> {
        let start = self.position;
        let announced = self.zigzag()?;
        match u64::try_from(announced) {
            Ok(announced) => self.fits(announced, start),
            Err(_) => Err(Problem::NegativeLength(announced).at(start)),
        }
    }

    #[inline]
    fn fits(&self, announced: u64, start: usize) -> Result<usize, SerdeError> {
        let remaining = self.remaining();
        match usize::try_from(announced) {
            Ok(length) if length <= remaining => Ok(length),
            _ => Err(Problem::LengthBeyondEnd { announced, remaining }.at(start)),
        }
    }

    /// Checks a count of items of at least `smallest` bytes each against the bytes left; `start` is where
    /// the count stood.
    pub(super) fn count(&mut self, announced: u64, smallest: usize, start: usize) -> Result<usize, SerdeError> {
        let remaining = self.remaining();
        if smallest == 0 {
            let left = self.empty_items_left.checked_sub(announced);
            self.empty_items_left = left.ok_or_else(|| Problem::TooManyEmptyItems(announced).at(start))?;
        } else if announced > (remaining / smallest) as u64 {
            return Err(Problem::CountBeyondEnd { announced, remaining }.at(start));
        }
        // At most the payload's length or EMPTY_ITEMS by now, so it fits.
        usize::try_from(announced).map_err(|_| Problem::CountBeyondEnd { announced, remaining }.at(start))
    }
}

/// How many bytes an integer of 64 bits takes at the most.
const LONGEST_VARINT: usize = 10;

/// The variable-length unsigned integer that begins at `at`, and where it ends.
#[inline]
pub(super) fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    if let Some([low, high]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>())
        && low & high < 0x80
    {
        // One byte or two, as lengths of texts have by turns: without a branch that could only be guessed.
        let second = u64::from(low >> 7);
        let number = u64::from(low & 0x7f) | ((u64::from(*high) << 7) * second);
        return Some((number, at + 1 + second as usize));
    }
    long_varint(bytes, at)
}

#[inline(never)]
fn long_varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.get(at..)?.iter().take(LONGEST_VARINT).enumerate() {
        if index == LONGEST_VARINT - 1 && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((number, at + index + 1));
        }
    }
    None
}

/// Appends a variable-length unsigned integer.
#[inline]
pub(super) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed integer in Avro's zig-zag form.
#[inline]
pub(super) fn put_zigzag(number: i64, out: &mut Vec<u8>) {
    put_varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_as_written() {
        for number in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_zigzag(number, &mut out);
            let payload = Bytes::from(out);
            let mut cursor = Cursor::new(&payload, 0);
            assert_eq!(cursor.zigzag(), Ok(number));
            assert_eq!(cursor.finish(), Ok(()));
        }
    }

    #[test]
    fn an_integer_of_too_many_bytes_is_refused() {
        let payload = Bytes::from(vec![0xff; 20]);
        assert_eq!(Cursor::new(&payload, 0).varint(), Err(Problem::IntegerTooLong.at(0)));
    }
}
