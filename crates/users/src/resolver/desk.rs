//! The thread's one loop: who is asked for, who waits, what is remembered.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::caller::{Answer, Caller};
use super::errand::{self, Outcome};
use super::merge::merge;
use super::name::Name;
use super::options::Options;
use super::poll::{Reading, poll};

use super::shelf::Shelf;
use super::standing::Standing;
use crate::{Catalog, StoredUser};

/// What other threads want.
#[derive(Debug)]
pub(super) enum Message {
    /// Look this user up.
    Find(Name, Caller),
    /// What is known of this user is not true any more.
    Forget(Name),
    /// Other stores.
    Replace(Vec<Arc<Standing>>),
}

/// What the desk's own tasks have done.
#[derive(Debug)]
pub(super) enum Event {
    /// An errand is over.
    Asked(Ticket, Name, Outcome),
    /// A catalogue was read, or not.
    Polled(Reading, Option<Catalog>),
}

/// Which errand: a name can be sent for again before the first errand is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
pub(super) struct Desk {
    options: Options,
    /// All catalogues as one.
    board: watch::Sender<Arc<Catalog>>,
    has_published: bool,
    events: mpsc::UnboundedSender<Event>,
    stores: Arc<[Arc<Standing>]>,
    /// Of the stores: how often they were replaced.
    generation: u64,
    readings: Vec<LastGood>,
    pollers: JoinSet<()>,
    found: Shelf<(StoredUser, Arc<Standing>)>,
    unknown: Shelf<()>,
    /// Names that were found at some time; they have a room of their own.
    regulars: Shelf<()>,
    regular_room: Room,
    stranger_room: Room,
    asked: HashMap<Name, Asked>,
    last_ticket: u64,
}

/// A name that the stores are asked for.
#[derive(Debug)]
struct Asked {
    callers: Vec<Caller>,
    ticket: Ticket,
    deadline: Instant,
    is_regular: bool,
    errand: AbortHandle,
}

/// Where names wait to be asked for.
#[derive(Debug)]
struct Room {
    turns: Arc<Semaphore>,
    inside: usize,
    most: usize,
}

/// The last good catalogue of a store.
#[derive(Debug, Default)]
struct LastGood {
    is_polled: bool,
    catalog: Catalog,
}

/// Reports the end of an errand, even that of one that panics.
struct Report {
    events: mpsc::UnboundedSender<Event>,
    ticket: Ticket,
    name: Name,
    outcome: Outcome,
}

impl Desk {
    /// Serves until nobody can send messages any more.
    pub(super) async fn serve(
        stores: Vec<Arc<Standing>>,
        options: Options,
        board: watch::Sender<Arc<Catalog>>,
        mut messages: mpsc::UnboundedReceiver<Message>,
    ) {
        let (events, mut happened) = mpsc::unbounded_channel();
        let mut desk = Self::new(options, board, events);
        desk.replace(stores);
        loop {
            tokio::select! {
                // What is done first: it makes room for what is asked.
                biased;
                Some(event) = happened.recv() => desk.happened(event),
                message = messages.recv() => match message {
                    Some(message) => desk.receive(message),
                    None => return,
                },
            }
        }
    }

    fn new(
        options: Options,
        board: watch::Sender<Arc<Catalog>>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let regular = (options.asked_at_once.div_ceil(4), options.waiting.div_ceil(4));
        let stranger = (options.asked_at_once - regular.0, options.waiting - regular.1);
        Self {
            options,
            board,
            has_published: false,
            events,
            stores: Arc::new([]),
            generation: 0,
            readings: Vec::new(),
            pollers: JoinSet::new(),
            found: Shelf::new(options.cached, options.found_for),
            unknown: Shelf::new(options.cached, options.unknown_for),
            regulars: Shelf::new(options.cached, options.remembered_for),
            regular_room: Room::new(regular),
            stranger_room: Room::new(stranger),
            asked: HashMap::new(),
            last_ticket: 0,
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Find(name, caller) => self.find(name, caller),
            Message::Forget(name) => self.forget(&name),
            Message::Replace(stores) => self.replace(stores),
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Asked(ticket, name, outcome) => self.finish(ticket, name, outcome),
            Event::Polled(reading, catalog) => self.note(reading, catalog),
        }
    }

    fn find(&mut self, name: Name, caller: Caller) {
        let now = Instant::now();
        if let Some((user, standing)) = self.found.find(now, &name) {
            standing.served_from_memory();
            return caller.answer(Answer::Found(user.clone()));
        }
        if self.unknown.find(now, &name).is_some() {
            self.stores.iter().for_each(|standing| standing.served_from_memory());
            return caller.answer(Answer::Unknown);
        }
        if let Some(asked) = self.asked.get_mut(&name) {
            return asked.callers.push(caller);
        }
        let is_regular = self.regulars.find(now, &name).is_some();
        if !self.room(is_regular).enter() {
            return caller.answer(Answer::Unavailable);
        }
        let deadline = now + self.options.deadline;
        let (ticket, errand) = self.send_out(name.clone(), is_regular, deadline);
        let asked = Asked { callers: vec![caller], ticket, deadline, is_regular, errand };
        self.asked.insert(name, asked);
    }

    fn forget(&mut self, name: &Name) {
        self.found.remove(name);
        self.unknown.remove(name);
        self.ask_again(name);
    }

    fn replace(&mut self, stores: Vec<Arc<Standing>>) {
        let mut former: HashMap<String, LastGood> = self
            .stores
            .iter()
            .map(|former| former.name().to_owned())
            .zip(self.readings.drain(..))
            .collect();
        self.readings = stores
            .iter()
            .map(|standing| former.remove(standing.name()).unwrap_or_default())
            .map(|last_good| LastGood { is_polled: false, ..last_good })
            .collect();
        self.generation += 1;
        self.stores = stores.into();
        self.found.clear();
        self.unknown.clear();
        self.pollers = JoinSet::new();
        for (store, standing) in self.stores.iter().enumerate() {
            let reading = Reading { generation: self.generation, store };
            let events = self.events.clone();
            self.pollers.spawn(poll(Arc::clone(standing), reading, self.options, events));
        }
        self.publish();
        let names: Vec<Name> = self.asked.keys().cloned().collect();
        names.iter().for_each(|name| self.ask_again(name));
    }

    fn finish(&mut self, ticket: Ticket, name: Name, outcome: Outcome) {
        if self.asked.get(&name).is_none_or(|asked| asked.ticket != ticket) {
            return;
        }
        let Some(asked) = self.asked.remove(&name) else { return };
        self.room(asked.is_regular).leave();
        let now = Instant::now();
        let answer = match outcome {
            Outcome::Found(user, standing) => {
                self.regulars.put(now, name.clone(), ());
                self.found.put(now, name, (user.clone(), standing));
                Answer::Found(user)
            }
            Outcome::Unknown => {
                self.unknown.put(now, name, ());
                Answer::Unknown
            }
            Outcome::Unavailable => Answer::Unavailable,
        };
        for caller in asked.callers {
            caller.answer(answer.clone());
        }
    }

    fn note(&mut self, reading: Reading, catalog: Option<Catalog>) {
        if reading.generation != self.generation {
            return;
        }
        let Some(last_good) = self.readings.get_mut(reading.store) else { return };
        last_good.is_polled = true;
        if let Some(catalog) = catalog {
            last_good.catalog = catalog;
        }
        self.publish();
    }

    /// The errand under way would bring what was true before.
    fn ask_again(&mut self, name: &Name) {
        let Some(asked) = self.asked.get(name) else { return };
        let (is_regular, deadline) = (asked.is_regular, asked.deadline);
        let (ticket, errand) = self.send_out(name.clone(), is_regular, deadline);
        if let Some(asked) = self.asked.get_mut(name) {
            asked.ticket = ticket;
            std::mem::replace(&mut asked.errand, errand).abort();
        }
    }

    fn send_out(
        &mut self,
        name: Name,
        is_regular: bool,
        deadline: Instant,
    ) -> (Ticket, AbortHandle) {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let turns = Arc::clone(&self.room(is_regular).turns);
        let stores = Arc::clone(&self.stores);
        let report =
            Report { events: self.events.clone(), ticket, name, outcome: Outcome::Unavailable };
        let errand = async move {
            // Asked too late, a store could only look as if it were slow.
            let latest = deadline - (deadline - Instant::now()) / 8;
            let Ok(Ok(_turn)) = timeout_at(latest, turns.acquire()).await else { return };
            let outcome = errand::ask(&stores, &report.name, deadline).await;
            report.bring(outcome);
        };
        (ticket, tokio::spawn(errand).abort_handle())
    }

    /// The first word is held back until every store has had its say, or has failed to.
    fn publish(&mut self) {
        let is_first = !self.has_published;
        if is_first && !self.readings.iter().all(|last_good| last_good.is_polled) {
            return;
        }
        self.has_published = true;
        let catalog = merge(self.readings.iter().map(|last_good| &last_good.catalog));
        self.board.send_if_modified(|shown| {
            let is_new = is_first || **shown != catalog;
            if is_new {
                *shown = Arc::new(catalog);
            }
            is_new
        });
    }

    fn room(&mut self, is_regular: bool) -> &mut Room {
        if is_regular { &mut self.regular_room } else { &mut self.stranger_room }
    }
}

impl Room {
    fn new((at_once, waiting): (usize, usize)) -> Self {
        let at_once = at_once.max(1);
        Self { turns: Arc::new(Semaphore::new(at_once)), inside: 0, most: at_once + waiting }
    }

    fn enter(&mut self) -> bool {
        let has_room = self.inside < self.most;
        self.inside += usize::from(has_room);
        has_room
    }

    fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }
}

impl Report {
    fn bring(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Unavailable);
        // Nobody listens once the desk is gone; its callers have their answer then.
        let _ = self.events.send(Event::Asked(self.ticket, self.name.clone(), outcome));
    }
}
