//! The admin door over a Unix socket, and the command line's client.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use turn_admin::client::{Client, ClientError};
use turn_admin::{AdminSocket, DrainState, Ended, serve_admin_socket};

use crate::fake::{Fake, ID};
use crate::raw::exchange;

#[tokio::test]
async fn the_client_knows_every_route() {
    let door = Door::open();
    let client = door.client().await;
    assert_eq!(client.status().await.unwrap().pid, 4711);
    assert_eq!(client.version().await.unwrap().version, "1.2.3");
    let allocations = client.allocations().await.unwrap();
    assert_eq!(allocations.first().map(|row| row.id.as_str()), Some(ID));
    assert!(client.metrics().await.unwrap().contains("turn_build_info"));
    assert_eq!(client.drain_status().await.unwrap().state, DrainState::Serving);
    assert_eq!(client.drain().await.unwrap().state, DrainState::Draining);
    assert_eq!(client.drain_status().await.unwrap().state, DrainState::Draining);
}

#[tokio::test]
async fn an_allocation_is_ended_by_its_id_and_by_nothing_else() {
    let door = Door::open();
    let client = door.client().await;
    assert_eq!(client.end_allocation(ID).await.unwrap(), Ended::Done);
    assert_eq!(client.end_allocation("43").await.unwrap(), Ended::Unknown);
    for text in ["x", "", "..", "../status", "4 2", "42\r\nX: y", "%34%32"] {
        assert_eq!(client.end_allocation(text).await.unwrap(), Ended::NotAnId, "{text:?}");
    }
    assert_eq!(door.fake.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_reload_tells_what_it_did_or_every_mistake() {
    let door = Door::open();
    let client = door.client().await;
    let report = client.reload().await.unwrap().unwrap();
    assert_eq!((report.changed.len(), report.needs_restart.len()), (1, 1));
    door.fake.is_broken.store(true, Ordering::SeqCst);
    assert_eq!(client.reload().await.unwrap().unwrap_err(), ["line 3", "line 5"]);
}

#[tokio::test]
async fn r18_a_reload_runs_to_its_end_though_nobody_waits_for_it() {
    let door = Door::open();
    door.fake.reload_takes.store(300, Ordering::SeqCst);
    let mut client = UnixStream::connect(&door.path).await.unwrap();
    client.write_all(b"POST /reload HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(client);
    assert_eq!(door.fake.reloads.load(Ordering::SeqCst), 0, "it is still under way");
    let done = async {
        while door.fake.reloads.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(2), done).await.expect("the reload is done");
}

#[tokio::test]
async fn a_page_behind_a_proxy_of_the_socket_is_refused() {
    let door = Door::open();
    let stream = UnixStream::connect(&door.path).await.unwrap();
    let text = "POST /drain HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n";
    assert_eq!(exchange(stream, text).await.status, 403);
    assert_eq!(door.fake.drains.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn shut_down_the_door_leaves_no_file_and_the_client_says_so() {
    let door = Door::open();
    let client = door.client().await;
    let Door { path, stop, task, .. } = door;
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(!path.exists());
    let error = client.status().await.unwrap_err();
    assert!(matches!(&error, ClientError::NoServer { path: named } if *named == path), "{error}");
    assert!(error.to_string().contains("--socket"), "{error}");
}

#[tokio::test]
async fn something_else_behind_the_socket_is_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let client = Client::connect(&path).await.unwrap();
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Garbled { .. }), "{error}");
}

struct Door {
    _place: TempDir,
    path: PathBuf,
    fake: Arc<Fake>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Door {
    fn open() -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        let (fake, socket) = (Fake::new(), AdminSocket::bind(&path).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let control = Arc::clone(&fake);
        let task = tokio::spawn(serve_admin_socket(socket, control, shutdown));
        Self { _place: place, path, fake, stop, task }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.path).await.unwrap()
    }
}
