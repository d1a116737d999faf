//! Allocations that come and go: Allocate, 401, Allocate, Refresh with lifetime 0.
//!
//! Each slot has a socket and runs one cycle at a time. With several client addresses each cycle
//! comes from the next one, so that its 5-tuple is new although no socket is made for it: on
//! loopback every address of 127.0.0.0/8 is there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use turn_udp::Destination;

use super::drive::Exchange;
use super::set_up::random_id;
use super::sockets::Sockets;
use super::stamp::Clock;
use super::tally::Tally;
use super::{Ends, LoadError, Plan};
use crate::{AllocateOptions, Credentials, Progress, Refresh, Session, Transaction};

/// Clients at once, one a slot.
#[derive(Debug)]
pub(crate) struct Cycles {
    sockets: Sockets,
    slots: Vec<Slot>,
    free: Vec<usize>,
    server: SocketAddr,
    /// The first address of the clients and how many there are.
    first: IpAddr,
    addresses: u32,
    begun: u32,
    /// What each cycle starts from.
    session: Session,
    clock: Clock,
    arrived: Vec<(usize, Vec<u8>)>,
    next_round: u64,
}

#[derive(Debug, Default)]
struct Slot {
    cycle: Option<Cycle>,
}

#[derive(Debug)]
struct Cycle {
    session: Session,
    to: Destination,
    /// When it began.
    began: u64,
    /// When the request was sent for the last time.
    asked: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Allocating(Transaction<AllocateOptions>),
    Ending(Transaction<Refresh>),
}

/// What an answer means for a cycle.
enum Step {
    /// It was no answer.
    Wait,
    /// The next request is there.
    Ask,
    Done,
    Refused(u16),
}

/// A request without an answer is sent again after so many nanoseconds.
const AGAIN: u64 = 250_000_000;

/// Between two looks for such requests.
const ROUND: u64 = 50_000_000;

/// In place of an error code: an answer that cannot be used.
const UNUSABLE: u16 = 0;

impl Cycles {
    pub(crate) fn new(
        ends: &Ends,
        credentials: &Credentials,
        plan: &Plan,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let bind_to = match ends.clients {
            IpAddr::V4(_) if plan.client_addresses > 1 => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) if plan.client_addresses > 1 => {
                return Err(LoadError::Plan("several client addresses are IPv4 addresses"));
            }
            IpAddr::V4(_) | IpAddr::V6(_) => ends.clients,
        };
        Ok(Self {
            sockets: Sockets::bind(SocketAddr::new(bind_to, 0), plan.allocations, false)?,
            slots: (0..plan.allocations).map(|_| Slot::default()).collect(),
            free: (0..plan.allocations).rev().collect(),
            server: ends.server,
            first: ends.clients,
            addresses: plan.client_addresses,
            begun: 0,
            session: Session::new(credentials.clone())?,
            clock,
            arrived: Vec::new(),
            next_round: clock.now() + ROUND,
        })
    }

    /// The way of the next cycle to the server.
    fn next_way(&mut self) -> Destination {
        let turn = self.begun.checked_rem(self.addresses).unwrap_or(0);
        self.begun = self.begun.wrapping_add(1);
        let source = match self.first {
            IpAddr::V4(first) if self.addresses > 1 => {
                Some(Ipv4Addr::from_bits(first.to_bits().wrapping_add(turn)).into())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        Destination { source, ..Destination::to(self.server) }
    }

    /// Goes on with the cycle of a slot.
    fn answered(
        &mut self,
        number: usize,
        bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<(), LoadError> {
        let now = self.clock.now();
        let Some(slot) = self.slots.get_mut(number) else { return Ok(()) };
        let Some(cycle) = &mut slot.cycle else { return Ok(()) };
        match cycle.step(bytes)? {
            Step::Wait => return Ok(()),
            Step::Ask => {
                cycle.asked = now;
                self.sockets.send(number, cycle.to, cycle.state.bytes());
                return Ok(());
            }
            Step::Done => tally.arrived(cycle.began, now),
            Step::Refused(code) => tally.refused(code),
        }
        slot.cycle = None;
        self.free.push(number);
        Ok(())
    }

    fn send_again(&mut self) {
        let now = self.clock.now();
        if now < self.next_round {
            return;
        }
        self.next_round = now + ROUND;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if let Some(cycle) = slot.cycle.as_mut().filter(|it| now - it.asked > AGAIN) {
                cycle.asked = now;
                self.sockets.send(number, cycle.to, cycle.state.bytes());
            }
        }
    }
}

impl Exchange for Cycles {
    fn send(&mut self, count: u64, _: &mut Tally) -> Result<u64, LoadError> {
        let mut begun = 0;
        while begun < count
            && let Some(number) = self.free.pop()
        {
            let to = self.next_way();
            let now = self.clock.now();
            let session = self.session.another();
            let transaction = session.begin(AllocateOptions::default(), random_id()?)?;
            self.sockets.send(number, to, transaction.bytes());
            let state = State::Allocating(transaction);
            if let Some(slot) = self.slots.get_mut(number) {
                slot.cycle = Some(Cycle { session, to, began: now, asked: now, state });
            }
            begun += 1;
        }
        self.sockets.flush();
        Ok(begun)
    }

    fn receive(&mut self, tally: &mut Tally) -> Result<(), LoadError> {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.sockets.receive(|number, bytes| arrived.push((number, bytes.to_vec())))?;
        for (number, bytes) in arrived.drain(..) {
            self.answered(number, &bytes, tally)?;
        }
        self.arrived = arrived;
        self.send_again();
        self.sockets.flush();
        Ok(())
    }
}

impl Cycle {
    fn step(&mut self, bytes: &[u8]) -> Result<Step, LoadError> {
        let progress = match &self.state {
            State::Allocating(transaction) => match self.session.receive(transaction, bytes) {
                Progress::Retry(_) => {
                    let again = self.session.begin(AllocateOptions::default(), random_id()?)?;
                    self.state = State::Allocating(again);
                    return Ok(Step::Ask);
                }
                Progress::Success(_) => {
                    let refresh = Refresh { lifetime: Some(Duration::ZERO), family: None };
                    self.state = State::Ending(self.session.begin(refresh, random_id()?)?);
                    return Ok(Step::Ask);
                }
                Progress::Unrelated => Progress::Unrelated,
                Progress::Distrusted => Progress::Distrusted,
                Progress::Failure(error) => Progress::Failure(error),
            },
            State::Ending(transaction) => self.session.receive(transaction, bytes),
        };
        Ok(match progress {
            Progress::Unrelated => Step::Wait,
            Progress::Success(_) => Step::Done,
            Progress::Retry(refusal) => Step::Refused(refusal.code.get()),
            Progress::Failure(error) => {
                Step::Refused(error.code().map_or(UNUSABLE, turn_codec::StatusCode::get))
            }
            Progress::Distrusted => Step::Refused(UNUSABLE),
        })
    }
}

impl State {
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Allocating(transaction) => transaction.bytes(),
            Self::Ending(transaction) => transaction.bytes(),
        }
    }
}
