//! Personal data in free text: finding it, naming its kind, and taking it out.
//!
//! [`find`] runs one family of recognizers per file over the text: regular expressions whose matching
//! time is linear, followed by validators (checksums, lengths, ranges, the words around). A single
//! cheap pass ([`signals`]) decides which families can find anything at all, so that a message without
//! digits, `@` signs or telling words costs next to nothing. [`redact`] puts `[REDACTED:kind]` in the
//! place of each finding.
//!
//! Three properties hold for every text and are tested as such: nothing is found in a redacted text,
//! redacting twice is redacting once, and the time is linear in the length of the text. For e-mail
//! addresses, phone numbers and card numbers recall comes before precision: a number that may well be
//! a phone number is treated as one.

mod address;
mod context;
mod email;
mod iban;
mod identity;
mod name;
mod network;
mod payment;
mod phone;
mod resolve;
mod secrets;
mod signals;
#[cfg(test)]
mod tests;

use std::fmt;

use signals::Signals;

/// The kinds of personal data that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A phone number, international or national.
    Phone,
    /// A US social security number that could have been issued.
    Ssn,
    /// A payment card number: an issuer's range and length, and the Luhn check digit.
    CreditCard,
    /// An international bank account number: its country's length, and the check of ISO 7064 (mod 97).
    Iban,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// A network interface's hardware address.
    MacAddress,
    /// A URL that carries a user's password or a token.
    UrlCredentials,
    /// A passport number, announced as such.
    Passport,
    /// A driver's licence number, announced as such.
    DriversLicense,
    /// A date of birth, announced as such.
    DateOfBirth,
    /// A postal address, or an announced postal code.
    PostalAddress,
    /// A person's name, where the text announces one.
    PersonName,
    /// An API key, access token, private key or password.
    ApiKey,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 14] = [
        Kind::Email,
        Kind::Phone,
        Kind::Ssn,
        Kind::CreditCard,
        Kind::Iban,
        Kind::IpAddress,
        Kind::MacAddress,
        Kind::UrlCredentials,
        Kind::Passport,
        Kind::DriversLicense,
        Kind::DateOfBirth,
        Kind::PostalAddress,
        Kind::PersonName,
        Kind::ApiKey,
    ];

    /// The kind's name in entities and placeholders, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Ssn => "ssn",
            Kind::CreditCard => "credit_card",
            Kind::Iban => "iban",
            Kind::IpAddress => "ip_address",
            Kind::MacAddress => "mac_address",
            Kind::UrlCredentials => "url_credentials",
            Kind::Passport => "passport",
            Kind::DriversLicense => "drivers_license",
            Kind::DateOfBirth => "date_of_birth",
            Kind::PostalAddress => "postal_address",
            Kind::PersonName => "person_name",
            Kind::ApiKey => "api_key",
        }
    }

    /// What stands in the place of a finding of this kind in redacted text: `[REDACTED:email]`.
    pub fn mask(self) -> &'static str {
        match self {
            Kind::Email => "[REDACTED:email]",
            Kind::Phone => "[REDACTED:phone]",
            Kind::Ssn => "[REDACTED:ssn]",
            Kind::CreditCard => "[REDACTED:credit_card]",
            Kind::Iban => "[REDACTED:iban]",
            Kind::IpAddress => "[REDACTED:ip_address]",
            Kind::MacAddress => "[REDACTED:mac_address]",
            Kind::UrlCredentials => "[REDACTED:url_credentials]",
            Kind::Passport => "[REDACTED:passport]",
            Kind::DriversLicense => "[REDACTED:drivers_license]",
            Kind::DateOfBirth => "[REDACTED:date_of_birth]",
            Kind::PostalAddress => "[REDACTED:postal_address]",
            Kind::PersonName => "[REDACTED:person_name]",
            Kind::ApiKey => "[REDACTED:api_key]",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One piece of personal data in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where it starts, in bytes from the start of the text; always a character boundary.
    pub start: usize,
    /// Where it ends (exclusive), in bytes from the start of the text; always a character boundary.
    pub end: usize,
    /// How sure the recognizer is, 0 to 1: near 1 for checksums and unmistakable prefixes, lower where
    /// only the surrounding words speak for it.
    pub confidence: f64,
}

/// Finds the personal data in a text: sorted by position, without overlaps.
///
/// Placeholders that [`redact`] left divide the text: nothing is found in them or across them. Where
/// two recognizers claim the same characters, the longer claim names the kind (on a tie the more
/// confident one), and the finding covers both.
pub fn find(text: &str) -> Vec<Finding> {
    resolve::findings(text, scan)
}

/// Replaces each finding by its placeholder, such as `[REDACTED:email]`.
///
/// `findings` are those of [`find`] for this very text: sorted and without overlaps. A finding that
/// does not lie on character boundaries of the text, or overlaps its predecessor, is passed over.
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len() + 16 * findings.len());
    let mut from = 0;
    for finding in findings {
        let Some(before) = text.get(from..finding.start) else { continue };
        if !text.is_char_boundary(finding.end) || finding.end < finding.start {
            continue;
        }
        redacted.push_str(before);
        redacted.push_str(finding.kind.mask());
        from = finding.end;
    }
    redacted.push_str(text.get(from..).unwrap_or_default());
    redacted
}

/// Runs the recognizers that can find something in a stretch of text without placeholders. Their
/// findings come in no order and may overlap.
fn scan(text: &str) -> Vec<Finding> {
    let signals = Signals::of(text);
    let mut found = Vec::new();
    email::recognize(text, &signals, &mut found);
    phone::recognize(text, &signals, &mut found);
    payment::recognize(text, &signals, &mut found);
    iban::recognize(text, &signals, &mut found);
    identity::recognize(text, &signals, &mut found);
    network::recognize(text, &signals, &mut found);
    address::recognize(text, &signals, &mut found);
    name::recognize(text, &signals, &mut found);
    secrets::recognize(text, &signals, &mut found);
    found
}
