//! How the values of settings are read and written.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Kind, Secret};
use crate::time::{format_duration, parse_duration};

/// Reads and writes the values of one kind of setting.
pub(super) trait Codec<T> {
    /// The kind.
    const KIND: Kind;
    /// Whether there may be no value.
    const OPTIONAL: bool = false;

    /// Reads a value, or says what was expected.
    fn read(text: &str) -> Result<T, String>;

    /// Writes a value so that it is read again.
    fn write(value: &T) -> String;

    /// Writes a value for people, without what may be secret in it.
    fn show(value: &T) -> String {
        Self::write(value)
    }
}

/// A whole number from 1 to `MAX`.
pub(super) struct Count<const MAX: usize>;

impl<const MAX: usize> Codec<usize> for Count<MAX> {
    const KIND: Kind = Kind::Count(MAX);

    fn read(text: &str) -> Result<usize, String> {
        let number = text.replace('_', "").parse().ok().filter(|number| (1..=MAX).contains(number));
        number.ok_or_else(|| format!("expected a whole number from 1 to {MAX}, found `{text}`"))
    }

    fn write(value: &usize) -> String {
        value.to_string()
    }
}

/// A size in bytes that is not 0.
pub(super) struct Bytes;

impl Codec<usize> for Bytes {
    const KIND: Kind = Kind::Bytes;

    fn read(text: &str) -> Result<usize, String> {
        match parse_size(text)? {
            0 => Err("0 is too small; it must be at least 1B".to_owned()),
            bytes => Ok(bytes),
        }
    }

    fn write(value: &usize) -> String {
        format_size(*value)
    }
}

/// A duration that is not 0.
pub(super) struct Millis;

impl Codec<Duration> for Millis {
    const KIND: Kind = Kind::Duration;

    fn read(text: &str) -> Result<Duration, String> {
        match parse_duration(text)? {
            0 => Err(format!("`{text}` is no time at all; expected a longer duration, such as 100ms")),
            millis => Ok(Duration::from_millis(millis.unsigned_abs())),
        }
    }

    fn write(value: &Duration) -> String {
        format_duration(i64::try_from(value.as_millis()).unwrap_or(i64::MAX))
    }
}

/// On or off.
pub(super) struct Switch;

impl Codec<bool> for Switch {
    const KIND: Kind = Kind::Switch;

    fn read(text: &str) -> Result<bool, String> {
        match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            _ => Err(format!("expected `on` or `off`, found `{text}`")),
        }
    }

    fn write(value: &bool) -> String {
        if *value { "on" } else { "off" }.to_owned()
    }
}

/// A directory, which need not exist.
pub(super) struct Directory;

impl Codec<PathBuf> for Directory {
    const KIND: Kind = Kind::Directory;

    fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() { Err("expected the path of a directory".to_owned()) } else { Ok(PathBuf::from(text)) }
    }

    fn write(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// The path of a file.
pub(super) struct File;

impl Codec<PathBuf> for File {
    const KIND: Kind = Kind::File;

    fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() { Err("expected the path of a file".to_owned()) } else { Ok(PathBuf::from(text)) }
    }

    fn write(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// Text that is not empty.
pub(super) struct Text;

impl Codec<String> for Text {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Result<String, String> {
        if text.trim().is_empty() { Err("expected text, found nothing".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn write(value: &String) -> String {
        value.clone()
    }
}

impl Codec<Secret> for Text {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Result<Secret, String> {
        <Text as Codec<String>>::read(text).map(Secret::new)
    }

    // Who shows settings hides those of secret names.
    fn write(value: &Secret) -> String {
        value.reveal().to_owned()
    }
}

/// One URL or several, separated by commas. None has a user in it: what is shown of a URL, and kept in logs, is all of it
/// but its query, where gateways take their keys.
pub(super) struct Urls;

impl Codec<String> for Urls {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Result<String, String> {
        let text = <Text as Codec<String>>::read(text)?;
        for url in text.split(',') {
            // Whatever is wrong with it, a password may be in it, so it is not shown.
            let Some((_, rest)) = url.split_once("://") else {
                return Err("expected a URL such as http://localhost:8081, or several separated by commas".to_owned());
            };
            let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            if authority.contains('@') {
                return Err(
                    "a URL has a user in it, whom logs would show; give name and password by the settings for \
                            them, such as `schema_registry.username` and `schema_registry.password`"
                        .to_owned(),
                );
            }
        }
        Ok(text)
    }

    fn write(value: &String) -> String {
        value.clone()
    }

    fn show(value: &String) -> String {
        let shown = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
        value.split(',').map(shown).collect::<Vec<_>>().join(",")
    }
}

/// An address and a port.
pub(super) struct Socket;

impl Codec<SocketAddr> for Socket {
    const KIND: Kind = Kind::Socket;

    fn read(text: &str) -> Result<SocketAddr, String> {
        let address = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = address.as_deref().unwrap_or(text).parse();
        address.map_err(|_| format!("expected an address and a port such as 127.0.0.1:8080, found `{text}`"))
    }

    fn write(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// What another codec reads, or `none`.
pub(super) struct Optional<C>(std::marker::PhantomData<C>);

impl<T, C: Codec<T>> Codec<Option<T>> for Optional<C> {
    const KIND: Kind = C::KIND;
    const OPTIONAL: bool = true;

    fn read(text: &str) -> Result<Option<T>, String> {
        if text == "none" { Ok(None) } else { C::read(text).map(Some) }
    }

    fn write(value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), C::write)
    }

    fn show(value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), C::show)
    }
}

/// One of a few words; [`words!`] says which.
pub(super) struct Word;

/// Defines which words stand for the values of a type.
macro_rules! words {
    ($($type:ident: $($word:literal => $variant:ident),+;)+) => { $(
        impl codec::Codec<$type> for codec::Word {
            const KIND: Kind = Kind::Words(&[$($word),+]);

            fn read(text: &str) -> Result<$type, String> {
                match text {
                    $($word => Ok($type::$variant),)+
                    _ => Err(codec::unknown_word(text, &[$($word),+])),
                }
            }

            fn write(value: &$type) -> String {
                match value { $($type::$variant => $word,)+ }.to_owned()
            }
        }
    )+ };
}
pub(super) use words;

/// Says which words may stand where another one does.
pub(super) fn unknown_word(text: &str, words: &[&str]) -> String {
    let near = crate::yaml::nearest(text, words.iter().copied());
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("expected one of {}, found `{text}`{near}", crate::yaml::list(words))
}

const UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a size as people write it: `16MiB`, `512KiB`, `64MB`, or a number of bytes.
///
/// # Errors
/// Says what was expected.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let expected = || format!("`{text}` is not a size; write a number and a unit, such as 16MiB, 512KiB or 100B");
    let (digits, factor) = match UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))) {
        Some((digits, factor)) => (digits.trim_end(), factor),
        None => (text, 1),
    };
    let number: usize = digits.replace('_', "").parse().map_err(|_| expected())?;
    let size = number.checked_mul(factor).filter(|size| i64::try_from(*size).is_ok());
    size.ok_or_else(|| format!("`{text}` is more than a machine can have"))
}

/// Writes a size the way [`parse_size`] reads it.
pub fn format_size(bytes: usize) -> String {
    let unit = UNITS.iter().take(3).find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [("16MiB", 16 << 20), ("1GiB", 1 << 30), ("512KiB", 512 << 10), ("100B", 100)] {
            assert_eq!(parse_size(text), Ok(bytes));
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("64 MB"), Ok(64_000_000));
        assert_eq!(parse_size("1_000"), Ok(1_000));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5MiB", "16mib", "99999999999999999999", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
