//! The floor: what relaying costs when nothing but the sockets costs anything.
//!
//! A forwarder with one relay socket a channel, a 4-byte ChannelData header
//! (RFC 8656 section 12.4) and a table index, on the wrappers of `turn-udp`,
//! with two loops: a bare epoll loop, and the loop of a shard inside a tokio
//! runtime. `floor` alone measures one against the other; `floor forward` and
//! `floor load` are its two halves, each on a core of its own.
//!
//! What it prints is CPU time of the forwarder a delivered packet, the median
//! of interleaved rounds, and the median of the rounds' own ratios.

mod bare_loop;
mod duel;
mod forwarder;
mod load;
mod pace;
mod tokio_loop;

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Measures a shard's loop against a bare epoll loop")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    duel: duel::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Forwards until it is killed; prints its ports.
    Forward {
        #[arg(long, value_enum)]
        r#loop: Loop,
        /// Relay sockets.
        #[arg(long)]
        sockets: usize,
        /// The peer of every channel.
        #[arg(long)]
        peer: SocketAddr,
        /// Nap of so many microseconds under load; 0 for none.
        #[arg(long)]
        nap: u64,
    },
    /// Sends through a forwarder and says what it cost.
    Load(load::Options),
}

/// How the forwarder waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Loop {
    /// `epoll_wait`, and nothing else on the thread.
    Bare,
    /// A tokio current-thread runtime.
    Tokio,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => duel::run(&arguments.duel),
        Some(Command::Load(options)) => load::run(&options),
        Some(Command::Forward { r#loop, sockets, peer, nap }) => {
            let forwarder = forwarder::Forwarder::new(sockets, peer)?;
            let pace = pace::Pace::new((nap > 0).then(|| Duration::from_micros(nap)));
            turn_udp::set_timer_slack(Duration::from_micros(1))?;
            match r#loop {
                Loop::Bare => bare_loop::run(forwarder, pace),
                Loop::Tokio => tokio_loop::run(forwarder, pace),
            }
        }
    }
}
