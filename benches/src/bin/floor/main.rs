//! The floor: what relaying costs when nothing but the sockets costs anything.
//!
//! A forwarder with one relay socket a channel, a 4-byte ChannelData header (RFC 8656 section 12.4)
//! and a table index, around a bare epoll loop on the wrappers of `turn-udp`; for clients on streams
//! with plain reads and writes, over TLS with rustls. `versus-coturn` measures it in the same rounds as
//! the servers; `floor forward` and `floor load` are its two halves, each on a core of its own.

mod clients;
mod forwarder;
mod load;
mod looping;
mod pace;
mod streams;
mod wire;

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use turn_client::load::Transport;

#[derive(Parser)]
#[command(about = "Forwards between clients and a peer without any TURN, and measures that")]
enum Command {
    /// Forwards until it is killed; prints its ports.
    Forward {
        /// Relay sockets.
        #[arg(long)]
        sockets: usize,
        /// How clients reach it.
        #[arg(long, value_enum, default_value = "udp")]
        transport: Transport,
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

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Load(options) => load::run(&options),
        Command::Forward { sockets, transport, peer, nap } => {
            let pace = pace::Pace::new((nap > 0).then(|| Duration::from_micros(nap)));
            turn_udp::set_timer_slack(Duration::from_micros(1))?;
            let streams = |tls, pace| streams::StreamForwarder::new(sockets, peer, tls)?.run(pace);
            match transport {
                Transport::Udp => looping::run(forwarder::Forwarder::new(sockets, peer)?, pace),
                Transport::Tcp => streams(None, pace),
                Transport::Tls => streams(Some(wire::any_identity()?), pace),
            }
        }
    }
}
