//! A client's connection: plain TCP, or TLS with rustls.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

/// A connection, with TLS or without.
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
}

impl Wire {
    /// Takes the next connection, with its handshake.
    pub(crate) fn accept(
        listener: &TcpListener,
        tls: Option<Arc<ServerConfig>>,
    ) -> anyhow::Result<Self> {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let mut tls = tls.map(ServerConnection::new).transpose()?.map(Box::new);
        if let Some(tls) = &mut tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut socket)?;
            }
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket, tls })
    }

    /// Reads once; the end of a stream is an error.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let socket = &mut self.socket;
        let Some(tls) = &mut self.tls else { return at_least_one(socket.read(room)?) };
        at_least_one(tls.read_tls(socket)?)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        let mut read = 0;
        while let Some(room) = room.get_mut(read..).filter(|room| !room.is_empty()) {
            match tls.reader().read(room) {
                Ok(count) => read += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Writes what the kernel must take at once.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(bytes) };
        tls.writer().write_all(bytes)?;
        tls.write_tls(&mut self.socket)?;
        Ok(())
    }
}

fn at_least_one(read: usize) -> io::Result<usize> {
    if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}

/// Whether this is the end of a connection.
pub(crate) fn has_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// A certificate made for this run, which nobody has to believe.
pub(crate) fn any_identity() -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes())?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
