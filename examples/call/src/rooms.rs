//! Rooms of two: who is in which, and what one says to the other.
//!
//! Invariants: a room has one or two members, and is gone with the last; there are at most
//! [`MOST_ROOMS`]; nobody waits for a member that does not read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::Sender;

use crate::message::ToPage;

/// Rooms at once.
pub(crate) const MOST_ROOMS: usize = 100;

/// A call has two sides.
const MOST_MEMBERS: usize = 2;

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<RoomName, Vec<Seat>>>,
    next: AtomicU64,
}

/// A name of 1 to 32 letters, digits, hyphens and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RoomName(String);

/// A member, as long as this program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberId(u64);

/// Where a member sits.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its room.
    pub(crate) room: RoomName,
    /// Itself.
    pub(crate) member: MemberId,
    /// Whether somebody was there before.
    pub(crate) others: bool,
}

#[derive(Debug)]
struct Seat {
    member: MemberId,
    post: Sender<ToPage>,
}

impl RoomName {
    /// Reads a name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let is_name = (1..=32).contains(&name.len()) && name.chars().all(is_known);
        is_name.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Rooms {
    /// Takes a place and tells the other side; an error is a text for people.
    pub(crate) fn join(&self, room: RoomName, post: Sender<ToPage>) -> Result<Place, &'static str> {
        let mut rooms = self.lock();
        let is_new = !rooms.contains_key(&room);
        if is_new && rooms.len() >= MOST_ROOMS {
            return Err("all rooms are taken; try again later");
        }
        let seats = rooms.entry(room.clone()).or_default();
        if seats.len() >= MOST_MEMBERS {
            return Err("two are in this room already; choose another one");
        }
        for seat in &*seats {
            let _ = seat.post.try_send(ToPage::PeerJoined);
        }
        let others = !seats.is_empty();
        let member = MemberId(self.next.fetch_add(1, Ordering::Relaxed));
        seats.push(Seat { member, post });
        Ok(Place { room, member, others })
    }

    /// Hands a message to the other side; an error is a text for people.
    pub(crate) fn tell_other(&self, place: &Place, message: ToPage) -> Result<(), &'static str> {
        let rooms = self.lock();
        let seats = rooms.get(&place.room).map_or(&[][..], Vec::as_slice);
        let Some(other) = seats.iter().find(|seat| seat.member != place.member) else {
            return Err("nobody else is in the room");
        };
        other.post.try_send(message).map_err(|_| "the other side does not read what is sent to it")
    }

    /// Gives a place up and tells the other side.
    pub(crate) fn leave(&self, place: &Place) {
        let mut rooms = self.lock();
        let Some(seats) = rooms.get_mut(&place.room) else { return };
        seats.retain(|seat| seat.member != place.member);
        for seat in &*seats {
            let _ = seat.post.try_send(ToPage::PeerLeft);
        }
        if seats.is_empty() {
            rooms.remove(&place.room);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, Vec<Seat>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;

    #[test]
    fn two_meet_and_what_one_says_the_other_hears() {
        let rooms = Rooms::default();
        let (ann, mut anns) = join(&rooms, "blue").unwrap();
        let (bob, mut bobs) = join(&rooms, "blue").unwrap();
        assert!(!ann.others && bob.others);
        assert!(matches!(anns.try_recv(), Ok(ToPage::PeerJoined)));
        rooms.tell_other(&bob, ToPage::Offer { sdp: "v=0".to_owned() }).unwrap();
        assert!(matches!(anns.try_recv(), Ok(ToPage::Offer { sdp }) if sdp == "v=0"));
        assert!(bobs.try_recv().is_err());
    }

    #[test]
    fn a_third_is_refused_until_one_has_left() {
        let rooms = Rooms::default();
        let (_ann, mut anns) = join(&rooms, "blue").unwrap();
        let (bob, _bobs) = join(&rooms, "blue").unwrap();
        assert!(join(&rooms, "blue").unwrap_err().contains("two are in this room"));
        rooms.leave(&bob);
        assert!(matches!(anns.try_recv(), Ok(ToPage::PeerJoined)));
        assert!(matches!(anns.try_recv(), Ok(ToPage::PeerLeft)));
        assert!(join(&rooms, "blue").unwrap().0.others);
    }

    #[test]
    fn rooms_are_bounded_and_an_empty_one_makes_room() {
        let rooms = Rooms::default();
        let held: Vec<_> =
            (0..MOST_ROOMS).map(|room| join(&rooms, &format!("r{room}")).unwrap()).collect();
        assert!(join(&rooms, "one-more").is_err());
        rooms.leave(&held.first().unwrap().0);
        assert!(join(&rooms, "one-more").is_ok());
    }

    #[test]
    fn alone_or_before_somebody_who_does_not_read_nothing_waits() {
        let rooms = Rooms::default();
        let (ann, _anns) = join(&rooms, "blue").unwrap();
        assert!(rooms.tell_other(&ann, ToPage::PeerLeft).is_err());
        let (_bob, _bobs) = join(&rooms, "blue").unwrap();
        let sent = (0..100).take_while(|_| rooms.tell_other(&ann, ToPage::PeerLeft).is_ok());
        assert_eq!(sent.count(), 8);
    }

    #[test]
    fn names_of_rooms_are_short_words() {
        for name in ["blue", "a", "Room_7-b", &"x".repeat(32)] {
            assert_eq!(RoomName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "a b", "../x", "é", &"x".repeat(33)] {
            assert_eq!(RoomName::new(name), None, "{name}");
        }
    }

    fn join(rooms: &Rooms, room: &str) -> Result<(Place, Receiver<ToPage>), &'static str> {
        let (post, received) = channel(8);
        rooms.join(RoomName::new(room).unwrap(), post).map(|place| (place, received))
    }
}
