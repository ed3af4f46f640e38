//! Text of values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::str::Utf8Error;

use arrayvec::ArrayString;
use bytes::Bytes;
use bytestring::ByteString;

use super::{Value, utf8};

/// Text that takes no more bytes than this stands in the value itself: as much as there is room for beside what longer
/// text takes.
const SHORT: usize = 20;

/// Text: in the value itself where it is short, else shared with the payload it was decoded from. To copy it costs no
/// allocation either way.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Short(ArrayString<SHORT>),
    Shared(ByteString),
}

impl Text {
    /// No characters.
    pub const fn new() -> Self {
        Text(Kept::Shared(ByteString::new()))
    }

    /// Text of the program.
    pub const fn from_static(text: &'static str) -> Self {
        Text(Kept::Shared(ByteString::from_static(text)))
    }

    /// The characters.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Short(text) => text,
            Kept::Shared(text) => text,
        }
    }

    /// The bytes of the characters; long text shares them.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Kept::Short(text) => Bytes::copy_from_slice(text.as_bytes()),
            Kept::Shared(text) => text.as_bytes().clone(),
        }
    }

    /// As [`Text::to_bytes`], when the text is not needed any more.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kept::Short(text) => Bytes::copy_from_slice(text.as_bytes()),
            Kept::Shared(text) => text.into_bytes(),
        }
    }

    /// How many bytes it takes beside the value that it stands in; what is shared counts in full.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Kept::Short(_) => 0,
            Kept::Shared(text) => text.len(),
        }
    }
}

impl Value {
    /// Puts the text in a part of a payload into a place, without moving it afterwards: the same as a value made of
    /// [`Text::try_from`] of that part. Returns whether the payload has such a part and it is UTF-8; if not, the place is
    /// as it was.
    #[inline]
    pub(crate) fn put_text(payload: &Bytes, part: Range<usize>, place: &mut Value) -> bool {
        let Some(bytes) = payload.get(part.clone()) else { return false };
        if bytes.len() > SHORT {
            let text = utf8::shared(payload.slice(part));
            return text.map(|text| *place = Value::String(Text(Kept::Shared(text)))).is_ok();
        }
        let Ok(text) = utf8::text(bytes) else { return false };
        *place = Value::String(Text(Kept::Short(ArrayString::new())));
        match place {
            Value::String(Text(Kept::Short(short))) => short.try_push_str(text).is_ok(),
            _ => false,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::new()
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        match ArrayString::from(text) {
            Ok(text) => Text(Kept::Short(text)),
            Err(_) => Text(Kept::Shared(text.into())),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() <= SHORT { Text::from(text.as_str()) } else { Text(Kept::Shared(text.into())) }
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        if bytes.len() <= SHORT {
            return utf8::text(&bytes).map(Text::from);
        }
        utf8::shared(bytes).map(|text| Text(Kept::Shared(text)))
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_every_length_reads_back_as_it_was() {
        let long = "äb".repeat(20);
        for end in (0..=long.len()).filter(|end| long.is_char_boundary(*end)) {
            let expected = &long[..end];
            let payload = Bytes::copy_from_slice(format!("<{expected}>").as_bytes());
            let read = Text::try_from(payload.slice(1..1 + end)).unwrap();
            let mut place = Value::Null;
            assert!(Value::put_text(&payload, 1..1 + end, &mut place));
            assert_eq!(place, Value::String(read.clone()));
            for text in [read.clone(), Text::from(expected), Text::from(expected.to_owned())] {
                assert_eq!(&*text, expected);
                assert_eq!(text, read);
                assert_eq!(text.to_bytes(), expected.as_bytes());
                assert_eq!(text.into_bytes(), expected.as_bytes());
            }
            assert_eq!(read.heap_bytes(), if end <= SHORT { 0 } else { end });
        }
    }

    #[test]
    fn long_text_shares_the_payload() {
        let payload = Bytes::from("x".repeat(100));
        let text = Text::try_from(payload.slice(10..90)).unwrap();
        assert_eq!(text.as_ptr(), payload[10..].as_ptr());
        assert_eq!(text.to_bytes().as_ptr(), payload[10..].as_ptr());
    }

    #[test]
    fn what_is_not_utf_8_is_refused_at_its_first_byte() {
        for length in [3, 50] {
            let mut bytes = vec![b'x'; length];
            bytes[2] = 0xff;
            let (bytes, mut place) = (Bytes::from(bytes), Value::Null);
            assert!(!Value::put_text(&bytes, 0..length, &mut place));
            assert!(!Value::put_text(&bytes, length - 1..length + 1, &mut place), "there is no such part");
            assert_eq!(place, Value::Null);
            assert_eq!(Text::try_from(bytes).unwrap_err().valid_up_to(), 2);
        }
    }

    #[test]
    fn a_value_with_text_in_it_is_as_small_as_with_shared_text() {
        assert_eq!(size_of::<Text>(), size_of::<ByteString>());
    }
}
