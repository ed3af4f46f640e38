//! The rules of the agent `insights`: which phrases speak for which intent and urgency, and what to do.
//!
//! A weight of 3 is a phrase that nearly decides, 2 one that speaks for it, 1 a hint.

use std::sync::LazyLock;

use super::phrases::Phrases;

/// What a customer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Intent {
    AccountSecurity,
    Refund,
    Billing,
    Cancellation,
    Delivery,
    OrderStatus,
    AccountAccess,
    TechSupport,
    ProductComplaint,
    ServiceComplaint,
    FeatureRequest,
    Praise,
    GeneralInquiry,
}

impl Intent {
    /// Every intent, in the order in which ties are decided: what costs most when missed comes first.
    pub(super) const ALL: [Intent; 13] = [
        Intent::AccountSecurity,
        Intent::Refund,
        Intent::Billing,
        Intent::Cancellation,
        Intent::Delivery,
        Intent::OrderStatus,
        Intent::AccountAccess,
        Intent::TechSupport,
        Intent::ProductComplaint,
        Intent::ServiceComplaint,
        Intent::FeatureRequest,
        Intent::Praise,
        Intent::GeneralInquiry,
    ];

    /// The intent's name in answers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Intent::AccountSecurity => "account_security",
            Intent::Refund => "refund",
            Intent::Billing => "billing",
            Intent::Cancellation => "cancellation",
            Intent::Delivery => "delivery",
            Intent::OrderStatus => "order_status",
            Intent::AccountAccess => "account_access",
            Intent::TechSupport => "tech_support",
            Intent::ProductComplaint => "product_complaint",
            Intent::ServiceComplaint => "service_complaint",
            Intent::FeatureRequest => "feature_request",
            Intent::Praise => "praise",
            Intent::GeneralInquiry => "general_inquiry",
        }
    }

    /// What to do about it, most useful first.
    pub(super) fn actions(self) -> [&'static str; 2] {
        match self {
            Intent::AccountSecurity => {
                ["Secure the account: end its sessions and reset its credentials", "Verify the customer's identity"]
            }
            Intent::Refund => {
                ["Check whether the purchase can be refunded", "Tell the customer how long a refund takes"]
            }
            Intent::Billing => ["Review the charges with the customer", "Correct or explain the disputed amount"],
            Intent::Cancellation => {
                ["Ask for the reason and offer to solve it", "Explain how and when a cancellation takes effect"]
            }
            Intent::Delivery => ["Trace the shipment with the carrier", "Offer a replacement or refund if it is lost"],
            Intent::OrderStatus => ["Look up the order and tell its status", "Send the tracking details"],
            Intent::AccountAccess => {
                ["Walk the customer through account recovery", "Check the account for locks or bans"]
            }
            Intent::TechSupport => {
                ["Ask for device, version and error message", "Send the troubleshooting steps for this error"]
            }
            Intent::ProductComplaint => ["Apologise and ask what went wrong", "Pass the report on to the product team"],
            Intent::ServiceComplaint => ["Apologise for the experience", "Assign one person who stays with the case"],
            Intent::FeatureRequest => ["Log the request with the product team", "Point to what is possible today"],
            Intent::Praise => ["Thank the customer", "Share the praise with the team"],
            Intent::GeneralInquiry => {
                ["Answer the question or point to the help article", "Ask for details if the question is unclear"]
            }
        }
    }
}

/// The phrases for intents, one a line: phrase, intent, weight, set off by tabs.
const PHRASES: &str = include_str!("intents.tsv");

/// The entries of [`PHRASES`].
fn intent_phrases() -> impl Iterator<Item = (&'static str, (Intent, f64))> {
    PHRASES.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (phrase, intent, weight) = (columns.next()?, columns.next()?, columns.next()?);
        let intent = Intent::ALL.into_iter().find(|known| known.as_str() == intent)?;
        Some((phrase, (intent, weight.parse().ok()?)))
    })
}

/// Phrases for intents.
pub(super) static INTENTS: LazyLock<Phrases<(Intent, f64)>> = LazyLock::new(|| Phrases::new(intent_phrases()));

/// Phrases for urgency, in points: see [`super::insights`].
pub(super) static URGENCY: LazyLock<Phrases<f64>> = LazyLock::new(|| {
    let table: [(f64, &[&str]); 4] = [
        (
            5.0,
            &[
                "emergency",
                "identity theft",
                "life threatening",
                "injured",
                "injury",
                "caught fire",
                "is on fire",
                "was on fire",
                "smoke coming",
                "electric shock",
                "burned me",
                "hospital",
                "suicid*",
                "kill myself",
                "police",
                "lawyer*",
                "attorney*",
                "legal action",
                "lawsuit",
                "sue you",
                "suing",
                "medication",
                "insulin",
                "data breach",
            ],
        ),
        (
            2.5,
            &[
                "urgent*",
                "asap",
                "as soon as possible",
                "immediately",
                "right now",
                "right away",
                "fraud*",
                "unauthorized",
                "unauthorised",
                "hacked",
                "stolen",
                "been compromised",
                "was compromised",
                "stranded",
                "phish*",
                "unsafe",
                "dangerous",
                "drained my",
                "emptied my",
                "scammed",
            ],
        ),
        (
            1.5,
            &[
                "today",
                "tonight",
                "tomorrow",
                "deadline",
                "within the hour",
                "in an hour",
                "by monday",
                "by tuesday",
                "by wednesday",
                "by thursday",
                "by friday",
                "this afternoon",
                "this evening",
                "before my flight",
                "expires",
                "ends tomorrow",
                "last chance",
                "time sensitive",
                "locked out",
                "outage",
                "can't work",
                "losing money",
                "losing business",
                "whole team",
                "all our",
                "all of our",
            ],
        ),
        (
            1.0,
            &[
                "again and again",
                "third time",
                "second time",
                "fourth time",
                "still waiting",
                "still not",
                "still no",
                "still haven't",
                "for weeks",
                "for days",
                "for months",
                "weeks now",
                "days now",
                "hours now",
                "months now",
                "no response",
                "no reply",
                "already contacted",
                "contacted you",
                "multiple times",
                "several times",
                "many times",
                "numerous times",
                "keep asking",
                "please help",
                "help me",
                "desperate*",
                "fix this now",
                "is down",
                "for hours",
            ],
        ),
    ];
    Phrases::new(table.into_iter().flat_map(|(points, phrases)| phrases.iter().map(move |phrase| (*phrase, points))))
});

/// Phrases that ask for a person with more authority.
pub(super) static ASKS_FOR_PERSON: LazyLock<Phrases<()>> = LazyLock::new(|| {
    let phrases = [
        "speak to a manager",
        "talk to a manager",
        "speak with a manager",
        "your manager",
        "a supervisor",
        "your supervisor",
        "speak to a human",
        "talk to a human",
        "real person",
        "live person",
        "live agent",
        "actual person",
        "speak to someone",
        "talk to someone",
        "speak with someone",
        "someone call me",
        "escalate",
        "your ceo",
        "the ceo",
        "higher up",
        "real human",
        "human being",
    ];
    Phrases::new(phrases.into_iter().map(|phrase| (phrase, ())))
});

/// Phrases that threaten with the law, the press or an authority.
pub(super) static THREATENS: LazyLock<Phrases<()>> = LazyLock::new(|| {
    let phrases = [
        "lawyer*",
        "attorney*",
        "legal action",
        "lawsuit",
        "sue you",
        "suing",
        "small claims",
        "class action",
        "ombudsman",
        "trading standards",
        "better business bureau",
        "bbb",
        "consumer protection",
        "consumer court",
        "regulator",
        "go to the press",
        "the media",
        "report you",
        "ftc",
        "fcc",
        "cfpb",
    ];
    Phrases::new(phrases.into_iter().map(|phrase| (phrase, ())))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_phrases_is_an_entry() {
        let lines = PHRASES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(intent_phrases().count(), lines);
        assert!(Intent::ALL.into_iter().all(|intent| intent_phrases().any(|(_, (named, _))| named == intent)));
    }

    #[test]
    fn every_table_compiles() {
        assert!(INTENTS.is_complete() && URGENCY.is_complete());
        assert!(ASKS_FOR_PERSON.is_complete() && THREATENS.is_complete());
    }
}
