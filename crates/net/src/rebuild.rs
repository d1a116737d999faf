//! A listener whose socket has failed is bound anew, with a back-off of up to
//! five seconds; the others run on `[R12]`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use turn_udp::{ListenerOptions, UdpSocket};

use crate::packets::Errand;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Binds until it succeeds, then hands the socket to the packet task.
pub(crate) async fn rebuild(
    slot: usize,
    address: SocketAddr,
    options: ListenerOptions,
    done: mpsc::UnboundedSender<Errand>,
) {
    let mut wait = FIRST_WAIT;
    loop {
        tokio::time::sleep(wait).await;
        let bound: io::Result<_> = UdpSocket::listener(address, &options);
        if let Ok(socket) = bound {
            // The packet task ends only with the shard.
            let _ = done.send(Errand::Rebuilt(slot, socket));
            return;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
