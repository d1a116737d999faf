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
    fn no_more_than_an_eighth_of_the_slots_is_spare() {
        let mut arena: Arena<RelayId, _> = Arena::new();
        for value in 0..10_000 {
            arena.insert(value).expect("there is room");
            let spare = arena.slots.capacity() - arena.len();
            assert!(spare < (arena.len() / 8).max(LEAST_GROWTH), "{spare} of {}", arena.len());
        }
    }
}
