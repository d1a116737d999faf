//! Users that somebody else knows: a finder that answers at once, later, never, or not at all, and
//! the end of what a disabled credential has opened.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use turn_codec::attribute::{Nonce, Realm as RealmAttribute, RequestedTransport, Username};
use turn_codec::{Class, Message, MessageWriter, Method, TransactionId};
use turn_credentials::LongTermKey;
use turn_engine::{FoundUser, KeyAnswer, Keyring, Realm, RealmId, TimeLimitedRules, Transport};
use turn_net::{KeyFinder, KeySlip};

use crate::client::{Client, error_of, is_success};
use crate::server::{Server, Setup, closed_realm};

const REALM: &str = "localhost";
const PASSWORD: &str = "of the store";

/// What happens to a slip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It is answered on the shard's own thread.
    AtOnce,
    /// It is answered by another thread, a little later.
    Later,
    /// It is dropped.
    Dropped,
}

/// Knows "sam" until it is told to forget him.
#[derive(Debug)]
struct Finder {
    manner: Manner,
    is_known: Mutex<bool>,
    asked: Mutex<Vec<(RealmId, String)>>,
}

impl Finder {
    fn new(manner: Manner) -> Arc<Self> {
        let (is_known, asked) = (Mutex::new(true), Mutex::default());
        Arc::new(Self { manner, is_known, asked })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn look_up(&self, name: &str) -> KeyAnswer {
        if name != "sam" || !*self.is_known.lock().unwrap() {
            return KeyAnswer::Unknown;
        }
        let md5 = Some(LongTermKey::md5(name, REALM, PASSWORD));
        KeyAnswer::Found(FoundUser { md5, ..FoundUser::default() })
    }
}

impl KeyFinder for Finder {
    fn find(&self, realm: RealmId, name: &str, slip: KeySlip) {
        self.asked.lock().unwrap().push((realm, name.to_owned()));
        let answer = self.look_up(name);
        match self.manner {
            Manner::AtOnce => slip.answer(answer),
            Manner::Later => {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    slip.answer(answer);
                });
            }
            Manner::Dropped => drop(slip),
        }
    }
}

fn realm() -> Realm {
    let mut keyring = Keyring::new(TimeLimitedRules::default());
    keyring.ask_stores(false);
    Realm { keyring, ..closed_realm(REALM) }
}

fn start(shards: u8, keys: Option<Arc<dyn KeyFinder>>) -> Server {
    let transports = vec![Transport::Udp, Transport::Tcp, Transport::Tls];
    Setup { shards, realms: vec![realm()], keys, transports, ..Setup::default() }.start()
}

/// Allocates with credentials; the code of the answer, or `None` for success.
fn allocate<S: Read + Write>(client: &mut Client<S>, name: &str) -> Option<u16> {
    let challenge = client.ask(Method::ALLOCATE, &[&RequestedTransport::UDP]);
    assert_eq!(error_of(&challenge), Some(401));
    let challenge = Message::parse(&challenge).unwrap();
    let nonce = challenge.get::<Nonce<'_>>().unwrap().unwrap();
    let mut buffer = [0; 512];
    let id = TransactionId::new(*b"with a proof");
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::ALLOCATE, id).unwrap();
    writer.push(&RequestedTransport::UDP).unwrap();
    writer.push(&Username(name)).unwrap();
    writer.push(&RealmAttribute(REALM)).unwrap();
    writer.push(&nonce).unwrap();
    writer.integrity(LongTermKey::md5(name, REALM, PASSWORD).as_bytes()).unwrap();
    client.send(writer.finish());
    let answer = client.receive().expect("an answer");
    if is_success(&answer) { None } else { error_of(&answer) }
}

#[test]
fn user_that_the_finder_knows_allocates_over_every_transport() {
    for manner in [Manner::AtOnce, Manner::Later] {
        let finder = Finder::new(manner);
        let server = start(2, Some(finder.clone()));
        assert_eq!(allocate(&mut server.udp(), "sam"), None, "{manner:?}");
        let (mut tcp, mut tls) = (server.tcp(), server.tls());
        assert_eq!(allocate(&mut tcp, "sam"), None, "{manner:?}");
        assert_eq!(allocate(&mut tls, "sam"), None, "{manner:?}");
        assert_eq!(allocate(&mut server.udp(), "eve"), Some(401), "{manner:?}");
        let asked = finder.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|(realm, _)| *realm == RealmId(0)));
        assert_eq!((server.count("key_lookups"), server.allocations()), (4, 3));
    }
}

#[test]
fn r16_dropped_slip_and_no_finder_at_all_are_a_500_at_once() {
    let dropping: Arc<dyn KeyFinder> = Finder::new(Manner::Dropped);
    for keys in [Some(dropping), None] {
        let server = start(1, keys);
        let started = Instant::now();
        assert_eq!(allocate(&mut server.udp(), "sam"), Some(500));
        assert_eq!(allocate(&mut server.tcp(), "sam"), Some(500));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        assert_eq!(server.count("key_lookups_unavailable"), 2);
    }
}

/// Says nothing, and keeps the slips.
#[derive(Debug, Default)]
struct Silent(Mutex<Vec<KeySlip>>);

impl KeyFinder for Silent {
    fn find(&self, _: RealmId, _: &str, slip: KeySlip) {
        self.0.lock().unwrap().push(slip);
    }
}

#[test]
fn r16_finder_that_never_answers_is_a_500_after_five_seconds() {
    let silent = Arc::new(Silent::default());
    let server = start(1, Some(silent.clone()));
    let started = Instant::now();
    assert_eq!(allocate(&mut server.udp(), "sam"), Some(500));
    let took = started.elapsed();
    assert!((4..9).contains(&took.as_secs()), "{took:?}");
    // What comes after it means nothing, nor does what comes after the end.
    let slips: Vec<_> = silent.0.lock().unwrap().drain(..).collect();
    assert_eq!(slips.len(), 1);
    drop(server);
    drop(slips);
}

#[test]
fn disabled_credential_ends_its_allocations_on_every_shard() {
    let finder = Finder::new(Manner::AtOnce);
    let server = start(2, Some(finder.clone()));
    let mut sams: Vec<_> = (0..10).map(|_| server.udp()).collect();
    let mut streams: Vec<_> = (0..10).map(|_| server.tcp()).collect();
    assert!(sams.iter_mut().all(|client| allocate(client, "sam").is_none()));
    assert!(streams.iter_mut().all(|client| allocate(client, "sam").is_none()));
    let end = |user: &'static str| {
        server.control(async |fleet| fleet.end_allocations_of(RealmId(0), user).await).unwrap()
    };
    assert_eq!(end("ann"), 0);
    *finder.is_known.lock().unwrap() = false;
    assert_eq!((end("sam"), end("sam")), (20, 0));
    assert_eq!(server.allocations(), 0);
    let asked = finder.asked();
    assert_eq!(allocate(&mut server.udp(), "sam"), Some(401));
    assert_eq!(finder.asked(), asked + 1);
}
