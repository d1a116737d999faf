//! A STUN server for tests that says what it is told to.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use turn_codec::attribute::{ErrorCode, MappedAddress, XorMappedAddress};
use turn_codec::{Class, Message, MessageWriter, Method, StatusCode, TransactionId};

/// Answers one request after the other as it is told, and all further ones like the last.
pub(crate) struct FakeStun {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    says: Arc<Mutex<Vec<Say>>>,
}

#[derive(Clone)]
pub(crate) enum Say {
    Mapped(IpAddr),
    /// In MAPPED-ADDRESS, which NATs rewrite.
    PlainMapped(IpAddr),
    OtherTransaction(IpAddr),
    Error,
    Garbage,
    Nothing,
    /// Each of these, and then the truth.
    All(Vec<Self>, IpAddr),
}

impl FakeStun {
    pub(crate) fn start(says: &[Say]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let says = Arc::new(Mutex::new(says.to_vec()));
        let (count, queue) = (Arc::clone(&asked), Arc::clone(&says));
        thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::SeqCst);
                let id = Message::parse(&buffer[..length]).unwrap().transaction_id();
                let say = {
                    let mut says = queue.lock().unwrap();
                    if says.len() > 1 { says.remove(0) } else { says[0].clone() }
                };
                for packet in packets(say, id) {
                    socket.send_to(&packet, from).unwrap();
                }
            }
        });
        Self { address, asked, says }
    }

    /// From now on it says this.
    pub(crate) fn say(&self, say: Say) {
        *self.says.lock().unwrap() = vec![say];
    }

    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn packets(say: Say, id: TransactionId) -> Vec<Vec<u8>> {
    let mut buffer = [0; 200];
    let at = |address| SocketAddr::new(address, 4_242);
    match say {
        Say::Mapped(address) => {
            let mut answer = message(&mut buffer, Class::Success, id);
            answer.push(&XorMappedAddress(at(address))).unwrap();
            vec![answer.finish().to_vec()]
        }
        Say::PlainMapped(address) => {
            let mut answer = message(&mut buffer, Class::Success, id);
            answer.push(&MappedAddress(at(address))).unwrap();
            vec![answer.finish().to_vec()]
        }
        Say::OtherTransaction(address) => {
            packets(Say::Mapped(address), TransactionId::new([7; 12]))
        }
        Say::Error => {
            let mut answer = message(&mut buffer, Class::Error, id);
            answer.push(&ErrorCode { code: StatusCode::BAD_REQUEST, reason: "no" }).unwrap();
            vec![answer.finish().to_vec()]
        }
        Say::Garbage => {
            vec![Vec::new(), vec![0xff; 20], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]
        }
        Say::Nothing => Vec::new(),
        Say::All(lies, truth) => {
            let lies = lies.into_iter().chain([Say::Mapped(truth)]);
            lies.flat_map(|say| packets(say, id)).collect()
        }
    }
}

fn message(buffer: &mut [u8], class: Class, id: TransactionId) -> MessageWriter<'_> {
    MessageWriter::new(buffer, class, Method::BINDING, id).unwrap()
}
