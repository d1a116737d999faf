//! Handshakes with `openssl s_client`, a client that nobody here wrote, over sockets of the
//! loopback interface. The program comes with Debian's package `openssl`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is a failed test"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::{Direction, Server};
use turn_dtls::{DropReason, Limits, Path, Received, Tally};

/// Which datagrams get lost; the count starts anew with each client.
type Loss = fn(Direction, usize) -> bool;

/// A server that echoes on a socket of its own, until it is dropped.
struct Echo {
    address: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    /// Datagrams that came before any session for them.
    strays: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(loss: Loss) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let strays = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn({
            let (stop, tally, strays) =
                (Arc::clone(&stop), Arc::clone(&tally), Arc::clone(&strays));
            move || {
                let mut server = Server::new(Limits::default());
                server.echoes = true;
                let mut last = None;
                let (mut up, mut down) = (0, 0);
                let mut buffer = [0; 2048];
                while !stop.load(Ordering::Relaxed) {
                    let received = socket.recv_from(&mut buffer);
                    server.now = Instant::now();
                    if let Ok((len, client)) = received {
                        if last.replace(client) != Some(client) {
                            (up, down) = (0, 0);
                        }
                        up += 1;
                        if !loss(Direction::Up, up) {
                            let path = Path { client, server: address };
                            let received = server.receive(path, &buffer[..len]);
                            if received == Received::Dropped(DropReason::UnknownClient) {
                                strays.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    server.sessions.expire(server.now);
                    for (path, datagram) in server.drain() {
                        down += 1;
                        if !loss(Direction::Down, down) {
                            socket.send_to(&datagram, path.client).unwrap();
                        }
                    }
                    *tally.lock().unwrap() = server.sessions.tally();
                }
            }
        });
        Self { address, stop, tally, strays, thread: Some(thread) }
    }

    fn tally(&self) -> Tally {
        *self.tally.lock().unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// Runs `openssl s_client` until it has said a word and heard it back, or 10 s have passed; what
/// it wrote.
fn word_through(echo: &Echo, options: &[&str]) -> Result<String, String> {
    const WORD: &str = "a word for the echo";
    let mut child = Command::new("openssl")
        .args(["s_client", "-dtls1_2", "-connect", &echo.address.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`openssl` runs; Debian's package is `openssl`");
    let mut input = child.stdin.take().unwrap();
    input.write_all(WORD.as_bytes()).unwrap();
    input.write_all(b"\n").unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn({
        let heard = Arc::clone(&heard);
        move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        }
    });
    let end = Instant::now() + Duration::from_secs(10);
    let mut through = false;
    while !through && Instant::now() < end && is_running(&mut child) {
        std::thread::sleep(Duration::from_millis(5));
        through = heard.lock().unwrap().contains(WORD);
    }
    drop(input);
    let _ = child.kill();
    child.wait().unwrap();
    reader.join().unwrap();
    let heard = heard.lock().unwrap().clone();
    if through { Ok(heard) } else { Err(heard) }
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

#[test]
fn twenty_of_twenty_handshakes() {
    let echo = Echo::start(|_, _| false);
    let mut slow = 0;
    for n in 1..=20 {
        let start = Instant::now();
        let output = word_through(&echo, &[]).unwrap_or_else(|output| panic!("{n}: {output}"));
        slow += u32::from(start.elapsed() > Duration::from_millis(900));
        assert!(output.contains("ECDHE-ECDSA-CHACHA20-POLY1305"), "{output}");
    }
    // Where the client took a flight for a replay, each would wait for its timer of 1 s.
    assert!(slow <= 5, "{slow} of 20 were slow");
    let Tally { accepted, connected, .. } = echo.tally();
    assert_eq!((accepted, connected), (20, 20));
}

#[test]
fn a_client_without_chacha20_gets_aes_gcm() {
    let echo = Echo::start(|_, _| false);
    let output = word_through(&echo, &["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]).unwrap();
    assert!(output.contains("ECDHE-ECDSA-AES256-GCM-SHA384"), "{output}");
}

#[test]
fn a_hello_in_fragments_is_taken() {
    let echo = Echo::start(|_, _| false);
    // The smallest that OpenSSL keeps to; its hello is longer.
    word_through(&echo, &["-mtu", "256", "-alpn", &["stun.turn"; 20].join(",")])
        .unwrap_or_else(|output| panic!("{output}"));
    assert!(echo.strays.load(Ordering::Relaxed) > 0, "there were later fragments");
}

#[test]
fn lost_datagrams_are_sent_again() {
    const LOSSES: [Loss; 6] = [
        |direction, n| direction == Direction::Up && n == 1,
        |direction, n| direction == Direction::Up && n == 2,
        |direction, n| direction == Direction::Up && n == 3,
        |direction, n| direction == Direction::Down && n == 1,
        |direction, n| direction == Direction::Down && n == 2,
        |direction, n| direction == Direction::Down && n == 3,
    ];
    std::thread::scope(|scope| {
        for (n, loss) in LOSSES.into_iter().enumerate() {
            scope.spawn(move || {
                let echo = Echo::start(loss);
                word_through(&echo, &[]).unwrap_or_else(|output| panic!("{n}: {output}"));
            });
        }
    });
}
