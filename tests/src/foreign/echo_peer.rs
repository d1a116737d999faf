//! `turnutils_peer`: a peer that sends every datagram back.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::ports::free_ports;
use super::process::{Running, coturn, until};

/// An echo peer on two ports in a row, for RTP and RTCP.
#[derive(Debug)]
pub struct EchoPeer {
    address: SocketAddr,
    _process: Running,
}

impl EchoPeer {
    /// Starts one on an address of this machine and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be started or does not answer.
    pub fn start(address: IpAddr) -> Self {
        let port = free_ports(address, 2);
        let mut command = coturn("turnutils_peer");
        command.args(["-p", &port.to_string(), "-L", &address.to_string()]);
        let process = Running::start(&mut command);
        let address = SocketAddr::new(address, port);
        if until(Duration::from_secs(10), || echoes(address)).is_err() {
            panic!("turnutils_peer on {address} does not answer: {}", process.output());
        }
        Self { address, _process: process }
    }

    /// Its address; the port above it echoes too.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whether a datagram comes back.
fn echoes(address: SocketAddr) -> bool {
    let attempt = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind((address.ip(), 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect(address)?;
        socket.send(b"are you there?")?;
        socket.recv(&mut [0; 64])
    };
    attempt().is_ok()
}
