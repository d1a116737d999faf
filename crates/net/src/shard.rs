//! One shard: a thread, a runtime, three tasks around one core.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{MissedTickBehavior, interval};
use turn_udp::{Epoll, RecvBatch, SendBatch, Watched, set_timer_slack};

use crate::clock;
use crate::core::{BUFFERS, Core};
use crate::fleet::ShardPlan;
use crate::host::{Host, Listener};
use crate::mailbox::{Mailbox, Message};
use crate::pace::Pace;
use crate::packets::Packets;
use crate::relay_sockets::RelaySockets;

/// Ticks between two looks of the runtime at its driver.
const EVENT_INTERVAL: u32 = 61;

/// How late an expired allocation may be closed; the data path compares
/// expiries itself.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a shard on this thread until it is told to stop.
pub(crate) fn run(plan: ShardPlan, mailbox: Mailbox) -> io::Result<()> {
    // A nap of 200 µs must not become one of 250 µs.
    set_timer_slack(Duration::from_micros(1))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(serve(plan, mailbox))
}

async fn serve(plan: ShardPlan, mut mailbox: Mailbox) -> io::Result<()> {
    let relay_set = Rc::new(Watched::new(Epoll::new()?)?);
    let mut listeners = Vec::new();
    let mut watched = Vec::new();
    let mut options = Vec::new();
    for bound in plan.listeners {
        let socket = Rc::new(bound.socket);
        listeners
            .push(Listener { socket: Rc::clone(&socket), is_wildcard: bound.options.packet_info });
        watched.push(Some(Watched::new(socket)?));
        options.push(bound.options);
    }
    let host = Host {
        shard: plan.shard,
        engine: plan.engine,
        shared: plan.shared,
        listeners,
        relays: RelaySockets::new(Rc::clone(&relay_set)),
        relay_options: plan.relay_options,
        outgoing: SendBatch::new(),
        writers: plan.neighbours.iter().map(|_| None).collect(),
        neighbours: plan.neighbours,
        counters: plan.counters,
        observer: plan.observer,
        to_wake: Vec::new(),
        scratch: Vec::new(),
    };
    let core = Core { received: RecvBatch::new(BUFFERS), host, readers: Vec::new() };
    let core = Rc::new(RefCell::new(core));
    let (rebuilder, rebuilt) = mpsc::channel(4);
    let packets = Packets {
        core: Rc::clone(&core),
        listeners: watched,
        options,
        relays: relay_set,
        pace: Pace::new(plan.latency_budget, clock::now().mono),
        rebuilt,
        rebuilder,
    };
    let packets = spawn_local(packets.run());
    let expiry = spawn_local(expire(Rc::clone(&core)));
    let ended = tokio::select! {
        () = messages(&core, &mut mailbox) => Ok(()),
        ended = packets => ended.map_err(io::Error::other).flatten(),
    };
    expiry.abort();
    ended
}

/// The mailbox task: ends when the shard is told to stop.
async fn messages(core: &RefCell<Core>, mailbox: &mut Mailbox) {
    let Mailbox { messages, rings } = mailbox;
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(Message::Stop) | None => return,
                Some(message) => serve_message(&mut core.borrow_mut(), message),
            },
            () = rings.notified() => {
                while core.borrow_mut().visit_rings(clock::now()) {
                    yield_now().await;
                }
            }
        }
    }
}

fn serve_message(core: &mut Core, message: Message) {
    let now = clock::now();
    match message {
        Message::Ring(reader) => {
            core.readers.push(reader);
            // What was written before the reader came here.
            core.visit_rings(now);
        }
        Message::Claim { from, ticket, claim } => core.give_up(now, from, ticket, claim),
        Message::Claimed { ticket, moved } => core.take_in(now, ticket, moved),
        Message::Apply(settings, done) => {
            core.host.engine.apply(settings);
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        Message::Stop => {}
    }
}

/// The clock task.
async fn expire(core: Rc<RefCell<Core>>) {
    let mut ticks = interval(EXPIRY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.borrow_mut().expire(clock::now());
    }
}
