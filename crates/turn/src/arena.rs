//! A slab whose ids carry a generation, so that a stale id finds nothing.

use std::marker::PhantomData;

use crate::id::RelayId;

/// What names a slot: an index and a generation.
pub(crate) trait Key: Copy {
    fn new(index: u32, generation: u32) -> Self;
    fn parts(self) -> (u32, u32);
}

/// Slots with generations; O(1) everywhere, freed slots are used again.
#[derive(Debug)]
pub(crate) struct Arena<K, T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    key: PhantomData<K>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Slots that a slab grows by at least.
const LEAST_GROWTH: usize = 16;

impl<K: Key, T> Arena<K, T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), key: PhantomData }
    }

    /// The id under which the value now lies, or the value back when all
    /// 2^24 slots are in use.
    pub(crate) fn insert(&mut self, value: T) -> Result<K, T> {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return Ok(K::new(index, slot.generation));
        }
        match u32::try_from(self.slots.len()) {
            Ok(index) if index <= RelayId::MAX_INDEX => {
                if self.slots.len() == self.slots.capacity() {
                    // By an eighth, not by doubling: what an idle allocation costs must not
                    // depend on how full the slab happens to be.
                    self.slots.reserve_exact((self.slots.len() / 8).max(LEAST_GROWTH));
                }
                self.slots.push(Slot { generation: 0, value: Some(value) });
                Ok(K::new(index, 0))
            }
            Ok(_) | Err(_) => Err(value),
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let (index, generation) = key.parts();
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = (slot.generation + 1) & RelayId::GENERATION_MASK;
        self.free.push(index);
        Some(value)
    }

    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let (index, generation) = key.parts();
        let slot = self.slots.get(index as usize)?;
        if slot.generation == generation { slot.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let (index, generation) = key.parts();
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation == generation { slot.value.as_mut() } else { None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let key = K::new(index, slot.generation);
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    /// The values in `most` slots from `first` on, and the slot to go on at, if there are more. A
    /// value stays in its slot, so a walk in steps meets none twice.
    pub(crate) fn slots(
        &self,
        first: usize,
        most: usize,
    ) -> (impl Iterator<Item = (K, &T)>, Option<usize>) {
        let next = first.saturating_add(most.max(1));
        let values = self.iter_from(first).take_while(move |(slot, ..)| *slot < next);
        let values = values.filter_map(|(_, key, value)| Some((key, value?)));
        (values, (next < self.slots.len()).then_some(next))
    }

    fn iter_from(&self, first: usize) -> impl Iterator<Item = (usize, K, Option<&T>)> {
        self.slots
            .iter()
            .zip(0_u32..)
            .enumerate()
            .skip(first)
            .map(|(at, (slot, index))| (at, K::new(index, slot.generation), slot.value.as_ref()))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_id_finds_nothing_after_its_slot_is_used_again() {
        let mut arena: Arena<RelayId, _> = Arena::new();
        let first = arena.insert("first").expect("there is room");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second").expect("there is room");
        assert_eq!(second.index(), first.index());
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn walk_in_steps_meets_what_stays_exactly_once() {
        let mut arena: Arena<RelayId, _> = Arena::new();
        let keys: Vec<_> = (0..10).map(|value| arena.insert(value).expect("room")).collect();
        let (mut seen, mut cursor) = (Vec::new(), Some(0));
        while let Some(first) = cursor {
            let (values, next) = arena.slots(first, 3);
            seen.extend(values.map(|(_, value)| *value));
            cursor = next;
            // Behind the walk and before it others come and go.
            if first == 3 {
                arena.remove(keys[0]);
                arena.remove(keys[8]);
                arena.insert(100).expect("room");
                arena.insert(101).expect("room");
            }
        }
        let newcomers = seen.iter().filter(|value| **value >= 100).count();
        assert!(newcomers <= 2);
        seen.retain(|value| *value < 100);
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 9]);
    }

    #[test]
    fn no_more_than_an_eighth_of_the_slots_is_spare() {
        let mut arena: Arena<RelayId, _> = Arena::new();
        for value in 0..10_000 {
            arena.insert(value).expect("there is room");
            let spare = arena.slots.capacity() - arena.len();
            assert!(spare < (arena.len() / 8).max(LEAST_GROWTH), "{spare} of {}", arena.len());
        }
    }
}
