//! `turnserver users` and `turnserver secrets`: who is in a store.

use std::fmt::Write as _;

use turn_credentials::{KeyAlgorithm, LongTermKey, StaticCredential, parse_static, prepare};
use turn_users::Keys;
use zeroize::Zeroizing;

use super::store::OpenStore;

/// Adds a user, or gives it another password. `must_be_there`: only the latter.
///
/// # Errors
/// Name or password cannot be used, or the store does not answer.
pub async fn put_user(
    store: &OpenStore,
    realm: &str,
    name: &str,
    password: &str,
    must_be_there: bool,
) -> Result<String, String> {
    let (realm, name) = (prepared(realm, "realm")?, prepared(name, "name")?);
    let keys = keys(&name, &realm, password)?;
    let done = store
        .write(async |writer| {
            if must_be_there {
                let users = writer.users(Some(&realm)).await?;
                if !users.contains(&(realm.clone(), name.clone())) {
                    return Ok(None);
                }
            }
            writer.prepare().await?;
            writer.put_user(&realm, &name, &keys).await.map(Some)
        })
        .await?;
    match done {
        Some(()) => Ok(format!("{name} of realm {realm} is in {}\n", store.name())),
        None => Err(unknown(&name, &realm, store)),
    }
}

/// Deletes a user.
///
/// # Errors
/// It is not there, or the store does not answer.
pub async fn delete_user(store: &OpenStore, realm: &str, name: &str) -> Result<String, String> {
    let (realm, name) = (prepared(realm, "realm")?, prepared(name, "name")?);
    if store.write(async |writer| writer.delete_user(&realm, &name).await).await? {
        Ok(format!("{name} of realm {realm} is out of {}\n", store.name()))
    } else {
        Err(unknown(&name, &realm, store))
    }
}

/// The users of a realm or of all, a line each: realm and name.
///
/// # Errors
/// The store does not answer.
pub async fn users(store: &OpenStore, realm: Option<&str>) -> Result<String, String> {
    let users = store.write(async |writer| writer.users(realm).await).await?;
    let mut text = String::new();
    for (realm, name) in users {
        // Writing to a String cannot fail. A name could hold anything, and this goes to a terminal.
        let _ = writeln!(text, "{}\t{}", realm.escape_debug(), name.escape_debug());
    }
    Ok(text)
}

/// Adds a shared secret.
///
/// # Errors
/// The store does not answer.
pub async fn add_secret(store: &OpenStore, realm: &str, secret: &str) -> Result<String, String> {
    let realm = prepared(realm, "realm")?;
    store
        .write(async |writer| {
            writer.prepare().await?;
            writer.add_secret(&realm, secret).await
        })
        .await?;
    Ok(format!("realm {realm} has another secret in {}\n", store.name()))
}

/// Deletes a shared secret, or all of the realm.
///
/// # Errors
/// There is none, or the store does not answer.
pub async fn delete_secrets(
    store: &OpenStore,
    realm: &str,
    secret: Option<&str>,
) -> Result<String, String> {
    let realm = prepared(realm, "realm")?;
    let gone = store.write(async |writer| writer.delete_secrets(&realm, secret).await).await?;
    if gone == 0 {
        return Err(format!("error: no such secret of realm {realm} is in {}", store.name()));
    }
    Ok(format!("realm {realm} has {gone} fewer in {}\n", store.name()))
}

/// The shared secrets of a realm or of all, a line each: realm and secret.
///
/// # Errors
/// The store does not answer.
pub async fn secrets(store: &OpenStore, realm: Option<&str>) -> Result<Zeroizing<String>, String> {
    let catalog = store.catalog().await?;
    let mut text = Zeroizing::new(String::new());
    for (name, stored) in catalog.realms {
        for secret in stored.secrets.iter().filter(|_| realm.is_none_or(|realm| realm == name)) {
            let _ = writeln!(text, "{}\t{}", name.escape_debug(), secret.as_str());
        }
    }
    Ok(text)
}

/// The keys of a user; what is given is a password, or an MD5 key behind `0x`.
///
/// # Errors
/// It is neither.
pub(super) fn keys(name: &str, realm: &str, password: &str) -> Result<Keys, String> {
    let wrong = "error: not a key: behind `0x` stand 32 hexadecimal digits\n  = help: give the password, or the MD5 \
                 of user:realm:password";
    match parse_static(password).map_err(|_| wrong.to_owned())? {
        StaticCredential::Password(password) => keys_of_password(name, realm, password),
        StaticCredential::Key(key) if key.algorithm() == KeyAlgorithm::Md5 => {
            Ok(Keys { md5: key, sha256: None })
        }
        StaticCredential::Key(_) => Err("error: a SHA-256 key alone lets no browser in, and coturn's tables have no \
                                         room for it\n  = help: give the password, or the MD5 key as 0x and 32 \
                                         hexadecimal digits"
            .to_owned()),
    }
}

/// The keys that follow from a password.
///
/// # Errors
/// It is none.
pub(super) fn keys_of_password(name: &str, realm: &str, password: &str) -> Result<Keys, String> {
    let password = Zeroizing::new(prepared(password, "password")?);
    let sha256 = Some(LongTermKey::sha256(name, realm, &password));
    Ok(Keys { md5: LongTermKey::md5(name, realm, &password), sha256 })
}

/// As clients prepare it (RFC 8265, OpaqueString).
pub(super) fn prepared(text: &str, what: &str) -> Result<String, String> {
    prepare(text).map(std::borrow::Cow::into_owned).map_err(|error| {
        format!("error: not a {what}: {error}\n  = help: write one without control characters")
    })
}

fn unknown(name: &str, realm: &str, store: &OpenStore) -> String {
    format!(
        "error: no {name} of realm {realm} is in {}\n  = help: `turnserver users list` has all of them",
        store.name()
    )
}
