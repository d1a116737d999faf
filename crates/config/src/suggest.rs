//! Finds the name that a mistyped one was meant to be.

/// The candidate nearest to `typed`, if one is near enough to be meant.
///
/// Near enough: at most one edit for every three characters of the longer
/// name, so that `prots` finds `ports` and `banana` finds nothing. A swap of
/// two neighbours is one edit.
pub(crate) fn nearest<'c>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| (distance(&typed, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(edits, candidate)| edits * 3 <= candidate.len().max(typed.len()))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insert, delete, replace, swap neighbours.
#[expect(clippy::indexing_slicing, reason = "every index is bounded by the lengths just above it")]
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 4] = ["ports", "external", "default_family", "dscp"];

    #[test]
    fn a_swap_an_omission_and_a_hyphen_are_forgiven() {
        assert_eq!(nearest("prots", KEYS), Some("ports"));
        assert_eq!(nearest("extrnal", KEYS), Some("external"));
        assert_eq!(nearest("Default-Family", KEYS), Some("default_family"));
    }

    #[test]
    fn a_name_far_from_all_others_suggests_nothing() {
        assert_eq!(nearest("banana", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }
}
