//! Makes time-limited credentials for the credentials listener and the command line.
//!
//! The name is `EXPIRY:USER`, with `#TAG` behind the user where its maker wants usage counted under a
//! label; the password is base64(HMAC-SHA1(secret, name)), the TURN REST convention.

use std::time::{Duration, SystemTime};

use turn_admin::{IssueError, Issued, Issuer, Wish};
use turn_config::{Config, SharedSecret};
use turn_credentials::{UnixSeconds, mint};
use zeroize::Zeroizing;

use crate::banner::{stun_urls, turn_urls};
use crate::clock::unix_seconds;
use crate::learned::Learned;
use crate::reach::Reach;
use crate::running::Running;
use crate::state::TrialCredentials;

/// What credentials are made from.
#[derive(Debug, Clone, Copy)]
pub struct Mint<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// What was learned since, secrets of stores among it.
    pub learned: Option<&'a Learned>,
    /// Secrets of our own.
    pub trial: Option<&'a TrialCredentials>,
    /// Where clients reach the server.
    pub reach: &'a [Reach],
}

/// Stands between a user and a tag.
pub const TAG: char = '#';

impl Mint<'_> {
    /// Makes a credential that is good from now on.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, wish: &Wish, now: SystemTime) -> Result<Issued, IssueError> {
        let realm = wish.realm.as_deref().unwrap_or(&self.config.realm);
        let secret = self.secret(realm, wish.tenant.as_deref())?;
        let userid = userid(wish)?;
        let expires_at = unix_seconds(now).saturating_add(wish.ttl.as_secs());
        let separator = self.separator(realm);
        let (username, credential) =
            mint(secret.as_bytes(), userid.as_deref(), UnixSeconds(expires_at), separator);
        let reach = self.reach();
        Ok(Issued {
            username,
            credential,
            ttl: Duration::from_secs(wish.ttl.as_secs()),
            expires_at,
            stun: stun_urls(&reach),
            turn: turn_urls(&reach),
        })
    }

    /// The hosts of all URLs, or the one that the configuration wants in them.
    pub fn reach(&self) -> Vec<Reach> {
        let host = self.config.credentials.as_ref().and_then(|it| it.host.clone());
        let named = |reach: &Reach| match &host {
            Some(host) => Reach { hosts: vec![host.clone()], ..reach.clone() },
            None => reach.clone(),
        };
        self.reach.iter().map(named).collect()
    }

    /// The first secret of the realm that is the tenant's, or nobody's where none is named.
    fn secret(&self, realm: &str, tenant: Option<&str>) -> Result<Zeroizing<String>, IssueError> {
        let configured = if realm == self.config.realm {
            &self.config.auth.secrets
        } else {
            let named = self.config.realms.iter().find(|it| it.name == realm);
            &named.ok_or(IssueError::NoRealm)?.auth.secrets
        };
        let is_it = |secret: &&SharedSecret| secret.tenant.as_deref() == tenant;
        if let Some(secret) = configured.iter().find(is_it) {
            return Ok(Zeroizing::new(secret.secret.reveal().to_owned()));
        }
        if tenant.is_some() {
            return Err(IssueError::NoSecret);
        }
        let of_stores = self.learned.and_then(|learned| learned.catalog.realms.get(realm));
        if let Some(secret) = of_stores.and_then(|stored| stored.secrets.first()) {
            return Ok(secret.clone());
        }
        let trial = self.trial.filter(|_| realm == self.config.realm);
        trial
            .map(|trial| Zeroizing::new(trial.secret.reveal().to_owned()))
            .ok_or(IssueError::NoSecret)
    }

    fn separator(&self, realm: &str) -> char {
        let named = self.config.realms.iter().find(|it| it.name == realm);
        named.map_or(self.config.auth.separator, |named| named.auth.separator)
    }
}

/// The userid; none makes a bare expiry.
fn userid(wish: &Wish) -> Result<Option<String>, IssueError> {
    let fits = |text: &str| {
        !text.is_empty()
            && text.len() <= MOST_BYTES
            && !text.chars().any(|it| it.is_control() || it == TAG)
    };
    let user = wish.user.as_deref();
    let tag = wish.tag.as_deref();
    if user.into_iter().chain(tag).any(|text| !fits(text)) {
        return Err(IssueError::BadUser);
    }
    Ok(match (user, tag) {
        (None, None) => None,
        (Some(user), None) => Some(user.to_owned()),
        (Some(user), Some(tag)) => Some(format!("{user}{TAG}{tag}")),
        // A userid has a quota, and all who bear a tag are not one user.
        (None, Some(tag)) => Some(format!("{}{TAG}{tag}", random_user()?)),
    })
}

/// Bytes of a user or a tag; a USERNAME has 508 (RFC 8489 section 14.3).
const MOST_BYTES: usize = 200;

fn random_user() -> Result<String, IssueError> {
    let mut bytes = [0; 4];
    // Without randomness nothing else works either.
    getrandom::fill(&mut bytes).map_err(|_| IssueError::NoSecret)?;
    Ok(format!("{:08x}", u32::from_be_bytes(bytes)))
}

impl Issuer for Running {
    fn issue(&self, wish: Wish) -> Result<Issued, IssueError> {
        if self.drain.draining().is_some() {
            return Err(IssueError::Draining);
        }
        let (config, learned) = (self.config(), self.server.learned());
        let reach = self.server.reach();
        let mint = Mint {
            config: &config,
            learned: Some(&learned),
            trial: self.server.trial(),
            reach: &reach,
        };
        mint.issue(&wish, SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use turn_engine::Transport;

    use super::*;

    fn config(text: &str) -> Config {
        turn_config::from_str(text, Path::new("t")).unwrap()
    }

    fn wish(tenant: Option<&str>, user: Option<&str>, tag: Option<&str>) -> Wish {
        Wish {
            realm: None,
            tenant: tenant.map(Into::into),
            user: user.map(Into::into),
            tag: tag.map(Into::into),
            ttl: Duration::from_secs(600),
        }
    }

    #[test]
    fn a_credential_is_made_with_the_secret_of_its_tenant() {
        let config = config(
            "realm = 'r'\n[auth]\nsecrets = [{ secret = 'of app', tenant = 'app' }, 'of nobody']",
        );
        let reach =
            [Reach { transport: Transport::Udp, hosts: vec!["192.0.2.1".to_owned()], port: 3478 }];
        let mint_it = Mint { config: &config, learned: None, trial: None, reach: &reach };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let made = mint_it.issue(&wish(Some("app"), Some("ann"), Some("web")), now).unwrap();
        assert_eq!(made.username, "1600:ann#web");
        let (_, expected) = mint(b"of app", Some("ann#web"), UnixSeconds(1_600), ':');
        assert_eq!(made.credential, expected);
        assert_eq!(made.turn, ["turn:192.0.2.1:3478?transport=udp"]);
        assert_eq!(made.stun, ["stun:192.0.2.1:3478"]);
        let bare = mint_it.issue(&wish(None, None, None), now).unwrap();
        assert_eq!(bare.username, "1600");
        assert_eq!(bare.credential, mint(b"of nobody", None, UnixSeconds(1_600), ':').1);
        assert!(matches!(
            mint_it.issue(&wish(Some("x"), None, None), now),
            Err(IssueError::NoSecret)
        ));
        assert!(matches!(
            mint_it.issue(&wish(None, Some("a#b"), None), now),
            Err(IssueError::BadUser)
        ));
    }

    #[test]
    fn those_who_bear_a_tag_are_not_one_user() {
        let config = config("[auth]\nsecrets = ['a secret of the realm']");
        let mint = Mint { config: &config, learned: None, trial: None, reach: &[] };
        let name =
            || mint.issue(&wish(None, None, Some("web")), SystemTime::now()).unwrap().username;
        assert!(name().ends_with("#web") && name() != name());
    }
}
