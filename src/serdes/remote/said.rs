//! What a server said, made fit for messages: short, on one line, and without what could be a secret. It ends up in logs
//! and in `/health`, and what answers in place of a registry may repeat what it was sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;

use super::{Authentication, RegistrySettings};

/// What stands in place of a secret.
const HIDDEN: &str = "******";
/// How many characters of what was said are looked at.
const LOOKED_AT: usize = 1 << 16;
/// The fewest characters of what counts as a credential behind the name of its scheme.
const CREDENTIAL: usize = 6;

/// The secrets that a client uses.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of the settings, and of the queries of these URLs.
    pub(super) fn new(settings: &RegistrySettings, urls: &[Url]) -> Secrets {
        let mut secrets = match &settings.authentication {
            Authentication::None => Vec::new(),
            Authentication::Basic { username, password } => {
                vec![password.reveal().to_owned(), BASE64.encode(format!("{username}:{}", password.reveal()))]
            }
            Authentication::Bearer(token) => vec![token.reveal().to_owned()],
        };
        for url in urls {
            secrets.extend(url.query().map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        secrets.retain(|secret| !secret.trim().is_empty());
        // A secret may be a part of another one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Secrets(secrets)
    }

    /// At most `limit` characters of a text.
    pub(super) fn cleaned(&self, text: &str, limit: usize) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut text: String = text.chars().take(LOOKED_AT).map(plain).collect();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        let mut words: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let before = words.last().map(String::as_str).unwrap_or_default();
            let shown = if is_scheme(before) && is_credential(word) { HIDDEN.to_owned() } else { without_user(word) };
            words.push(shown);
        }
        let whole = words.join(" ");
        match whole.char_indices().nth(limit) {
            Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
            None => whole,
        }
    }
}

/// Whether a credential follows in HTTP's `Authorization`.
fn is_scheme(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// Whether a word is none of a sentence.
fn is_credential(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    word.len() >= CREDENTIAL && !word.chars().all(|c| c.is_ascii_lowercase())
}

/// A word without the user of a URL in it.
fn without_user(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn cleaned(authentication: Authentication, url: &str, text: &str) -> String {
        let settings = RegistrySettings { authentication, ..RegistrySettings::new(url) };
        Secrets::new(&settings, &[Url::parse(url).unwrap()]).cleaned(text, 80)
    }

    #[test]
    fn secrets_that_a_server_repeats_are_hidden() {
        let basic = || Authentication::Basic { username: "ann".to_owned(), password: Secret::new("hunter2") };
        let bearer = || Authentication::Bearer(Secret::new("t0ken"));
        let url = "http://host/?key=s3same";
        for (authentication, said, expected) in [
            (basic(), "Authorization: Basic YW5uOmh1bnRlcjI= is wrong", "Authorization: Basic ****** is wrong"),
            (basic(), "the password\r\n hunter2", "the password ******"),
            (bearer(), "sent (Bearer t0ken)", "sent (Bearer ******)"),
            (bearer(), "sent bearer eyJhbGciOi.x", "sent bearer ******"),
            (bearer(), "GET /schemas/ids/3?key=s3same", "GET /schemas/ids/3?******"),
            (bearer(), "see http://ann:pw@host/path", "see http://******@host/path"),
            (Authentication::None, "needs basic authentication", "needs basic authentication"),
        ] {
            assert_eq!(cleaned(authentication, url, said), expected);
        }
        assert_eq!(cleaned(bearer(), url, &"t0ken x".repeat(100_000)).chars().count(), 81);
    }
}
