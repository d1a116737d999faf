//! What the binary does where it is started as `turnadmin`: coturn's commands on coturn's tables,
//! with coturn's output.

use std::fmt::Write as _;
use std::path::Path;

use turn_users::{RealmOption, StoreError, Writer};
use zeroize::Zeroizing;

use super::password;
use super::store::OpenStore;
use super::turnadmin_line::{TurnadminCommand as C, TurnadminLine, USAGE};
use super::users::{keys_of_password, prepared};

/// The options of a realm, in the order of [`TurnadminLine::options`].
const OPTIONS: [RealmOption; 3] =
    [RealmOption::MaxBps, RealmOption::TotalQuota, RealmOption::UserQuota];

/// Does what the words behind the program's name ask for; the text to print.
///
/// # Errors
/// They ask for nothing that can be done, or the store does not answer.
pub async fn turnadmin(words: &[String]) -> Result<Zeroizing<String>, String> {
    let line = TurnadminLine::parse(words)?;
    if line.help {
        return Ok(Zeroizing::new(USAGE.to_owned()));
    }
    let command = line.command.ok_or_else(|| format!("error: no command\n\n{USAGE}"))?;
    let mut text = Zeroizing::new(String::new());
    if command == C::PrintKey {
        let name = prepared(must(line.user.as_deref(), "user")?, "user name")?;
        let keys = user_keys(&line, &name, line.realm.as_deref().unwrap_or_default())?;
        text.push_str("0x");
        for byte in keys.md5.as_bytes() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        return Ok(text);
    }
    let store = open(&line)?;
    let realm = line.realm.as_deref().filter(|realm| !realm.is_empty());
    match command {
        C::PrintKey => {}
        C::AddUser => {
            let name = prepared(must(line.user.as_deref(), "user")?, "user name")?;
            let realm = prepared(must(realm, "realm")?, "realm")?;
            let keys = user_keys(&line, &name, &realm)?;
            change(&store, async |writer| writer.put_user(&realm, &name, &keys).await).await?;
        }
        C::DeleteUser => {
            let name = prepared(must(line.user.as_deref(), "user")?, "user name")?;
            let realm = prepared(must(realm, "realm")?, "realm")?;
            change(&store, async |writer| writer.delete_user(&realm, &name).await.map(drop))
                .await?;
        }
        C::ListUsers => {
            for (realm, name) in store.write(async |writer| writer.users(realm).await).await? {
                let _ = writeln!(text, "{name}[{realm}]");
            }
        }
        C::SetSecret | C::DeleteSecret => {
            let realm = prepared(must(realm, "realm")?, "realm")?;
            let secret = line.secret.as_ref().map(|secret| secret.as_str());
            let is_new = command == C::SetSecret;
            let work = async |writer: &dyn Writer| match secret.filter(|_| is_new) {
                Some(secret) => writer.add_secret(&realm, secret).await,
                None if is_new => Ok(()),
                None => writer.delete_secrets(&realm, secret).await.map(drop),
            };
            change(&store, work).await?;
        }
        C::AddOrigin | C::DeleteOrigin => {
            let origin = canonical(must(line.origin.as_deref(), "origin")?);
            let to = if command == C::AddOrigin { Some(must(realm, "realm")?) } else { None };
            change(&store, async |writer| writer.set_origin(&origin, to).await).await?;
        }
        C::SetRealmOption => {
            let realm = must(realm, "realm")?;
            if line.options.iter().all(Option::is_none) {
                return Err(
                    "The operation cannot be completed: a realm option must be set.".to_owned()
                );
            }
            let work = async |writer: &dyn Writer| {
                for (option, value) in OPTIONS.into_iter().zip(line.options) {
                    let Some(value) = value else { continue };
                    // As with coturn: 0 removes it.
                    writer.set_option(realm, option, Some(value).filter(|it| *it != 0)).await?;
                }
                Ok(())
            };
            change(&store, work).await?;
        }
        C::ShowSecrets | C::ListOrigins | C::ListRealmOptions => {
            list(&store, command, realm, &mut text).await?;
        }
    }
    Ok(text)
}

/// What is read as a whole, as coturn prints it.
async fn list(
    store: &OpenStore,
    command: C,
    realm: Option<&str>,
    text: &mut String,
) -> Result<(), String> {
    let catalog = store.catalog().await?;
    let is_wanted = |name: &str| realm.is_none_or(|realm| realm == name);
    if command == C::ListOrigins {
        for (origin, name) in catalog.origins.iter().filter(|(_, name)| is_wanted(name)) {
            let _ = writeln!(text, "{origin} ==>> {name}");
        }
        return Ok(());
    }
    for (name, stored) in catalog.realms.iter().filter(|(name, _)| is_wanted(name)) {
        if command == C::ShowSecrets {
            let mut secrets: Vec<&str> = stored.secrets.iter().map(|it| it.as_str()).collect();
            secrets.sort_unstable();
            for secret in secrets {
                let _ = writeln!(text, "{secret}[{name}]");
            }
            continue;
        }
        let values = [stored.max_bps, stored.total_quota, stored.user_quota];
        for (option, value) in OPTIONS.into_iter().zip(values) {
            if let Some(value) = value {
                let _ = writeln!(text, "{}[{name}]={value}", option.as_str());
            }
        }
    }
    Ok(())
}

/// Changes a store whose tables may have to be made.
async fn change(
    store: &OpenStore,
    work: impl AsyncFnOnce(&dyn Writer) -> Result<(), StoreError>,
) -> Result<(), String> {
    store
        .write(async |writer| {
            writer.prepare().await?;
            work(writer).await
        })
        .await
}

fn open(line: &TurnadminLine) -> Result<OpenStore, String> {
    let (option, value) = match &line.store {
        Some((option, value)) => (*option, value.as_str()),
        None => ("userdb", DEFAULT),
    };
    let here = std::env::current_dir().unwrap_or_default();
    let here = if here.as_os_str().is_empty() { Path::new("/") } else { here.as_path() };
    let url = turn_coturn::store_url(option, value, here).map(Zeroizing::new);
    OpenStore::at(&url.map_err(|error| format!("error: --{option}: {error}"))?)
}

fn user_keys(line: &TurnadminLine, name: &str, realm: &str) -> Result<turn_users::Keys, String> {
    let password = match &line.password {
        Some(password) => password.clone(),
        None => password::read(None, "password")?,
    };
    // Any text is a password with coturn, one that looks like a key too.
    keys_of_password(name, realm, &password)
}

/// An origin as coturn keeps it: in lower case, with its port, without a path.
fn canonical(origin: &str) -> String {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return origin.to_owned();
    };
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    if scheme.is_empty() || server.is_empty() {
        return origin.to_owned();
    }
    let (scheme, server) = (scheme.to_ascii_lowercase(), server.to_ascii_lowercase());
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let usual = USUAL_PORTS.iter().find(|(known, _)| *known == scheme && !has_port);
    match usual {
        Some((_, port)) => format!("{scheme}://{server}:{port}"),
        None => format!("{scheme}://{server}"),
    }
}

/// Schemes whose port coturn adds.
const USUAL_PORTS: [(&str, u16); 9] = [
    ("http", 80),
    ("https", 443),
    ("sip", 5060),
    ("sips", 5061),
    ("stun", 3478),
    ("stuns", 5349),
    ("turn", 3478),
    ("turns", 5349),
    ("ldap", 389),
];

/// coturn's words for what is missing.
fn must<'a>(value: Option<&'a str>, what: &str) -> Result<&'a str, String> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("The operation cannot be completed: the {what} must be set."))
}

/// Where Debian's coturn looks.
const DEFAULT: &str = "/var/lib/turn/turndb";

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn origins_are_kept_as_coturn_keeps_them() {
        for (written, kept) in [
            ("https://App.example", "https://app.example:443"),
            ("http://app.example:8080/path", "http://app.example:8080"),
            ("HTTP://[::1]", "http://[::1]:80"),
            ("custom://app", "custom://app"),
            ("app.example", "app.example"),
        ] {
            assert_eq!(canonical(written), kept);
        }
    }
}
