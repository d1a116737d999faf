//! When things end: a heap of lazy deadlines.
//!
//! An entry says when to look at a thing, not that it ends: whoever pops it asks the thing for its
//! true end and arms it again, so extending a lifetime touches nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// A heap that is shorter is left as it is.
const LEAST_PRUNED: usize = 64;

/// Deadlines of things that `K` names.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Copy + Ord> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    /// Sets a deadline at `ends_at`, unless an earlier one is set already: that one is armed again
    /// when it is popped, so the heap holds one live entry a thing however often it is extended.
    /// `armed` is the one deadline that counts for the thing.
    pub(crate) fn arm(&mut self, key: K, ends_at: Instant, armed: &mut Option<Instant>) {
        if armed.is_none_or(|armed| ends_at < armed) {
            *armed = Some(ends_at);
            self.push(key, ends_at);
        }
    }

    /// Sets a deadline that never moves.
    pub(crate) fn push(&mut self, key: K, ends_at: Instant) {
        self.heap.push(Reverse((ends_at, key)));
    }

    /// Drops what does not count any more, as `counts` says, once that is most of the heap: no
    /// more than `live` do count. However quickly things come and go, the heap stays in proportion.
    pub(crate) fn prune(&mut self, live: usize, counts: impl Fn(Instant, K) -> bool) {
        if self.heap.len() > 2 * live + LEAST_PRUNED {
            self.heap.retain(|&Reverse((due, key))| counts(due, key));
        }
    }

    /// Takes the earliest deadline that has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let &Reverse((due, key)) = self.heap.peek()?;
        (due <= now).then(|| {
            self.heap.pop();
            (due, key)
        })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_extended_for_ever_has_one_deadline() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        let mut armed = None;
        for second in 0..10_000 {
            // Longer and shorter in turn, as a hostile client would.
            let lifetime = if second % 2 == 0 { 3_600 } else { 600 };
            deadlines.arm(7, start + Duration::from_secs(second + lifetime), &mut armed);
        }
        assert!(deadlines.heap.len() <= 2, "{} deadlines", deadlines.heap.len());
        // An end that comes sooner needs one of its own.
        let sooner = start + Duration::from_secs(1);
        deadlines.arm(7, sooner, &mut armed);
        assert_eq!(deadlines.next(), Some(sooner));
    }

    #[test]
    fn deadlines_are_popped_in_order_and_not_before_they_are_due() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut deadlines = Deadlines::new();
        for (key, second) in [(1, 30), (2, 10), (3, 20)] {
            deadlines.push(key, at(second));
        }
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(20)), Some((at(10), 2)));
        assert_eq!(deadlines.pop_due(at(20)), Some((at(20), 3)));
        assert_eq!(deadlines.pop_due(at(20)), None);
        assert_eq!(deadlines.next(), Some(at(30)));
    }
}
