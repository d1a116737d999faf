//! The known name that an unknown one was meant to be.

use crate::options::{REMOVED, options};

/// The option nearest to `typed`, if one is near enough to be meant: one edit for every four
/// characters at most.
pub(crate) fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.replace('_', "-");
    let known = options().map(|option| option.name);
    known
        .chain(REMOVED.iter().map(|removed| removed.name))
        .map(|name| (distance(&typed.to_ascii_lowercase(), &name.to_ascii_lowercase()), name))
        .filter(|(edits, name)| edits * 4 <= name.len().max(typed.len()))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut row = vec![left];
        for (of_b, pair) in b.iter().zip(above.windows(2)) {
            let &[diagonal, up] = pair else { continue };
            left = (diagonal + usize::from(of_a != *of_b)).min(up + 1).min(left + 1);
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_and_slips_are_forgiven() {
        assert_eq!(nearest("listening_ip"), Some("listening-ip"));
        assert_eq!(nearest("extrenal-ip"), Some("external-ip"));
        assert_eq!(nearest("static-auth-secrets"), Some("static-auth-secret"));
        assert_eq!(nearest("banana"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
