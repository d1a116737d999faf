//! Realm, users and shared secrets.

use turn_config::{Credential, Secret, SharedSecret, User};

use super::draft::Draft;
use crate::note::NoteKind;
use crate::parsed::Setting;

pub(super) fn import(draft: &mut Draft<'_>) {
    let stun_only = draft.is_on("stun-only");
    let long_term = draft.is_on("lt-cred-mech");
    let by_secret = draft.is_on("use-auth-secret") || draft.last("static-auth-secret").is_some();
    let anonymous = draft.is_on("no-auth");
    separator(draft);
    if stun_only {
        leave_out(draft, "static-auth-secret", "`stun-only` answers nobody else");
        leave_out(draft, "user", "`stun-only` answers nobody else");
    } else if anonymous {
        be_anonymous(draft, long_term || by_secret);
    } else if by_secret {
        secrets(draft);
        leave_out(draft, "user", "static users do not count beside shared secrets, as in coturn");
    } else {
        users(draft);
    }
    realm(draft);
    if stun_only || anonymous {
        // Nobody is asked for a name that a store could know.
        draft.config.auth.stores.clear();
    }
    let auth = &draft.config.auth;
    let nobody = auth.users.is_empty() && auth.secrets.is_empty() && auth.stores.is_empty();
    if nobody && !stun_only && !anonymous {
        let (option, message) = if by_secret {
            ("static-auth-secret", "there is no shared secret, so nobody can relay; write one")
        } else if long_term {
            ("user", "there is no user, so nobody can relay; write one as `user=name:password`")
        } else {
            (
                "no-auth",
                "there are no users and no secrets, with which coturn relays for everybody; this \
                 server answers STUN only, unless `no-auth` is written",
            )
        };
        draft.note_absent(option, message);
    }
}
fn be_anonymous(draft: &mut Draft<'_>, contradicts: bool) {
    let Some(setting) = draft.last("no-auth") else { return };
    if contradicts {
        draft.refuse(
            setting,
            "it contradicts `lt-cred-mech`, `use-auth-secret` and `static-auth-secret`, and coturn \
             does not start with both; remove one",
        );
        return;
    }
    draft.config.auth.anonymous = true;
    leave_out(draft, "user", "`no-auth` asks nobody for a name");
}

fn leave_out(draft: &mut Draft<'_>, name: &str, why: &str) {
    for setting in draft.all(name) {
        draft.note(setting, NoteKind::Ignored, why);
    }
}
fn secrets(draft: &mut Draft<'_>) {
    for setting in draft.all("static-auth-secret") {
        let known = |draft: &Draft<'_>, secret: &Secret| {
            draft.config.auth.secrets.iter().any(|other| other.secret == *secret)
        };
        if !known(draft, &setting.value) {
            draft.config.auth.secrets.push(SharedSecret::new(setting.value.reveal()));
        }
        let Some(uncut) = &setting.uncut else { continue };
        // Whoever runs coturn with such a line may have either of the two in the application.
        if !known(draft, uncut) {
            draft.config.auth.secrets.push(SharedSecret::new(uncut.reveal()));
        }
        draft.note(
            setting,
            NoteKind::Changed,
            "coturn takes the remark behind it as a part of the secret; with and without it are taken \
             here: put remarks into lines of their own",
        );
    }
}
fn users(draft: &mut Draft<'_>) {
    for setting in draft.all("user") {
        match user(setting) {
            Ok(user) => {
                let users = &mut draft.config.auth.users;
                users.retain(|other| other.name != user.name);
                users.push(user);
            }
            Err(message) => draft.note(setting, NoteKind::Ignored, message),
        }
    }
    // As a table of TOML has them.
    draft.config.auth.users.sort_by(|one, other| one.name.cmp(&other.name));
}
/// Reads `name:password` or `name:0xkey`.
fn user(setting: &Setting) -> Result<User, &'static str> {
    let form = "not a user: write `name:password` or `name:0xkey`";
    let (name, password) = setting.value.reveal().split_once(':').ok_or(form)?;
    let password = password.trim_start_matches([' ', '\t']);
    if name.is_empty() || password.is_empty() {
        return Err(form);
    }
    if name.len() > 508 {
        return Err("a user name has 508 bytes at most");
    }
    let credential = if let Some(key) = password.strip_prefix("0x") {
        // coturn reads the digits that it needs and leaves the others.
        let digits = key.get(..32).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or("behind `0x` stand 32 hexadecimal digits: `turnadmin -k`")?;
        Credential::Md5Key(Secret::new(digits))
    } else if password.starts_with("sha256:") {
        return Err(
            "a password that begins with `sha256:` cannot be told from a key; write the key that \
             `turnadmin -k` prints",
        );
    } else {
        Credential::Password(Secret::new(password))
    };
    Ok(User { name: name.to_owned(), credential })
}

/// coturn's rule: what is written, or the domain name of the host, or nothing at all, which is
/// `localhost` here.
fn realm(draft: &mut Draft<'_>) {
    // RFC 8489, section 14.9: fewer than 128 characters. [S13]
    let fits = |realm: &&str| realm.chars().count() < 128;
    if let Some(setting) = draft.last("realm") {
        let Some(realm) = Some(setting.value.reveal()).filter(fits) else {
            draft.refuse(setting, "a realm has 127 characters at most");
            return;
        };
        realm.clone_into(&mut draft.config.realm);
        if setting.uncut.is_some() {
            let message = "coturn takes the remark behind it as a part of the realm";
            draft.note(setting, NoteKind::Changed, message);
        }
        return;
    }
    let domain = draft.surroundings.domain.as_deref();
    if let Some(domain) = domain.map(str::trim).filter(|domain| !domain.is_empty()).filter(fits) {
        domain.clone_into(&mut draft.config.realm);
        return;
    }
    let auth = &draft.config.auth;
    if !auth.users.is_empty() || !auth.secrets.is_empty() || !auth.stores.is_empty() {
        let message = "the host has no domain name, so coturn's realm is empty; it is `localhost` \
                       here, and keys (`0x...`) have to be made for it";
        draft.note_absent("realm", message);
    }
}
fn separator(draft: &mut Draft<'_>) {
    let Some(setting) = draft.last("rest-api-separator") else { return };
    match setting.value.reveal().chars().next() {
        Some(digit) if digit.is_ascii_digit() => {
            draft
                .refuse(setting, "a digit cannot be told from the expiry; write another character");
        }
        Some(separator) => draft.config.auth.separator = separator,
        None => {}
    }
}
#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::bench::{absent, config, imported, refused, surroundings, warnings};
    use super::super::{ImportOptions, import};
    use super::*;
    use crate::arguments::parse_arguments;
    use crate::file::parse_file;
    use crate::note::Note;
    use crate::surroundings::Surroundings;

    const SECRET: &str = "realm=r\nstatic-auth-secret=north\n";
    const USER: &str = "realm=r\nuser=ann:north\n";

    fn secrets(text: &str) -> Vec<String> {
        let secrets = config(text).auth.secrets;
        secrets.iter().map(|it| it.secret.reveal().to_owned()).collect()
    }

    fn names(text: &str) -> Vec<String> {
        config(text).auth.users.into_iter().map(|user| user.name).collect()
    }

    #[test]
    fn secrets_count_with_and_without_their_flag() {
        assert_eq!(secrets(SECRET), ["north"]);
        assert_eq!(
            secrets(&format!("{SECRET}use-auth-secret\nstatic-auth-secret=b")),
            ["north", "b"]
        );
    }

    #[test]
    fn users_count_without_the_flag_of_their_mechanism() {
        let users = config(USER).auth.users;
        assert_eq!(users.len(), 1);
        assert_eq!(users.first().unwrap().credential, Credential::Password(Secret::new("north")));
        assert_eq!(warnings(USER), "");
    }

    #[test]
    fn passwords_may_have_colons_and_keys_are_told_by_0x() {
        let text = "user=a:b:c\nuser=k:0x00112233445566778899aabbccddeeff\nuser=a:d:e\nrealm=r";
        let users = config(text).auth.users;
        let credential =
            |name: &str| users.iter().find(|it| it.name == name).unwrap().credential.clone();
        assert_eq!(credential("a"), Credential::Password(Secret::new("d:e")));
        let key = Secret::new("00112233445566778899aabbccddeeff");
        assert_eq!(credential("k"), Credential::Md5Key(key));
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn what_is_no_user_is_ignored_as_in_coturn_and_not_repeated() {
        let text = format!("{USER}user=hunter2\nuser=a:\nuser=b:0x12\nuser=c:sha256:1\nuser=:d");
        assert_eq!(names(&text), ["ann"]);
        let warned = warnings(&text);
        assert_eq!(warned.lines().count(), 5);
        assert!(!warned.contains("hunter2"), "{warned}");
    }

    #[test]
    fn shared_secrets_override_users_as_in_coturn() {
        let text = format!("{SECRET}user=ann:north\nlt-cred-mech");
        assert_eq!(names(&text), [""; 0]);
        assert!(warnings(&text).contains("t.conf:3: user: ignored: static users do not count"));
    }

    #[test]
    fn a_remark_behind_a_secret_makes_two_of_it() {
        let text = "realm=r # mine\nstatic-auth-secret=north # remark";
        assert_eq!(secrets(text), ["north", "north # remark"]);
        assert_eq!(config(text).realm, "r");
        assert_eq!(warnings(text).lines().count(), 2);
        assert!(!warnings(text).contains("north"));
    }

    #[test]
    fn nobody_relays_without_credentials_unless_it_is_written() {
        let open = config("no-auth\nuser=ann:north");
        assert!(open.auth.anonymous && open.auth.users.is_empty());
        let closed = config("listening-port=3478");
        assert!(!closed.auth.anonymous && !closed.can_relay());
        assert!(absent("").contains("not written: no-auth: changed: there are no users"));
        assert!(absent("use-auth-secret").contains("no shared secret"));
        assert!(absent("lt-cred-mech").contains("no user"));
        assert!(!config("no-auth=off").auth.anonymous);
    }

    #[test]
    fn no_auth_beside_credentials_is_refused_as_in_coturn() {
        for other in ["lt-cred-mech", "use-auth-secret", "static-auth-secret=a"] {
            assert!(
                refused(&format!("no-auth\n{other}")).contains("t.conf:1: no-auth: it contradicts")
            );
        }
    }

    #[test]
    fn stun_only_leaves_credentials_out() {
        let text = format!("{SECRET}stun-only");
        assert!(!config(&text).can_relay());
        assert!(warnings(&text).contains("t.conf:2: static-auth-secret: ignored"));
        assert!(config(&format!("{SECRET}stun-only=0")).can_relay());
    }

    #[test]
    fn without_a_realm_it_is_the_domain_name_of_the_host() {
        let parsed = parse_file("user=a:b", "t.conf");
        let with_domain = Surroundings { domain: Some("example.org".to_owned()), ..surroundings() };
        let import = import(&parsed, &with_domain, ImportOptions::default()).unwrap();
        assert_eq!(import.config.realm, "example.org");
        assert_eq!(config("user=a:b").realm, "localhost");
        assert!(absent("user=a:b").contains("coturn's realm is empty"));
        assert_eq!(config("realm=a\nrealm=b").realm, "b");
        assert!(refused(&format!("realm={}", "r".repeat(128))).contains("127 characters"));
    }

    #[test]
    fn the_separator_is_one_character_and_no_digit() {
        assert_eq!(config("rest-api-separator=|").auth.separator, '|');
        assert_eq!(config("rest-api-separator=abc").auth.separator, 'a');
        assert!(refused("rest-api-separator=7").contains("cannot be told from the expiry"));
    }

    #[test]
    fn what_would_let_in_others_than_meant_is_refused() {
        for option in ["oauth", "secure-stun", "server-relay", "no-udp-relay", "CA-file=ca.pem"] {
            assert!(refused(option).starts_with("error: t.conf:1: "), "{option}");
        }
        assert_eq!(
            imported("oauth=0\nserver-relay=off")
                .warnings()
                .filter(|it| it.place.line().is_some())
                .count(),
            0
        );
    }

    #[test]
    fn secrets_on_the_command_line_are_taken_and_warned_of() {
        let words = ["--static-auth-secret=hunter2", "--realm=r"].map(str::to_owned);
        let parsed = parse_arguments(&words).unwrap();
        let import = import(&parsed, &surroundings(), ImportOptions::default()).unwrap();
        assert_eq!(import.config.auth.secrets.len(), 1);
        let text: String = import.warnings().map(Note::to_string).collect();
        assert!(text.contains("command line: static-auth-secret: changed: everybody"), "{text}");
        assert!(!text.contains("hunter2"));
    }
}
