//! The middle of some figures.

/// The median; with an even number of figures the upper one of the middle two,
/// with none not a number.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_do_not_move_it() {
        assert_eq!(median([5.0, 1.0, 100.0]).to_bits(), 5.0_f64.to_bits());
        assert!(median([]).is_nan());
    }
}
