//! Tables of what is and is not personal data, and the properties that hold for every text.

use proptest::prelude::*;

use self::processor_time::processor_time;
use super::{Kind, find, redact};

mod cases;
#[path = "../../benches/common/processor_time.rs"]
mod processor_time;

/// Every (kind, text, what is found in it) of the tables.
fn positives() -> impl Iterator<Item = &'static (Kind, &'static str, &'static str)> {
    cases::POSITIVES.iter()
}

#[test]
fn personal_data_is_found_with_its_kind_and_extent() {
    let mut wrong = Vec::new();
    for (kind, text, expected) in positives() {
        let found = find(text);
        if !found.iter().any(|f| f.kind == *kind && text.get(f.start..f.end) == Some(*expected)) {
            let seen: Vec<_> = found.iter().map(|f| (f.kind, text.get(f.start..f.end))).collect();
            wrong.push(format!("{text:?}: expected {kind} {expected:?}, found {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_only_looks_like_personal_data_is_left_alone() {
    let mut wrong = Vec::new();
    for text in cases::NEGATIVES {
        let found = find(text);
        if !found.is_empty() {
            let seen: Vec<_> = found.iter().map(|f| (f.kind, text.get(f.start..f.end))).collect();
            wrong.push(format!("{text:?}: found {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_cover_every_kind() {
    for kind in Kind::ALL {
        assert!(positives().filter(|(k, _, _)| *k == kind).count() >= 4, "{kind}");
    }
    assert!(cases::POSITIVES.len() + cases::NEGATIVES.len() >= 120);
}

#[test]
fn findings_come_sorted_and_apart() {
    let text = "ada@example.org, 415-555-2671, 4111 1111 1111 1111 and 192.0.2.44";
    let found = find(text);
    assert_eq!(
        found.iter().map(|f| f.kind).collect::<Vec<_>>(),
        vec![Kind::Email, Kind::Phone, Kind::CreditCard, Kind::IpAddress]
    );
    assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert_eq!(
        redact(text, &found),
        "[REDACTED:email], [REDACTED:phone], [REDACTED:credit_card] and [REDACTED:ip_address]"
    );
}

#[test]
fn offsets_are_bytes_in_text_of_any_script() {
    let text = "Привет 👋 пишите на ada@example.org — спасибо";
    let found = find(text);
    assert_eq!(found.len(), 1);
    assert_eq!(&text[found[0].start..found[0].end], "ada@example.org");
    assert_eq!(redact(text, &found), "Привет 👋 пишите на [REDACTED:email] — спасибо");
}

#[test]
fn findings_that_do_not_fit_the_text_are_passed_over() {
    let mut finding = find("x ada@example.org")[0];
    finding.start = 3;
    finding.end = 99;
    assert_eq!(redact("short", &[finding]), "short");
    assert_eq!(redact("é", &[super::Finding { start: 1, end: 2, ..finding }]), "é");
}

/// Long texts that lead naive scanners astray, one megabyte each.
#[test]
fn time_is_linear_in_the_length_of_hostile_text() {
    let seeds = [
        "1",
        "1-",
        "1 ",
        "(1",
        "+1",
        "a@",
        "a.",
        "@a.",
        "::",
        "1:",
        "://",
        "sk-",
        "sk-a1",
        "key",
        "token=",
        "name is ",
        "my name is A ",
        "born 1",
        "1 a st ",
        "1 A ",
        "A ",
        "eyJ",
        "eyJa.",
        "DE00",
        "00",
        "415-555-",
        "4111 ",
        "-----BEGIN ",
        "1.1.1.",
        "aa:",
        "x",
        "é",
        "[REDACTED:",
        "a at b dot ",
        "passport ",
        "Mr A ",
        "http://a:b",
        "0 ",
        "555 1234567 ",
    ];
    for seed in seeds {
        let text = seed.repeat(1_000_000 / seed.len());
        let started = processor_time();
        let found = find(&text);
        let took = processor_time() - started;
        assert!(took.as_secs() < 10, "{seed:?} took {took:?}, {} findings", found.len());
    }
}

/// Text that is likely to have personal data in it, and remains of it.
fn likely_text() -> impl Strategy<Value = String> {
    let pieces: Vec<&'static str> = positives().flat_map(|(_, text, value)| [*text, *value]).collect();
    let joints =
        prop::sample::select(vec!["", " ", "-", ".", "@", ":", "/", ", ", "\n", "1", "x", "é", "[REDACTED:phone]"]);
    let cut = (prop::sample::select(pieces), 0.0..1.0_f64, prop::bool::weighted(0.7));
    prop::collection::vec((cut, joints), 1..6).prop_map(|parts| {
        let mut text = String::new();
        for ((piece, share, whole), joint) in parts {
            let length = piece.chars().count();
            let keep = if whole { length } else { (length as f64 * share) as usize };
            text.extend(piece.chars().take(keep));
            text.push_str(joint);
        }
        text
    })
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let found = find(text);
    prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
    prop_assert!(found.iter().all(|f| f.start < f.end && text.get(f.start..f.end).is_some()));
    prop_assert!(found.iter().all(|f| (0.0..=1.0).contains(&f.confidence)));
    let redacted = redact(text, &found);
    let again = find(&redacted);
    prop_assert!(again.is_empty(), "{:?} -> {:?}, found {:?}", text, redacted, again);
    prop_assert_eq!(redact(&redacted, &again), redacted);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_found_in_redacted_text(text in likely_text()) {
        check(&text)?;
    }

    #[test]
    fn any_text_can_be_redacted(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn text_of_digits_and_signs_can_be_redacted(text in "[-0-9a-fA-F:.@+() /x#é,]{0,120}") {
        check(&text)?;
    }

    #[test]
    fn an_address_or_number_between_words_never_survives(
        before in "[a-z ]{0,20}",
        after in "[a-z ]{0,20}",
        local in "[a-z][a-z0-9.]{0,10}[a-z0-9]",
        host in "[a-z]{2,10}\\.(com|org|co\\.uk|de)",
        area in 200..999_u32, exchange in 200..999_u32, line in 0..9999_u32,
    ) {
        let email = format!("{local}@{host}");
        let phone = format!("{area}-{exchange}-{line:04}");
        let text = format!("{before} {email} {after} {phone}, thanks");
        let redacted = redact(&text, &find(&text));
        prop_assert!(!redacted.contains(&email));
        prop_assert!(!redacted.contains(&phone));
    }
}

/// Prints what scanning costs: `cargo test --release --lib pii -- --ignored --nocapture`.
#[test]
#[ignore = "measures; shows nothing by passing"]
fn cost_per_message() {
    let messages = [
        "Hi there, my parcel has still not arrived and nobody answers, what is going on? I want my money back.",
        "Hello, please reach me at ada@example.org or 415-555-2671, my name is Ada Lovelace. Order 1234567.",
    ];
    for message in messages {
        let started = processor_time();
        let rounds = 20_000_u32;
        let total: usize = (0..rounds).map(|_| find(std::hint::black_box(message)).len()).sum();
        println!("{:?} per message with {} findings", (processor_time() - started) / rounds, total / rounds as usize);
    }
}
