//! What a client sees of a TURN server, whoever wrote it: realm, relayed addresses, and which peers it
//! may reach.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turn_client::{AllocateOptions, Client, Credentials, Error, Wire};
use turn_codec::attribute::Realm;
use turn_codec::{AddressFamily, Message};

use super::packets::bare_allocate;
use super::scripted::connect;

/// What a client sees from one address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The realm of its challenge; `None` where it does not challenge.
    pub realm: Option<String>,
    /// Where an allocation that names no address family is, or the code of the refusal.
    pub relayed: Result<IpAddr, u16>,
    /// The same for each family by its name.
    pub relayed_of: [Result<IpAddr, u16>; 2],
    /// The code that CreatePermission gets for a peer; 200 is success.
    pub verdicts: BTreeMap<IpAddr, u16>,
}

/// The port of every peer that is asked for: nobody listens there.
const PEER_PORT: u16 = 40_000;

const SOON: Duration = Duration::from_secs(5);

impl Look {
    /// Looks at a server over UDP, and asks it for these peers.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn at(server: SocketAddr, credentials: &Credentials, peers: &[IpAddr]) -> Self {
        let mut verdicts = BTreeMap::new();
        let relayed_of = [AddressFamily::Ipv4, AddressFamily::Ipv6].map(|family| {
            let mut client = connect(server, credentials.clone());
            let relayed = relayed(&mut client, Some(family));
            let of_family = peers.iter().filter(|peer| AddressFamily::of_ip(peer) == family);
            for peer in of_family {
                let code = match &relayed {
                    Ok(_) => verdict(&mut client, *peer),
                    Err(code) => *code,
                };
                verdicts.insert(*peer, code);
            }
            let _ = client.refresh(Duration::ZERO);
            relayed
        });
        let mut client = connect(server, credentials.clone());
        let relayed = relayed(&mut client, None);
        let _ = client.refresh(Duration::ZERO);
        Self { realm: realm(server), relayed, relayed_of, verdicts }
    }
}

/// The realm that a stranger is told.
///
/// # Panics
/// When the server does not answer.
pub fn realm(server: SocketAddr) -> Option<String> {
    let wire = Wire::connect(SocketAddr::new(server.ip(), 0), server).expect("a socket");
    wire.send(&bare_allocate(1)).expect("a request can be sent");
    let answer = wire.receive(SOON).expect("a socket").expect("an answer to an Allocate request");
    let message = Message::parse(&answer).expect("a STUN message");
    message.get::<Realm<'_>>().ok().flatten().map(|realm| realm.0.to_owned())
}

fn relayed(client: &mut Client, family: Option<AddressFamily>) -> Result<IpAddr, u16> {
    let allocation = client.allocate(&AllocateOptions { family, ..AllocateOptions::default() });
    allocation.map(|allocation| allocation.relayed.ip()).map_err(|error| code(&error))
}

fn verdict(client: &mut Client, peer: IpAddr) -> u16 {
    // Not ChannelBind: to coturn two addresses of its own can be one peer, which has one channel.
    let permitted = client.create_permission(&[SocketAddr::new(peer, PEER_PORT)]);
    permitted.map_or_else(|error| code(&error), |()| 200)
}

fn code(error: &Error) -> u16 {
    error.code().unwrap_or_else(|| panic!("no answer: {error}")).get()
}
