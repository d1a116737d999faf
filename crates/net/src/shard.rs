//! One shard: a thread, a runtime, three tasks around one core.

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now};
use turn_udp::{
    Epoll, RecvBatch, SendBatch, Ticker, Watched, release_freed_memory, set_timer_slack,
};

use crate::clock;
use crate::core::{BUFFERS, Core};
use crate::fleet::ShardPlan;
use crate::host::{Host, Listener};
use crate::mailbox::{Inspection, Mailbox, Message};
use crate::pace::Napper;
use crate::packets::{Errand, Packets};
use crate::proxied::Upstreams;
use crate::relay_sockets::RelaySockets;
use crate::stream::{Patience, PeerSockets, StreamContext, Streams, accept};

/// Ticks between two looks of the runtime at its driver.
const EVENT_INTERVAL: u32 = 61;

/// How late an expired allocation may be closed; the data path compares
/// expiries itself.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Turns of the runtime in which connections may end when the shard stops.
const GOODBYES: usize = 64;

/// Places of allocations that are looked at between two packets.
const AT_MOST_ENDED: usize = 1_024;

/// Runs a shard on this thread until it is told to stop.
pub(crate) fn run(plan: ShardPlan, mailbox: Mailbox) -> io::Result<()> {
    // A nap must not become one that is 50 µs longer.
    set_timer_slack(Duration::from_micros(1))?;
    let napper = Arc::new(Napper::new(plan.latency_budget, Arc::clone(&plan.counters)));
    let before_waiting = Arc::clone(&napper);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || before_waiting.before_waiting())
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())?;
    runtime.block_on(serve(plan, napper, mailbox))
}

async fn serve(plan: ShardPlan, napper: Arc<Napper>, mut mailbox: Mailbox) -> io::Result<()> {
    let relay_set = Rc::new(Watched::new(Epoll::new()?)?);
    let mut listeners = Vec::new();
    let mut watched = Vec::new();
    let mut options = Vec::new();
    for bound in plan.listeners {
        let socket = Rc::new(bound.socket);
        listeners.push(Listener {
            socket: Rc::clone(&socket),
            is_wildcard: bound.options.packet_info,
            spoken: bound.entrance.spoken,
            upstreams: bound.entrance.upstreams.into(),
            realm: bound.entrance.realm.unwrap_or_default(),
        });
        watched.push(Some(Watched::new(socket)?));
        options.push(bound.options);
    }
    let host = Host {
        shard: plan.shard,
        engine: plan.engine,
        shared: plan.shared,
        listeners,
        relays: RelaySockets::new(Rc::clone(&relay_set), plan.relay_options, plan.second_sockets),
        streams: Streams::default(),
        peers: PeerSockets::default(),
        dtls: plan.dtls,
        upstreams: Upstreams::default(),
        home: Weak::new(),
        outgoing: SendBatch::new(),
        writers: plan.neighbours.iter().map(|_| None).collect(),
        neighbours: plan.neighbours,
        counters: plan.counters,
        observer: plan.observer,
        keys: plan.keys,
        to_wake: Vec::new(),
        unwritten: Vec::new(),
        has_woken_streams: false,
        has_busy_streams: false,
        scratch: Vec::new(),
    };
    let core = Core { received: RecvBatch::new(BUFFERS), host, readers: Vec::new(), turn: 0 };
    let core = Rc::new(RefCell::new(core));
    let context = StreamContext::new(&core, plan.admission, plan.tls, plan.shards);
    core.borrow_mut().host.home = Rc::downgrade(&context);
    for (socket, entrance) in plan.stream_listeners {
        spawn_local(accept(Rc::clone(&context), TcpListener::from_std(socket)?, entrance));
    }
    let (sender, errands) = mpsc::unbounded_channel();
    let packets = Packets {
        core: Rc::clone(&core),
        listeners: watched,
        options,
        relays: relay_set,
        napper,
        errands,
        sender: sender.clone(),
    };
    let packets = spawn_local(packets.run());
    // Not the runtime's timers: it waits without a deadline where it has none.
    let ticks = |interval| Watched::new(Ticker::every(interval)?);
    let mut expiry = spawn_local(expire(Rc::clone(&core), ticks(EXPIRY_INTERVAL)?));
    let sweeps = ticks(plan.patience.sweep_interval())?;
    let mut sweep = spawn_local(sweep(Rc::clone(&core), sweeps, plan.patience));
    let ended = tokio::select! {
        () = messages(&context, &mut mailbox, &sender) => Ok(()),
        ended = packets => ended.map_err(io::Error::other).flatten(),
        ended = &mut expiry => ended.map_err(io::Error::other).flatten(),
        ended = &mut sweep => ended.map_err(io::Error::other).flatten(),
    };
    expiry.abort();
    sweep.abort();
    close_clients(&core).await;
    ended
}

/// Ends every allocation and says goodbye to every client on a stream or with a DTLS session, as far as
/// that goes at once.
async fn close_clients(core: &RefCell<Core>) {
    {
        let mut core = core.borrow_mut();
        let now = clock::now();
        core.host.engine.stop(now);
        core.host.drain_actions(now);
        core.host.close_dtls(now);
        core.host.close_streams();
        core.flush();
    }
    for _ in 0..GOODBYES {
        if core.borrow().host.streams.is_empty() {
            return;
        }
        yield_now().await;
    }
}

/// The mailbox task: ends when the shard is told to stop.
async fn messages(
    context: &Rc<StreamContext>,
    mailbox: &mut Mailbox,
    errands: &mpsc::UnboundedSender<Errand>,
) {
    let core = &context.core;
    let Mailbox { messages, rings, stop } = mailbox;
    loop {
        tokio::select! {
            () = stop.notified() => return,
            message = messages.recv() => match message {
                None => return,
                Some(Message::TakeStream(travelling)) => travelling.arrive(context),
                Some(Message::Tls(config)) => context.set_tls(config),
                // This task has turned; now the one that matters. It ends only with the shard.
                Some(Message::Beat(turned)) => drop(errands.send(Errand::Beat(turned))),
                Some(message) => serve_message(&mut core.borrow_mut(), message),
            },
            () = rings.notified() => {
                if core.borrow_mut().visit_rings(clock::now()) {
                    // A ring that never empties keeps neither messages nor the end waiting.
                    rings.notify_one();
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
            core.host.engine.apply(now, settings);
            core.host.drain_actions(now);
            core.flush();
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        Message::Identity(identity) => core.host.dtls.set_identity(identity),
        Message::Inspect(Inspection(look)) => look(&core.host.engine),
        Message::EndAllocation(id, done) => {
            let has_ended = core.host.engine.end_allocation(now, id);
            core.host.drain_actions(now);
            core.flush();
            let _ = done.send(has_ended);
        }
        Message::KeyFound { ticket, answer } => {
            core.host.engine.key_found(now, ticket, answer);
            core.host.drain_actions(now);
            core.flush();
        }
        Message::EndAllocationsOf { whose, first, done } => {
            let (realm, user) = &*whose;
            let places = (first, AT_MOST_ENDED);
            let ended = core.host.engine.end_allocations_within(now, *realm, user, places);
            core.host.drain_actions(now);
            core.flush();
            let _ = done.send(ended);
        }
        // The mailbox task has kept these for itself.
        Message::TakeStream(_) | Message::Tls(_) | Message::Beat(_) => {}
    }
}

/// The clock task.
async fn expire(core: Rc<RefCell<Core>>, ticks: Watched<Ticker>) -> io::Result<()> {
    loop {
        ticks.tick().await?;
        core.borrow_mut().expire(clock::now());
    }
}

/// The sweep over the connections: who takes too long is told to end.
async fn sweep(
    core: Rc<RefCell<Core>>,
    ticks: Watched<Ticker>,
    patience: Patience,
) -> io::Result<()> {
    loop {
        ticks.tick().await?;
        let mut core = core.borrow_mut();
        let now = clock::now();
        core.host.sweep(now, &patience);
        core.host.expire_dtls(now, patience.idle);
        core.flush();
        if core.host.streams.has_shrunk() {
            // [H15] What a flood took is given back; elsewhere, since it takes its time. Where
            // no thread can be had, memory is not what is short.
            let _ = std::thread::Builder::new().spawn(release_freed_memory);
        }
    }
}
