//! What a STUN server sees: one Binding transaction (RFC 8489 section 6.2.1).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use turn_codec::attribute::XorMappedAddress;
use turn_codec::{Class, Message, MessageWriter, Method, TransactionId};

use crate::name;
use crate::public::objection;

/// How long everything may take, resolving the name included.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first pause before a retransmission; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// After how long the next server is asked too.
const NEXT_SERVER: Duration = Duration::from_millis(900);

/// The address that a packet from `bound` seems to come from.
///
/// # Errors
/// Nobody answers, or with an address that nobody can reach.
pub(crate) async fn mapped(server: &str, bound: IpAddr) -> Result<IpAddr, String> {
    let late = || format!("{server} does not answer within {} s", PATIENCE.as_secs());
    let transaction = async {
        let addresses = name::server(server).await?;
        let address = addresses.into_iter().find(|address| address.is_ipv4() == bound.is_ipv4());
        let address = address.ok_or_else(|| format!("{server} has no address of the family"))?;
        let said =
            |error: std::io::Error| format!("{server} cannot be asked from {bound}: {error}");
        let socket = UdpSocket::bind(SocketAddr::new(bound, 0)).await.map_err(said)?;
        // Only this server's packets arrive.
        socket.connect(address).await.map_err(said)?;
        let public = ask(&socket).await?;
        match objection(public, bound) {
            Some(objection) => Err(format!("{server} answers {public}, which is {objection}")),
            None => Ok(public),
        }
    };
    timeout(PATIENCE, transaction).await.unwrap_or_else(|_| Err(late()))
}

/// The same by the first of several servers that answers; each one gets some time for itself.
///
/// # Errors
/// What the last one says, where none answers.
pub(crate) async fn mapped_by_any(servers: &[String], bound: IpAddr) -> Result<IpAddr, String> {
    let mut asked = tokio::task::JoinSet::new();
    let mut waiting = servers.iter();
    let mut last = "no STUN server is known".to_owned();
    loop {
        if let Some(server) = waiting.next() {
            let server = server.clone();
            asked.spawn(async move { mapped(&server, bound).await });
        }
        let has_more = waiting.len() > 0;
        tokio::select! {
            answer = asked.join_next() => match answer {
                Some(Ok(Ok(public))) => return Ok(public),
                Some(Ok(Err(reason))) => last = reason,
                Some(Err(error)) => last = error.to_string(),
                None => return Err(last),
            },
            () = sleep(NEXT_SERVER), if has_more => {}
        }
    }
}

/// Sends the request until it is answered; the caller sets the time.
async fn ask(socket: &UdpSocket) -> Result<IpAddr, String> {
    let mut id = [0; 12];
    getrandom::fill(&mut id).map_err(|error| format!("no random numbers: {error}"))?;
    let id = TransactionId::new(id);
    let mut buffer = [0; 64];
    let request = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, id)
        .map_err(|_| "a Binding request has no room".to_owned())?;
    let request = request.finish();
    let mut pause = FIRST_PAUSE;
    loop {
        // An error of an earlier packet (ICMP) may be reported here; the next one may get through.
        let _ = socket.send(request).await;
        let next = Instant::now() + pause;
        pause *= 2;
        tokio::select! {
            public = answer(socket, id) => return Ok(public),
            () = sleep_until(next) => {}
        }
    }
}

/// The address in the next success response of this transaction; all else is nobody's.
async fn answer(socket: &UdpSocket, id: TransactionId) -> IpAddr {
    let mut buffer = [0; 1_500];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let packet = buffer.get(..length).unwrap_or_default();
                if let Some(public) = read(packet, id) {
                    return public;
                }
            }
            // ICMP: said once for each request, so this does not spin.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

fn read(packet: &[u8], id: TransactionId) -> Option<IpAddr> {
    let message = Message::parse(packet).ok()?;
    let is_ours = message.class() == Class::Success
        && message.method() == Method::BINDING
        && message.transaction_id() == id;
    // A MAPPED-ADDRESS alone is not looked at: NATs rewrite it (RFC 8489 section 14.2).
    let XorMappedAddress(mapped) = message.get().ok().flatten().filter(|_| is_ours)?;
    Some(mapped.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_stun::{FakeStun, Say};

    #[tokio::test]
    async fn the_mapped_address_is_the_public_one() {
        let server = FakeStun::start(&[Say::Mapped(PUBLIC)]);
        assert_eq!(mapped(&server.name(), LOCAL).await, Ok(PUBLIC));
    }

    #[tokio::test]
    async fn a_request_that_is_lost_is_sent_again() {
        let server = FakeStun::start(&[Say::Nothing, Say::Mapped(PUBLIC)]);
        assert_eq!(mapped(&server.name(), LOCAL).await, Ok(PUBLIC));
        assert_eq!(server.asked(), 2);
    }

    #[tokio::test]
    async fn what_is_no_answer_of_this_transaction_is_passed_over() {
        let lies = [Say::Garbage, Say::OtherTransaction(LIE), Say::Error, Say::PlainMapped(LIE)];
        let server = FakeStun::start(&[Say::All(lies.to_vec(), PUBLIC)]);
        assert_eq!(mapped(&server.name(), LOCAL).await, Ok(PUBLIC));
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn an_address_that_nobody_can_reach_is_refused() {
        let server = FakeStun::start(&[Say::Mapped("10.9.9.9".parse().unwrap())]);
        let error = mapped(&server.name(), LOCAL).await.unwrap_err();
        assert!(error.contains("10.9.9.9, which is private"), "{error}");
    }

    #[tokio::test]
    async fn silence_ends() {
        let server = FakeStun::start(&[Say::Nothing]);
        let begun = Instant::now();
        let error = mapped(&server.name(), LOCAL).await.unwrap_err();
        assert!(error.ends_with("does not answer within 3 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(6));
        assert!(server.asked() >= 3);
    }

    #[tokio::test]
    async fn of_several_servers_the_first_that_answers_counts() {
        let (silent, good) =
            (FakeStun::start(&[Say::Nothing]), FakeStun::start(&[Say::Mapped(PUBLIC)]));
        let unused = FakeStun::start(&[Say::Mapped(LIE)]);
        let names = |servers: &[&FakeStun]| servers.iter().map(|s| s.name()).collect::<Vec<_>>();
        assert_eq!(mapped_by_any(&names(&[&good, &unused]), LOCAL).await, Ok(PUBLIC));
        assert_eq!(unused.asked(), 0, "nobody is asked without need");
        assert_eq!(mapped_by_any(&names(&[&silent, &good]), LOCAL).await, Ok(PUBLIC));
        assert!(mapped_by_any(&[], LOCAL).await.is_err());
    }

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
    const LIE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 66));
}
