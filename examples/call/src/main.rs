//! A call to try: a signalling server and one page, started by one command beside `turnserver`.
//!
//! ```text
//!  browser --HTTPS--> page/            the page, its script and style
//!          --WebSocket /room--> rooms  join, offer, answer, candidate, leave
//!                                 |
//!                          ice_servers: `turnserver credentials`, its [credentials] listener, a file
//! ```
//!
//! The media never comes here: it goes from browser to browser, through the relay where it must.
//!
//! Invariants: everything is bounded (rooms, members, connections, messages and their size); a page of
//! another origin gets no credentials; nothing that a browser sends ends the program.
#![forbid(unsafe_code)]

mod arguments;
mod certificate;
mod connections;
mod ice_servers;
mod member;
mod message;
mod page;
mod rooms;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::arguments::Arguments;
use crate::ice_servers::IceServers;
use crate::rooms::Rooms;

/// What every connection shares.
#[derive(Debug, Clone)]
struct Shared {
    rooms: Arc<Rooms>,
    ice_servers: Arc<IceServers>,
    members: Arc<Semaphore>,
}

/// Browsers at once.
const MOST_MEMBERS: usize = 2 * rooms::MOST_ROOMS;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    // Two providers may be linked in; this program has one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ice_servers = Arc::new(IceServers::new(arguments)?);
    let listener = TcpListener::bind(arguments.listen).await.with_context(|| {
        format!("cannot listen on {}; choose another --listen ADDRESS:PORT", arguments.listen)
    })?;
    let addresses = page_addresses(listener.local_addr()?);
    let acceptor = if arguments.http {
        None
    } else {
        let hosts: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        Some(TlsAcceptor::from(certificate::server_config(arguments, &hosts)?))
    };
    tell(&addresses, arguments, &ice_servers).await?;
    let members = Arc::new(Semaphore::new(MOST_MEMBERS));
    let shared = Shared { rooms: Arc::default(), ice_servers, members };
    let router = page::routes(Router::new()).route("/room", get(member::enter)).with_state(shared);
    connections::serve(listener, acceptor, router, ended()).await;
    Ok(())
}

/// Says where the page is, and whether a call will find a relay.
async fn tell(addresses: &[SocketAddr], arguments: &Arguments, source: &IceServers) -> Result<()> {
    let scheme = if arguments.http { "http" } else { "https" };
    let mut text = String::from("Open one of these in two browsers, choose the same room:\n");
    for address in addresses {
        let host = if address.ip().is_loopback() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        text.push_str(&format!("    {scheme}://{host}/\n"));
    }
    if !arguments.http && arguments.certificate.is_none() {
        text.push_str(
            "The certificate is one of its own: the browser warns once; go on (\"Advanced\").\n",
        );
    }
    match source.fetch("call-start").await {
        Ok(servers) => text.push_str(&format!("Relay: {}\n", servers.urls().join(" "))),
        Err(error) => text.push_str(&format!("No relay yet, asked again at each join: {error}\n")),
    }
    // Nobody may be reading any more, which is no reason to end.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

/// Where the page can be opened: the address that was chosen, or those that stand behind a wildcard.
fn page_addresses(bound: SocketAddr) -> Vec<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ips = [Some(loopback), default_address()];
    ips.into_iter().flatten().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// The address of the default route; nothing is sent.
fn default_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// Resolves at SIGINT or SIGTERM.
async fn ended() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
