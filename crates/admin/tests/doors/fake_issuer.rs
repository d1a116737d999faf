//! An issuer that remembers what was wished for, and the credentials door before it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use turn_admin::{
    BrowserKey, CredentialKeys, CredentialSettings, IssueError, Issued, Issuer, ServerKey, Wish,
    serve_credentials,
};

use crate::raw::{Answer, request};

/// The fake.
#[derive(Debug, Default)]
pub(crate) struct FakeIssuer {
    pub(crate) wishes: Mutex<Vec<Wish>>,
    pub(crate) refuses: Mutex<Option<IssueError>>,
}

impl FakeIssuer {
    /// The last wish.
    pub(crate) fn last(&self) -> Wish {
        self.wishes.lock().unwrap().last().cloned().expect("a wish")
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.wishes.lock().unwrap().len()
    }
}

impl Issuer for FakeIssuer {
    fn issue(&self, wish: Wish) -> Result<Issued, IssueError> {
        if let Some(error) = *self.refuses.lock().unwrap() {
            return Err(error);
        }
        let user = wish.user.clone().unwrap_or_default();
        let tag = wish.tag.as_ref().map(|tag| format!("#{tag}")).unwrap_or_default();
        let issued = Issued {
            username: format!("1588300977:{user}{tag}"),
            credential: "the password".to_owned(),
            ttl: wish.ttl,
            expires_at: 1_588_300_977,
            stun: vec!["stun:turn.example:3478".to_owned()],
            turn: vec![
                "turn:turn.example:3478?transport=udp".to_owned(),
                "turns:turn.example:5349?transport=tcp".to_owned(),
            ],
        };
        self.wishes.lock().unwrap().push(wish);
        Ok(issued)
    }
}

/// An open credentials door.
pub(crate) struct CredentialsDoor {
    pub(crate) address: SocketAddr,
    pub(crate) issuer: Arc<FakeIssuer>,
    pub(crate) keys: Arc<CredentialKeys>,
}

impl CredentialsDoor {
    pub(crate) async fn open(settings: &CredentialSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = Arc::new(FakeIssuer::default());
        let keys = Arc::new(CredentialKeys::new(settings).unwrap());
        let (for_it, by_it) = (Arc::clone(&keys), Arc::clone(&issuer));
        tokio::spawn(serve_credentials(listener, None, for_it, by_it, std::future::pending()));
        Self { address, issuer, keys }
    }

    /// One request with these header lines and this body.
    pub(crate) async fn ask(&self, route: &str, lines: &[&str], body: &str) -> Answer {
        request(self.address, &text(route, lines, body)).await
    }
}

/// A request.
pub(crate) fn text(route: &str, lines: &[&str], body: &str) -> String {
    let mut text = format!("{route} HTTP/1.1\r\nHost: turn.example\r\n");
    for line in lines {
        text.push_str(&format!("{line}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

/// One key of each kind.
pub(crate) fn settings() -> CredentialSettings {
    CredentialSettings {
        server_keys: vec![ServerKey {
            id: "app".to_owned(),
            key: "the key of the app".to_owned(),
            tenant: Some("acme".to_owned()),
            realm: Some("example.org".to_owned()),
        }],
        browser_keys: vec![
            BrowserKey {
                key: "pagekey1".to_owned(),
                origins: vec!["https://app.example".to_owned(), "http://localhost:8080".to_owned()],
                user: None,
                ttl: Some(Duration::from_secs(600)),
                tenant: None,
                realm: None,
            },
            BrowserKey {
                key: "pagekey2".to_owned(),
                origins: vec!["https://other.example/".to_owned()],
                user: Some("visitor".to_owned()),
                ttl: None,
                tenant: Some("other".to_owned()),
                realm: None,
            },
        ],
        ttl: Duration::from_secs(3600),
        max_ttl: Duration::from_secs(86_400),
        rate: None,
    }
}

/// The server key, as most clients bring it.
pub(crate) const BEARER: &str = "Authorization: Bearer the key of the app";
/// A page of the first browser key.
pub(crate) const ORIGIN: &str = "Origin: https://app.example";
