//! The command line of coturn's `turnadmin`, read as its `getopt_long` reads it.
//!
//! Values may hold secrets, as they do with coturn: `Debug` leaves them out.

use std::fmt;

use zeroize::Zeroizing;

/// What a command line of `turnadmin` asks for.
#[derive(Default, Clone)]
pub(super) struct TurnadminLine {
    /// The command, the last one that is written.
    pub(super) command: Option<TurnadminCommand>,
    /// `-u`
    pub(super) user: Option<String>,
    /// `-r`
    pub(super) realm: Option<String>,
    /// `-p`
    pub(super) password: Option<Zeroizing<String>>,
    /// The value of `-s` or `-X`.
    pub(super) secret: Option<Zeroizing<String>>,
    /// `-o`
    pub(super) origin: Option<String>,
    /// The store: the long name of its option, and its value.
    pub(super) store: Option<(&'static str, Zeroizing<String>)>,
    /// `--max-bps`, `--total-quota` and `--user-quota`; 0 removes one.
    pub(super) options: [Option<u64>; 3],
    /// `-h`
    pub(super) help: bool,
}

/// What `turnadmin` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnadminCommand {
    /// `-k`: prints a key.
    PrintKey,
    /// `-a`
    AddUser,
    /// `-d`
    DeleteUser,
    /// `-l`
    ListUsers,
    /// `-s`
    SetSecret,
    /// `-S`
    ShowSecrets,
    /// `-X` and `--delete-all-secrets`
    DeleteSecret,
    /// `-O`
    AddOrigin,
    /// `-R`
    DeleteOrigin,
    /// `-I`
    ListOrigins,
    /// `-g`
    SetRealmOption,
    /// `-G`
    ListRealmOptions,
}

/// Letter, long names, whether a value follows.
const OPTIONS: [(char, &[&str], bool); 31] = [
    ('P', &["generate-encrypted-password"], false),
    ('E', &["generate-encrypted-password-aes"], false),
    ('k', &["key"], false),
    ('a', &["add"], false),
    ('d', &["delete"], false),
    ('l', &["list"], false),
    ('A', &["add-admin"], false),
    ('D', &["delete-admin"], false),
    ('L', &["list-admin"], false),
    ('s', &["set-secret"], true),
    ('S', &["show-secret"], false),
    ('X', &["delete-secret"], true),
    ('*', &["delete-all-secrets", "delete-all_secrets"], false),
    ('O', &["add-origin"], false),
    ('R', &["del-origin"], false),
    ('I', &["list-origins"], false),
    ('g', &["set-realm-option"], false),
    ('G', &["list-realm-options", "list-realm-option"], false),
    ('b', &["userdb", "db"], true),
    ('e', &["psql-userdb", "sql-userdb"], true),
    ('M', &["mysql-userdb"], true),
    ('J', &["mongo-userdb"], true),
    ('N', &["redis-userdb"], true),
    ('u', &["user"], true),
    ('r', &["realm"], true),
    ('p', &["password"], true),
    ('o', &["origin"], true),
    ('x', &["key-path"], true),
    ('f', &["file-key-path"], true),
    ('v', &["verify"], true),
    ('h', &["help"], false),
];

/// Long names that stand for a number of a realm, in the order of [`TurnadminLine::options`].
const NUMBERS: [&str; 3] = ["max-bps", "total-quota", "user-quota"];

impl TurnadminLine {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// An option that there is not, or that is not available here; no value is repeated.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut line = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let name = full_name(name)?;
                let mut value_of = || value.clone().or_else(|| words.next().cloned());
                if let Some(index) = NUMBERS.iter().position(|known| *known == name) {
                    let number = value_of().and_then(|text| text.trim().parse().ok());
                    let number = number
                        .ok_or_else(|| format!("error: --{name} takes a number, 0 removes it"))?;
                    if let Some(slot) = line.options.get_mut(index) {
                        *slot = Some(number);
                    }
                    continue;
                }
                let known = OPTIONS.iter().find(|(_, names, _)| names.contains(&name));
                let (letter, _, has_value) = known.ok_or_else(usage)?;
                let value = if *has_value { Some(value_of().ok_or_else(usage)?) } else { None };
                line.take(*letter, value)?;
            } else if let Some(cluster) = word.strip_prefix('-').filter(|it| !it.is_empty()) {
                let mut rest = cluster.chars();
                while let Some(letter) = rest.next() {
                    let known =
                        OPTIONS.iter().find(|(known, ..)| *known == letter && letter != '*');
                    let (_, _, has_value) = known.ok_or_else(usage)?;
                    if !has_value {
                        line.take(letter, None)?;
                        continue;
                    }
                    let attached = rest.as_str();
                    let value = match attached {
                        "" => words.next().cloned().ok_or_else(usage)?,
                        attached => attached.to_owned(),
                    };
                    line.take(letter, Some(value))?;
                    break;
                }
            } else {
                return Err(usage());
            }
        }
        Ok(line)
    }

    fn take(&mut self, letter: char, value: Option<String>) -> Result<(), String> {
        use TurnadminCommand as C;
        let text = value.unwrap_or_default();
        let command = match letter {
            'k' => C::PrintKey,
            'a' => C::AddUser,
            'd' => C::DeleteUser,
            'l' => C::ListUsers,
            's' | 'X' => {
                self.secret = Some(Zeroizing::new(text)).filter(|it| !it.is_empty());
                if letter == 's' { C::SetSecret } else { C::DeleteSecret }
            }
            'S' => C::ShowSecrets,
            '*' => C::DeleteSecret,
            'O' => C::AddOrigin,
            'R' => C::DeleteOrigin,
            'I' => C::ListOrigins,
            'g' => C::SetRealmOption,
            'G' => C::ListRealmOptions,
            'b' | 'e' | 'M' | 'N' => {
                let name = match letter {
                    'b' => "userdb",
                    'e' => "psql-userdb",
                    'M' => "mysql-userdb",
                    _ => "redis-userdb",
                };
                self.store = Some((name, Zeroizing::new(text)));
                return Ok(());
            }
            'u' => return set(&mut self.user, text),
            'r' => return set(&mut self.realm, text),
            'o' => return set(&mut self.origin, text),
            'p' => {
                self.password = Some(Zeroizing::new(text));
                return Ok(());
            }
            'h' => {
                self.help = true;
                return Ok(());
            }
            other => return Err(unavailable(other)),
        };
        self.command = Some(command);
        Ok(())
    }
}

fn set(field: &mut Option<String>, text: String) -> Result<(), String> {
    *field = Some(text);
    Ok(())
}

/// The name that `typed` is, or that it alone begins.
fn full_name(typed: &str) -> Result<&'static str, String> {
    let all = || OPTIONS.iter().flat_map(|(_, names, _)| names.iter()).chain(&NUMBERS).copied();
    if let Some(name) = all().find(|name| *name == typed) {
        return Ok(name);
    }
    let mut begun = all().filter(|name| !typed.is_empty() && name.starts_with(typed));
    match (begun.next(), begun.next()) {
        (Some(name), None) => Ok(name),
        _ => Err(usage()),
    }
}

fn unavailable(letter: char) -> String {
    match letter {
        'A' | 'D' | 'L' | 'P' => "error: there are no admin users here, because there is no web console and no telnet \
                                  console\n  = help: `turnserver status`, `allocations` and `drain` ask for no \
                                  password; [admin] of turnserver.toml has the rest"
            .to_owned(),
        'J' => "error: MongoDB is none of the stores\n  = help: let an application of yours answer for it, as an https \
                store of auth.stores"
            .to_owned(),
        _ => "error: passwords of stores are not encrypted with a key file here\n  = help: write the URL of the store \
              with its password into a file of mode 640"
            .to_owned(),
    }
}

fn usage() -> String {
    format!("error: not a command line of turnadmin\n\n{USAGE}")
}

/// What `-h` prints.
pub(super) const USAGE: &str = "\
turnadmin: users, secrets and realms of a store, as coturn's program of this name has them

Commands:
  -k, --key                   print the key of a user (-u, -r, -p)
  -a, --add                   add a user or change its password (-u, -r, -p)
  -d, --delete                delete a user (-u, -r)
  -l, --list                  list users (-r: of one realm)
  -s, --set-secret=SECRET     add a shared secret (-r)
  -S, --show-secret           list shared secrets (-r: of one realm)
  -X, --delete-secret=SECRET  delete a shared secret (-r)
      --delete-all-secrets    delete all shared secrets of a realm (-r)
  -O, --add-origin            let an origin lead to a realm (-o, -r)
  -R, --del-origin            remove an origin (-o)
  -I, --list-origins          list origins (-r: of one realm)
  -g, --set-realm-option      set --max-bps, --total-quota, --user-quota of a realm (-r); 0 removes
  -G, --list-realm-options    list these (-r: of one realm)

Store, the last one that is named:
  -b, --db, --userdb=FILE     SQLite [default: /var/lib/turn/turndb]
  -e, --psql-userdb=STRING    PostgreSQL, \"host=... dbname=... user=... password=...\"
  -M, --mysql-userdb=STRING   MySQL or MariaDB, likewise
  -N, --redis-userdb=STRING   Redis, \"ip=... dbname=N password=...\"

Values:
  -u, --user   -r, --realm   -p, --password   -o, --origin

Everybody on this host can read command lines: without -p the password is read from standard
input. `turnserver users` and `turnserver secrets` never take one there.
";

impl fmt::Debug for TurnadminLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnadminLine")
            .field("command", &self.command)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn parse(line: &str) -> Result<TurnadminLine, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        TurnadminLine::parse(&words)
    }

    #[test]
    fn short_long_and_clustered_forms_are_one() {
        for line in [
            "-a -b /t.db -u ann -r r -p north",
            "--add --userdb=/t.db --user=ann --realm=r --password=north",
            "-ab/t.db -uann -rr -pnorth",
            "--add --db /t.db --user ann --realm r --pass north",
        ] {
            let read = parse(line).unwrap();
            assert_eq!(read.command, Some(TurnadminCommand::AddUser), "{line}");
            assert_eq!(read.store, Some(("userdb", Zeroizing::new("/t.db".to_owned()))));
            assert_eq!((read.user.as_deref(), read.realm.as_deref()), (Some("ann"), Some("r")));
            assert_eq!(read.password.unwrap().as_str(), "north");
        }
    }

    #[test]
    fn secrets_and_options_are_read() {
        let set = parse("-s north -r r").unwrap();
        assert_eq!(set.command, Some(TurnadminCommand::SetSecret));
        assert_eq!(set.secret.unwrap().as_str(), "north");
        assert_eq!(parse("--delete-all-secrets -r r").unwrap().secret, None);
        let options = parse("-g -r r --max-bps=1000 --user-quota 0").unwrap();
        assert_eq!(options.options, [Some(1000), None, Some(0)]);
        assert!(parse("-g --max-bps=x").unwrap_err().contains("takes a number"));
        assert!(parse("-h").unwrap().help);
    }

    #[test]
    fn what_is_not_available_says_why_and_repeats_nothing() {
        for (line, why) in [
            ("-A -u a -p hunter2", "no admin users"),
            ("-l -J mongodb://u:hunter2@h", "MongoDB"),
            ("-E -f hunter2", "not encrypted"),
            ("--secret=hunter2", "not a command line"),
            ("hunter2", "not a command line"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{line}: {error}");
        }
        assert!(!format!("{:?}", parse("-a -u hunter2 -p hunter2").unwrap()).contains("hunter2"));
    }
}
