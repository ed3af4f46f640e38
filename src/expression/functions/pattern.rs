//! Regular expressions as RE2 reads them, for an engine that reads some of them differently.
//!
//! In RE2, which CEL names, `\d`, `\w`, `\s` and `\b` know ASCII only. Within brackets RE2 takes `[`, `&&`, `--` and `~~`
//! for themselves, where the `regex` crate nests and combines classes.

/// The pattern in which each of these is written out, for the `regex` crate.
pub(super) fn ascii_classes(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len() + 16);
    let mut characters = pattern.char_indices().peekable();
    // Where the class began that the position is in: a `]` right there is one of its members.
    let mut class: Option<usize> = None;
    // Whether a `-` stands before the position that may be the one of a range.
    let mut after_dash = false;
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let ends_range = std::mem::take(&mut after_dash);
        match (character, class) {
            ('\\', _) => {
                characters.next();
                escape(next, class.is_some(), &mut written);
            }
            ('[', None) => {
                written.push('[');
                if next == Some('^') {
                    characters.next();
                    written.push('^');
                }
                class = characters.peek().map(|(start, _)| *start);
            }
            // `[:alpha:]` is the same in both.
            ('[', Some(_)) if next == Some(':') => match named_class(pattern, at) {
                Some(named) => {
                    written.push_str(named);
                    for _ in 1..named.chars().count() {
                        characters.next();
                    }
                }
                None => written.push_str("\\["),
            },
            ('[' | '&' | '~', Some(_)) => {
                written.push('\\');
                written.push(character);
            }
            // At the beginning or the end of a range it is itself, not half of a `--`.
            ('-', Some(start)) if at == start || ends_range => written.push_str("\\-"),
            ('-', Some(_)) => {
                after_dash = true;
                written.push('-');
            }
            (']', Some(start)) if at == start => written.push_str("\\]"),
            (']', Some(_)) => {
                class = None;
                written.push(']');
            }
            _ => written.push(character),
        }
    }
    written
}

/// `[:alpha:]` at that place, if it is one.
fn named_class(pattern: &str, at: usize) -> Option<&str> {
    let rest = pattern.get(at..)?;
    let name = rest.strip_prefix("[:")?;
    let end = name.find(|c: char| !c.is_ascii_alphabetic() && c != '^')?;
    name.get(end..)?.starts_with(":]").then(|| rest.get(..end + 4)).flatten()
}

fn escape(escaped: Option<char>, in_class: bool, written: &mut String) {
    let members = match escaped {
        Some('d' | 'D') => "0-9",
        Some('w' | 'W') => "0-9A-Za-z_",
        Some('s' | 'S') => "\\t\\n\\f\\r ",
        Some('b' | 'B') if !in_class => {
            written.push_str(if escaped == Some('b') { "(?-u:\\b)" } else { "(?-u:\\B)" });
            return;
        }
        _ => {
            written.push('\\');
            written.extend(escaped);
            return;
        }
    };
    let negated = escaped.is_some_and(|letter| letter.is_ascii_uppercase());
    // A class within a class adds its members to it.
    written.push_str(if negated { "[^" } else { "[" });
    written.push_str(members);
    written.push(']');
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn classes_know_ascii_only() {
        for (pattern, text, expected) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^\w+$", "a_1", true),
            (r"^\w+$", "ä", false),
            (r"^\W$", "ä", true),
            (r"^[\w.]+$", "a.b", true),
            (r"^[^\w.]+$", "ä!", true),
            (r"^[\W\d]+$", "ä1", true),
            (r"^\s$", "\u{a0}", false),
            (r"\bb", "äb", true),
            (r"\bb", "ab", false),
            (r"a\B", "ab", true),
        ] {
            assert_eq!(Regex::new(&ascii_classes(pattern)).unwrap().is_match(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn brackets_are_read_as_re2_reads_them() {
        for (pattern, text, expected) in [
            ("^[]a]+$", "]a", true),
            ("^[^]a]+$", "b", true),
            ("^[[a]+$", "[a", true),
            ("^[a&&b]+$", "&a", true),
            ("^[a~~b]+$", "~", true),
            ("^[[:alpha:]]+$", "ab", true),
            ("^[[:^alpha:]]+$", "ab", false),
            ("^[+--]+$", "+,-", true),
            ("^[--/]+$", "-./", true),
            ("^[a-c-]+$", "b-", true),
            (r"^\[\]$", "[]", true),
            (r"^\\d$", r"\d", true),
            ("^ä[ö]$", "äö", true),
        ] {
            let written = ascii_classes(pattern);
            let regex = Regex::new(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_that_ends_too_early_stays_wrong() {
        for pattern in ["[", "[^", "\\", "[a", "[]", "[[:x"] {
            assert!(Regex::new(&ascii_classes(pattern)).is_err(), "{pattern}");
        }
    }
}
