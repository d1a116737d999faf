//! For whom something was relayed, and how much.

use serde::{Deserialize, Serialize};

/// The user of an allocation, and everything else that its usage is counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Party {
    /// The realm of the user.
    pub realm: String,
    /// The tenant, where the realm has any.
    pub tenant: Option<String>,
    /// The user: of a time-limited credential the part that is no expiry.
    pub user: String,
    /// What the credential's maker calls it, or the tag behind `#`.
    pub label: Option<String>,
    /// The managed credential.
    pub credential: Option<String>,
}

/// What went through, in packets and payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams from the client to peers.
    pub up_packets: u64,
    /// Payload bytes from the client to peers.
    pub up_bytes: u64,
    /// Datagrams from peers to the client.
    pub down_packets: u64,
    /// Payload bytes from peers to the client.
    pub down_bytes: u64,
}

impl Party {
    /// The user that is counted where a day has too many rows.
    pub const OTHERS: &str = "(others)";

    /// Longest text of a column, in bytes; USERNAME itself has at most 508.
    const LONGEST: usize = 512;

    /// The same, with no text longer than a row may hold.
    pub(crate) fn bounded(mut self) -> Self {
        for text in [&mut self.realm, &mut self.user] {
            text.truncate(text.floor_char_boundary(Self::LONGEST));
        }
        for text in [&mut self.tenant, &mut self.label, &mut self.credential].into_iter().flatten()
        {
            text.truncate(text.floor_char_boundary(Self::LONGEST));
        }
        self
    }

    /// Its realm and tenant, and nobody in particular.
    pub(crate) fn others(self) -> Self {
        Self { user: Self::OTHERS.to_owned(), label: None, credential: None, ..self }
    }
}

impl Traffic {
    /// Bytes of both directions.
    pub const fn bytes(self) -> u64 {
        self.up_bytes.saturating_add(self.down_bytes)
    }

    /// What came since `before`; all of it where a counter has fallen, for it began anew.
    pub(crate) fn since(self, before: Self) -> Self {
        let difference = || {
            Some(Self {
                up_packets: self.up_packets.checked_sub(before.up_packets)?,
                up_bytes: self.up_bytes.checked_sub(before.up_bytes)?,
                down_packets: self.down_packets.checked_sub(before.down_packets)?,
                down_bytes: self.down_bytes.checked_sub(before.down_bytes)?,
            })
        };
        difference().unwrap_or(self)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.up_packets = self.up_packets.saturating_add(other.up_packets);
        self.up_bytes = self.up_bytes.saturating_add(other.up_bytes);
        self.down_packets = self.down_packets.saturating_add(other.down_packets);
        self.down_bytes = self.down_bytes.saturating_add(other.down_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_fell_began_anew() {
        let before = Traffic { up_bytes: 100, down_bytes: 7, ..Traffic::default() };
        let grown = Traffic { up_bytes: 150, down_bytes: 7, ..Traffic::default() };
        assert_eq!(grown.since(before), Traffic { up_bytes: 50, ..Traffic::default() });
        let fallen = Traffic { up_bytes: 150, down_bytes: 6, ..Traffic::default() };
        assert_eq!(fallen.since(before), fallen);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let party = Party { user: "\u{fc}".repeat(300), ..Party::default() }.bounded();
        assert_eq!(party.user.chars().count(), 256);
        let party = Party { label: Some(format!("a{}", "\u{fc}".repeat(300))), ..party }.bounded();
        assert_eq!(party.label.unwrap().len(), 511);
    }
}
