//! The connections of a shard, found by their link, and among those that have
//! no allocation the oldest.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use turn_engine::{FiveTuple, LinkId, RealmId};

use crate::link::{LinkKind, Slot};
use crate::stream::lane::{Lane, Order, Standing};

/// Slots of lanes. Lanes that count toward `unauthenticated_connections` also
/// stand in one of two queues, oldest first; entries of lanes that have moved
/// on are passed over and now and then swept out.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    places: Vec<Place>,
    free: Vec<u32>,
    live: usize,
    /// The most that have lived since memory was last given back.
    peak: usize,
    /// Lanes without an allocation that have not been told to end.
    strangers: usize,
    silent: VecDeque<LinkId>,
    spoken: VecDeque<LinkId>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    lane: Option<Rc<Lane>>,
}

/// Connections whose end is worth giving memory back for.
const MANY: usize = 512;

/// Entries of the two queues beyond twice the lanes that count.
const SLACK: usize = 256;

impl Streams {
    /// A lane for a new connection; `None` when four billion are open.
    pub(crate) fn insert(
        &mut self,
        tuple: FiveTuple,
        realm: RealmId,
        now: Instant,
    ) -> Option<Rc<Lane>> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok()?;
                self.places.push(Place { generation: 0, lane: None });
                index
            }
        };
        let place = self.places.get_mut(index as usize)?;
        let slot = Slot { index, generation: place.generation };
        let lane = Rc::new(Lane::new(LinkKind::Stream(slot).id(), tuple, realm, now));
        place.lane = Some(Rc::clone(&lane));
        self.live += 1;
        self.peak = self.peak.max(self.live);
        self.strangers += 1;
        sweep_out(&mut self.silent, &self.places, self.strangers, is_silent);
        self.silent.push_back(lane.id());
        Some(lane)
    }

    /// Forgets a lane whose task has ended.
    pub(crate) fn remove(&mut self, lane: &Lane) {
        let LinkKind::Stream(slot) = LinkKind::of(lane.id()) else { return };
        let Some(place) = self.places.get_mut(slot.index as usize) else { return };
        if place.generation != slot.generation || place.lane.take().is_none() {
            return;
        }
        place.generation = (place.generation + 1) & Slot::GENERATION_MASK;
        self.free.push(slot.index);
        self.live -= 1;
        if is_stranger(lane) {
            self.strangers -= 1;
        }
    }

    /// The client has sent a whole message.
    pub(crate) fn spoke(&mut self, lane: &Lane) {
        if is_silent(lane) {
            lane.set_standing(Standing::Stranger);
            sweep_out(&mut self.spoken, &self.places, self.strangers, is_spoken);
            self.spoken.push_back(lane.id());
        }
    }

    /// The client has an allocation or a data connection.
    pub(crate) fn proved(&mut self, lane: &Lane) {
        if is_stranger(lane) {
            self.strangers -= 1;
        }
        lane.set_standing(Standing::Proven);
    }

    /// Tells a lane to end; says whether it was not told before.
    pub(crate) fn close(&mut self, lane: &Lane) -> bool {
        if lane.is_closing() {
            return false;
        }
        if is_stranger(lane) {
            self.strangers -= 1;
        }
        lane.order(Order::Close);
        true
    }

    /// The oldest connection without a complete message, else the oldest
    /// without an allocation; each is given once.
    pub(crate) fn next_to_shed(&mut self) -> Option<Rc<Lane>> {
        next(&mut self.silent, &self.places, is_silent)
            .or_else(|| next(&mut self.spoken, &self.places, is_spoken))
    }

    /// Whether most of many connections have ended since this was last said.
    pub(crate) fn has_shrunk(&mut self) -> bool {
        let has_shrunk = self.peak >= MANY && self.live <= self.peak / 2;
        if has_shrunk {
            self.peak = self.live;
        }
        has_shrunk
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Rc<Lane>> {
        let place = self.places.get(slot.index as usize)?;
        place.lane.as_ref().filter(|_| place.generation == slot.generation)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rc<Lane>> {
        self.places.iter().filter_map(|place| place.lane.as_ref())
    }

    /// Connections without an allocation.
    pub(crate) const fn strangers(&self) -> usize {
        self.strangers
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.live == 0
    }
}

fn is_silent(lane: &Lane) -> bool {
    !lane.is_closing() && matches!(lane.standing(), Standing::Handshaking | Standing::Silent)
}

fn is_spoken(lane: &Lane) -> bool {
    !lane.is_closing() && lane.standing() == Standing::Stranger
}

fn is_stranger(lane: &Lane) -> bool {
    is_silent(lane) || is_spoken(lane)
}

fn find(places: &[Place], link: LinkId) -> Option<&Rc<Lane>> {
    let LinkKind::Stream(slot) = LinkKind::of(link) else { return None };
    let place = places.get(slot.index as usize)?;
    place.lane.as_ref().filter(|_| place.generation == slot.generation)
}

/// The first entry that still belongs here.
fn next(
    queue: &mut VecDeque<LinkId>,
    places: &[Place],
    belongs: fn(&Lane) -> bool,
) -> Option<Rc<Lane>> {
    while let Some(link) = queue.pop_front() {
        if let Some(lane) = find(places, link).filter(|lane| belongs(lane)) {
            return Some(Rc::clone(lane));
        }
    }
    None
}

fn sweep_out(
    queue: &mut VecDeque<LinkId>,
    places: &[Place],
    strangers: usize,
    belongs: fn(&Lane) -> bool,
) {
    if queue.len() > 2 * strangers + SLACK {
        queue.retain(|link| find(places, *link).is_some_and(|lane| belongs(lane)));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use turn_engine::Transport;

    use super::*;

    #[test]
    fn stale_link_finds_nothing() {
        let mut streams = Streams::default();
        let old = insert(&mut streams).unwrap();
        streams.remove(&old);
        let new = insert(&mut streams).unwrap();
        let LinkKind::Stream(slot) = LinkKind::of(old.id()) else { panic!("a stream") };
        assert!(streams.get(slot).is_none());
        // An end that is told twice ends nobody else.
        streams.remove(&old);
        let LinkKind::Stream(slot) = LinkKind::of(new.id()) else { panic!("a stream") };
        assert!(Rc::ptr_eq(streams.get(slot).unwrap(), &new));
        assert_eq!(streams.strangers(), 1);
    }

    #[test]
    fn h15_silent_connections_are_shed_before_those_that_spoke_and_never_proven_ones() {
        let mut streams = Streams::default();
        let lanes: Vec<_> = (0..4).map(|_| insert(&mut streams).unwrap()).collect();
        let [proven, spoke, silent, silent_too] = &lanes[..] else { panic!("four") };
        streams.spoke(proven);
        streams.proved(proven);
        streams.spoke(spoke);
        let mut closed = Vec::new();
        while let Some(lane) = streams.next_to_shed() {
            assert!(streams.close(&lane));
            closed.push(lanes.iter().filter(|lane| lane.is_closing()).count());
            match closed.len() {
                1 => assert!(silent.is_closing()),
                2 => assert!(silent_too.is_closing()),
                _ => assert!(spoke.is_closing() && !proven.is_closing()),
            }
        }
        assert_eq!(closed, [1, 2, 3]);
        assert_eq!(streams.strangers(), 0);
    }

    #[test]
    fn end_of_many_is_noticed_once() {
        let mut streams = Streams::default();
        let mut lanes: Vec<_> = (0..MANY).map(|_| insert(&mut streams).unwrap()).collect();
        assert!(!streams.has_shrunk());
        lanes.drain(MANY / 2..).for_each(|lane| streams.remove(&lane));
        assert!(streams.has_shrunk() && !streams.has_shrunk());
        lanes.drain(..).for_each(|lane| streams.remove(&lane));
        assert!(!streams.has_shrunk());
    }

    #[test]
    fn queues_of_strangers_stay_small() {
        let mut streams = Streams::default();
        let first = insert(&mut streams).unwrap();
        for _ in 0..10_000 {
            let lane = insert(&mut streams).unwrap();
            streams.spoke(&lane);
            streams.remove(&lane);
        }
        assert!(streams.silent.len() + streams.spoken.len() < 1_000);
        assert!(Rc::ptr_eq(&streams.next_to_shed().unwrap(), &first));
    }

    fn insert(streams: &mut Streams) -> Option<Rc<Lane>> {
        let [client, server] = [1, 2].map(|port| ([192, 0, 2, 1], port).into());
        let tuple = FiveTuple { transport: Transport::Tcp, client, server };
        streams.insert(tuple, RealmId(0), Instant::now())
    }
}
