//! Batched UDP for a relay on Linux: many datagrams a system call, trains of
//! equal datagrams as one (GSO, GRO), and errors with a verdict each.
//!
//! The public interface is:
//!
//! * [`UdpSocket`], made by [`UdpSocket::listener`] or [`UdpSocket::relay`];
//! * [`RecvBatch`], which `recvmmsg` fills and which yields [`Datagram`]s;
//! * [`SendBatch`], which collects datagrams, most of them ranges of a
//!   `RecvBatch`, and sends them in runs;
//! * [`Epoll`], a level-triggered set of sockets, and [`Ticker`], a timer to
//!   wait for beside them;
//! * [`verdict`], which says what an error of a socket means for its owner;
//! * [`capabilities`], [`interface_addresses`], [`default_route_source`],
//!   [`descriptor_limit`], [`raise_descriptor_limit`], [`nap`], [`set_timer_slack`] and
//!   [`release_freed_memory`], what a server asks of its host;
//! * `Watched` (feature `tokio`), readiness of a socket, an `Epoll` or a
//!   `Ticker` from a tokio runtime.
//!
//! Nothing here knows STUN or TURN. Nothing here blocks but [`nap`] and an
//! [`Epoll::wait`] that was asked to. In the steady state nothing allocates.
//!
//! ```
//! use std::rc::Rc;
//! use turn_udp::{Destination, ListenerOptions, RecvBatch, SendBatch, UdpSocket};
//!
//! # fn main() -> std::io::Result<()> {
//! let socket = Rc::new(UdpSocket::listener("127.0.0.1:0".parse().unwrap(), &ListenerOptions::default())?);
//! let (mut received, mut replies) = (RecvBatch::new(32), SendBatch::new());
//! let fill = received.fill(&socket, 32)?;
//! for datagram in received.datagrams(fill.slots) {
//!     let echo = datagram.at.range(0..datagram.bytes.len());
//!     replies.push(&socket, Destination::to(datagram.from), b"", echo);
//! }
//! replies.flush(&mut received, |_, to, error| eprintln!("{}: {error}", to.to));
//! received.clear();
//! # Ok(())
//! # }
//! ```
//!
//! This crate is the one place for `unsafe` outside the kernel fast path: one
//! system call a block, behind a safe signature.

#[cfg(not(target_os = "linux"))]
compile_error!("turn-udp speaks to the Linux UDP stack");

mod address;
mod clock;
mod control;
mod datagram;
mod epoll;
mod faults;
mod interfaces;
mod limits;
mod memory;
mod message;
mod options;
mod probe;
mod recv;
mod run;
mod send;
mod socket;
mod transmit;
mod verdict;
#[cfg(feature = "tokio")]
mod watched;

pub use clock::nap::{nap, set_timer_slack};
pub use clock::ticker::Ticker;
pub use datagram::{Datagram, Datagrams, Payload, PayloadAt};
pub use epoll::{Epoll, Ready};
pub use interfaces::{InterfaceAddress, default_route_source, interface_addresses};
pub use limits::{descriptor_limit, raise_descriptor_limit};
pub use memory::release_freed_memory;
pub use options::{ListenerOptions, RelayOptions};
pub use probe::{Capabilities, capabilities};
pub use recv::{Fill, RecvBatch};
pub use run::{MAX_RUN_BYTES, MAX_SEGMENTS};
pub use send::{Destination, Flushed, SendBatch};
pub use socket::UdpSocket;
pub use verdict::{Role, SendError, Verdict, verdict};
#[cfg(feature = "tokio")]
pub use watched::{Watch, Watched};
