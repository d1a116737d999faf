//! A bounded cache whose entries all live equally long.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::name::Name;

/// Names and what is remembered of them. The oldest goes first, when its time is over or
/// when there is no room. Hashed by SipHash with a random key: strangers choose the names.
#[derive(Debug)]
pub(super) struct Shelf<V> {
    entries: HashMap<Name, Entry<V>>,
    /// In the order of their ends. Names that were removed or replaced stay until their turn.
    order: VecDeque<(Name, u64)>,
    room: usize,
    lifetime: Duration,
    serial: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
    serial: u64,
}

impl<V> Shelf<V> {
    pub(super) fn new(room: usize, lifetime: Duration) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), room, lifetime, serial: 0 }
    }

    pub(super) fn put(&mut self, now: Instant, name: Name, value: V) {
        self.expire(now);
        while !self.order.is_empty() && self.order.len() >= self.room {
            self.drop_oldest();
        }
        self.serial = self.serial.wrapping_add(1);
        let entry = Entry { value, until: now + self.lifetime, serial: self.serial };
        self.order.push_back((name.clone(), self.serial));
        self.entries.insert(name, entry);
    }

    pub(super) fn remove(&mut self, name: &Name) {
        self.entries.remove(name);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    pub(super) fn find(&self, now: Instant, name: &Name) -> Option<&V> {
        self.entries.get(name).filter(|entry| now < entry.until).map(|entry| &entry.value)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((name, serial)) = self.order.front() {
            let is_live = |entry: &Entry<V>| entry.serial == *serial && now < entry.until;
            if self.entries.get(name).is_some_and(is_live) {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((name, serial)) = self.order.pop_front() else { return };
        if self.entries.get(&name).is_some_and(|entry| entry.serial == serial) {
            self.entries.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(10);

    #[test]
    fn an_entry_lives_for_its_time() {
        let start = Instant::now();
        let mut shelf = Shelf::new(2, LIFETIME);
        shelf.put(start, name("ann"), 1);
        assert_eq!(shelf.find(start + Duration::from_millis(9_999), &name("ann")), Some(&1));
        assert_eq!(shelf.find(start + LIFETIME, &name("ann")), None);
    }

    #[test]
    fn the_oldest_gives_way() {
        let start = Instant::now();
        let mut shelf = Shelf::new(2, LIFETIME);
        for (number, user) in ["ann", "bob", "eve"].into_iter().enumerate() {
            shelf.put(start, name(user), number);
        }
        assert_eq!(shelf.find(start, &name("ann")), None);
        assert_eq!(shelf.find(start, &name("bob")), Some(&1));
        assert_eq!(shelf.find(start, &name("eve")), Some(&2));
    }

    #[test]
    fn a_flood_takes_no_more_than_its_room() {
        let start = Instant::now();
        let mut shelf = Shelf::new(100, LIFETIME);
        for number in 0..10_000_u32 {
            let name = name(&number.to_string());
            shelf.put(start + Duration::from_millis(number.into()), name.clone(), ());
            if number.is_multiple_of(3) {
                shelf.remove(&name);
            }
            assert!(shelf.entries.len() <= 100 && shelf.order.len() <= 100);
        }
    }

    #[test]
    fn an_entry_that_was_replaced_keeps_its_new_time() {
        let start = Instant::now();
        let mut shelf = Shelf::new(10, LIFETIME);
        shelf.put(start, name("ann"), 1);
        shelf.put(start + Duration::from_secs(5), name("ann"), 2);
        shelf.put(start + Duration::from_secs(11), name("bob"), 3);
        assert_eq!(shelf.find(start + Duration::from_secs(14), &name("ann")), Some(&2));
        assert_eq!(shelf.find(start + Duration::from_secs(15), &name("ann")), None);
    }

    #[test]
    fn a_removed_entry_can_come_back() {
        let start = Instant::now();
        let mut shelf = Shelf::new(10, LIFETIME);
        shelf.put(start, name("ann"), 1);
        shelf.remove(&name("ann"));
        assert_eq!(shelf.find(start, &name("ann")), None);
        shelf.put(start + Duration::from_secs(1), name("ann"), 2);
        shelf.put(start + LIFETIME, name("bob"), 3);
        assert_eq!(shelf.find(start + LIFETIME, &name("ann")), Some(&2));
    }

    fn name(user: &str) -> Name {
        Name::new("example.org", user).unwrap()
    }
}
