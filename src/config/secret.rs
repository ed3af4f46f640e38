//! Values that must not be shown, and references to where they are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What is shown instead of a secret.
pub(super) const HIDDEN: &str = "******";

/// The most that is read of a file that a reference names, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Text that is not shown: neither its `Debug` nor anything else prints it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Whether the value of a property of this name must not be shown.
pub fn is_secret(property: &str) -> bool {
    let parts = ["password", "passphrase", "secret", "token", "credential", "key.pem", "oauthbearer.config"];
    let name = property.to_lowercase();
    parts.iter().any(|part| name.contains(part))
}

/// Properties by name. Its `Debug` hides the values of secret ones.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, Secret>);

impl Properties {
    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::reveal)
    }

    /// Sets a property.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), Secret::new(value));
    }

    /// All properties by name, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.reveal()))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| (name, if is_secret(name) { HIDDEN } else { value });
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

/// Where references lead: `${env:NAME}` and `${file:/path}`.
pub(super) struct References<'a> {
    /// The variables of the environment.
    pub(super) environment: &'a BTreeMap<String, String>,
}

impl References<'_> {
    /// The text with its references replaced by what they lead to; `$${` stands for `${`.
    ///
    /// # Errors
    /// Says which reference leads nowhere and what to do. Never quotes what another one led to.
    pub(super) fn resolve(&self, text: &str) -> Result<String, String> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            if let Some(literal) = before.strip_suffix('$') {
                resolved.push_str(literal);
                resolved.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            resolved.push_str(before);
            let inner = &rest[at + 2..];
            let Some(end) = inner.find('}') else {
                return Err("a reference that starts with `${` has no `}`; write `$${` for the characters themselves"
                    .to_owned());
            };
            resolved.push_str(&self.lookup(&inner[..end])?);
            rest = &inner[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn lookup(&self, reference: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", name)) => {
                let value = self.environment.get(name).cloned();
                value.ok_or_else(|| format!("the environment has no variable `{name}`; set it before the start"))
            }
            Some(("file", path)) => read(Path::new(path)),
            _ => Err(format!(
                "`${{{reference}}}` is not a reference; write `${{env:NAME}}` or `${{file:/path}}`, or `$${{` for the \
                 characters themselves"
            )),
        }
    }
}

/// Whether a text leads somewhere else for what it stands for.
pub(super) fn has_reference(text: &str) -> bool {
    text.replace("$${", "").contains("${")
}

/// The text of a file without the line break at its end.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| {
        format!("the file {} cannot be read: {error}; check the path and who may read it", path.display())
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE {
        return Err(format!("the file {} has {size} bytes; a secret has at most {MAX_FILE}", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let mut properties = Properties::default();
        properties.set("sasl.password", "hunter2");
        properties.set("sasl.username", "ann");
        let shown = format!("{properties:?} {:?}", Secret::new("hunter2"));
        assert!(shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
        for name in ["ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "my.Token"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("bootstrap.servers") && !is_secret("ssl.key.location"));
    }

    #[test]
    fn references_lead_to_variables_and_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let environment = BTreeMap::from([("USER".to_owned(), "ann".to_owned())]);
        let references = References { environment: &environment };
        let resolve = |text: &str| references.resolve(text);
        assert_eq!(resolve("${env:USER}:x"), Ok("ann:x".to_owned()));
        assert_eq!(resolve(&format!("${{file:{}}}", file.display())), Ok("s3cret".to_owned()));
        assert_eq!(resolve("$${env:USER} $ {}"), Ok("${env:USER} $ {}".to_owned()));
        assert!(resolve("${env:ABSENT}").unwrap_err().contains("`ABSENT`"));
        assert!(resolve("${file:/no/such}").unwrap_err().contains("/no/such"));
        assert!(resolve("${USER}").unwrap_err().contains("${env:NAME}"));
        assert!(resolve("${env:USER").unwrap_err().contains("no `}`"));
    }
}
