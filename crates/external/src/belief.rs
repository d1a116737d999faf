//! What is believed of the public address of one relay address.
//!
//! ```text
//! nothing known --answer--> believed --other answer--> doubted --the same again--> believed (new)
//!                              ^                          |
//!                              +---the believed one-------+
//! ```

use std::net::IpAddr;

/// The address that is believed, and another that was heard once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Belief {
    believed: Option<IpAddr>,
    heard: Option<IpAddr>,
}

impl Belief {
    pub(crate) const fn new(believed: Option<IpAddr>) -> Self {
        Self { believed, heard: None }
    }

    /// Takes an answer. True: another address is believed now.
    pub(crate) fn hear(&mut self, answer: Option<IpAddr>) -> bool {
        let Some(answer) = answer else { return false };
        if self.believed == Some(answer) {
            self.heard = None;
            return false;
        }
        // The first answer of all is as good as any; a change wants to be heard twice, since one
        // answer may be a lie or come over a path that is about to change again.
        let is_change = self.believed.is_none() || self.heard == Some(answer);
        if is_change {
            *self = Self::new(Some(answer));
        } else {
            self.heard = Some(answer);
        }
        is_change
    }

    pub(crate) const fn believed(self) -> Option<IpAddr> {
        self.believed
    }

    /// Whether the next answer should come soon.
    pub(crate) const fn is_doubted(self) -> bool {
        self.heard.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_believed_and_a_change_when_it_is_heard_twice() {
        let mut belief = Belief::default();
        assert!(belief.hear(ip(7)));
        assert!(!belief.hear(ip(7)) && !belief.is_doubted());
        assert!(!belief.hear(ip(8)) && belief.is_doubted());
        assert_eq!(belief.believed(), ip(7));
        assert!(belief.hear(ip(8)) && !belief.is_doubted());
        assert_eq!(belief.believed(), ip(8));
    }

    #[test]
    fn one_lie_changes_nothing() {
        let mut belief = Belief::new(ip(7));
        assert!(!belief.hear(ip(66)));
        assert!(!belief.hear(ip(7)));
        assert!(!belief.hear(ip(66)));
        assert!(!belief.hear(ip(67)));
        assert!(!belief.hear(ip(66)));
        assert_eq!(belief.believed(), ip(7));
    }

    #[test]
    fn silence_keeps_what_is_believed_and_what_was_heard() {
        let mut belief = Belief::new(ip(7));
        assert!(!belief.hear(None));
        assert!(!belief.hear(ip(8)));
        assert!(!belief.hear(None));
        assert_eq!(belief.believed(), ip(7));
        assert!(belief.hear(ip(8)));
    }

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, last]))
    }
}
