//! From overlapping claims to findings, and to the fixed point at which nothing more is found.
//!
//! Taking out a finding changes what its neighbours stand next to: digits that were no phone number
//! because more digits followed may become one. So the gaps between findings are scanned again, each
//! by itself as it will stand between placeholders, until they are clean. The depth is bounded to keep
//! the time linear; at the bound a gap that still is not clean is taken out whole.

use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind};

/// How often the gaps between findings are scanned again.
const MAX_DEPTH: usize = 6;

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    Regex::new(&format!(r"\[REDACTED:(?:{})\]", kinds.join("|"))).ok()
});

/// A stretch of the text that is scanned by itself.
struct Stretch {
    start: usize,
    end: usize,
    depth: usize,
}

/// Applies `scan` to the stretches of `text` between placeholders until every stretch is clean.
/// Sorted, without overlaps.
pub(super) fn findings(text: &str, scan: impl Fn(&str) -> Vec<Finding>) -> Vec<Finding> {
    let mut stretches = between_placeholders(text);
    let mut findings = Vec::new();
    while let Some(stretch) = stretches.pop() {
        let Some(part) = text.get(stretch.start..stretch.end) else { continue };
        let claims = merge(scan(part));
        if stretch.depth == MAX_DEPTH
            && let Some(first) = claims.first()
        {
            findings.push(Finding { start: stretch.start, end: stretch.end, ..*first });
            continue;
        }
        let mut from = stretch.start;
        for claim in &claims {
            let start = stretch.start + claim.start;
            let end = stretch.start + claim.end;
            if from < start {
                stretches.push(Stretch { start: from, end: start, depth: stretch.depth + 1 });
            }
            findings.push(Finding { start, end, ..*claim });
            from = end;
        }
        if !claims.is_empty() && from < stretch.end {
            stretches.push(Stretch { start: from, end: stretch.end, depth: stretch.depth + 1 });
        }
    }
    findings.sort_by_key(|finding| finding.start);
    findings
}

fn between_placeholders(text: &str) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut from = 0;
    if text.contains("[REDACTED:")
        && let Some(placeholder) = &*PLACEHOLDER
    {
        for found in placeholder.find_iter(text) {
            stretches.push(Stretch { start: from, end: found.start(), depth: 0 });
            from = found.end();
        }
    }
    stretches.push(Stretch { start: from, end: text.len(), depth: 0 });
    stretches
}

/// Joins claims that overlap. The longest names the kind, on a tie the most confident, then the first
/// of [`Kind`]'s order, so that the result does not depend on the order of the recognizers.
fn merge(mut claims: Vec<Finding>) -> Vec<Finding> {
    claims.retain(|claim| claim.start < claim.end);
    claims.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)).then(a.kind.cmp(&b.kind)));
    let mut merged: Vec<Finding> = Vec::with_capacity(claims.len());
    let mut winner: Option<Finding> = None;
    for claim in claims {
        match (merged.last_mut(), &mut winner) {
            (Some(last), Some(best)) if claim.start < last.end => {
                last.end = last.end.max(claim.end);
                if beats(&claim, best) {
                    *best = claim;
                    last.kind = claim.kind;
                    last.confidence = claim.confidence;
                }
            }
            _ => {
                winner = Some(claim);
                merged.push(claim);
            }
        }
    }
    merged
}

fn beats(claim: &Finding, best: &Finding) -> bool {
    let (length, best_length) = (claim.end - claim.start, best.end - best.start);
    length > best_length || (length == best_length && claim.confidence > best.confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(kind: Kind, start: usize, end: usize, confidence: f64) -> Finding {
        Finding { kind, start, end, confidence }
    }

    #[test]
    fn the_longest_claim_names_the_kind_and_the_union_is_covered() {
        let merged = merge(vec![
            claim(Kind::Phone, 4, 12, 0.9),
            claim(Kind::CreditCard, 0, 10, 0.5),
            claim(Kind::Email, 20, 25, 0.5),
        ]);
        assert_eq!(merged, vec![claim(Kind::CreditCard, 0, 12, 0.5), claim(Kind::Email, 20, 25, 0.5)]);
    }

    #[test]
    fn on_a_tie_the_more_confident_claim_names_the_kind() {
        let merged = merge(vec![claim(Kind::Phone, 0, 11, 0.6), claim(Kind::Ssn, 0, 11, 0.9)]);
        assert_eq!(merged, vec![claim(Kind::Ssn, 0, 11, 0.9)]);
    }

    #[test]
    fn a_gap_that_never_comes_clean_is_taken_out_whole() {
        let first_byte = |part: &str| if part.is_empty() { vec![] } else { vec![claim(Kind::Phone, 0, 1, 1.0)] };
        let found = findings("abcdefghijklmnop", first_byte);
        assert_eq!(found.last().map(|last| last.end), Some(16));
        assert!(found.len() <= MAX_DEPTH + 1);
    }

    #[test]
    fn nothing_is_found_in_a_placeholder() {
        let all = |part: &str| vec![claim(Kind::Phone, 0, part.len(), 1.0)];
        let found = findings("a[REDACTED:phone]b[REDACTED:no]", all);
        assert_eq!(found.iter().map(|f| (f.start, f.end)).collect::<Vec<_>>(), vec![(0, 1), (17, 31)]);
    }
}
