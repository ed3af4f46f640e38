//! The nearest name that exists, for one that does not.

/// How many names are listed in full.
const LISTED: usize = 12;

/// The candidate that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint for a name that does not exist: the nearest one, or all of them where they are few. `what` names
/// them in the plural: `fields`.
pub(super) fn hint(name: &str, what: &str, candidates: &[&str]) -> Option<String> {
    if let Some(near) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match candidates.len() {
        0 => None,
        n if n <= LISTED => Some(format!("the {what} are {}", listed(candidates))),
        n => candidates.get(..LISTED).map(|some| format!("some of the {n} {what} are {}", listed(some))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let names = ["sentiment", "tenant_id", "confidence"];
        assert_eq!(nearest("sentimnt", names), Some("sentiment"));
        assert_eq!(nearest("tenantId", names), Some("tenant_id"));
        assert_eq!(nearest("banana", names), None);
        assert_eq!(hint("x", "fields", &["a", "b"]).as_deref(), Some("the fields are `a`, `b`"));
    }
}
