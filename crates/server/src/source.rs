//! Where the configuration comes from, at start and again at every reload.
//!
//! | said | taken |
//! |---|---|
//! | `-c FILE` | that file: ours or coturn's |
//! | coturn's flags | these, over the file that they name |
//! | neither | the first of [`SEARCHED`] that is there |
//! | none of it is there | the defaults, with credentials of our own: a trial |
//!
//! What a file is written in: `--format`; else its name (`*.toml`, `*.conf`); else what it looks
//! like. TOML that does not parse is never tried as coturn's.

use std::fmt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use turn_config::{Config, Environment, LogLevel, Switches, UsagePath};
use turn_coturn::{Import, ImportOptions, Note, Parsed, ThisHost};
use zeroize::Zeroizing;

use crate::arguments::Arguments;
use crate::cli::{Cli, Format};
use crate::plan::Origin;
use crate::surroundings::Surroundings;

/// The files that are looked for, in this order.
pub const SEARCHED: [&str; 3] =
    ["/etc/turnserver.toml", "/etc/turnserver.conf", "/etc/coturn/turnserver.conf"];

/// Where to read the configuration.
#[derive(Debug, Clone)]
pub struct Source {
    from: From,
    switches: Switches,
    log_level: Option<LogLevel>,
    environment: Environment,
}

#[derive(Clone)]
enum From {
    Nothing,
    File(PathBuf, Format),
    /// coturn's flags, as they were given; they may hold secrets.
    Flags(Vec<String>),
}

/// A configuration with the command line on top.
#[derive(Debug, Clone)]
pub struct Configured {
    /// What is in force.
    pub config: Config,
    /// Whether somebody wrote it.
    pub origin: Origin,
    /// What is odd about the file itself.
    pub warnings: Vec<String>,
    /// What an import says without concern.
    pub remarks: Vec<String>,
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// It is written as coturn's are.
    pub is_coturn: bool,
}

/// Why there is no configuration: ready to be printed, all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl fmt::Debug for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::File(path, format) => f.debug_tuple("File").field(path).field(format).finish(),
            Self::Flags(_) => f.debug_tuple("Flags").finish_non_exhaustive(),
        }
    }
}

impl Source {
    /// What the command line asks for.
    ///
    /// # Errors
    /// A file that is named cannot be read, so that its format cannot be told.
    pub fn new(arguments: &Arguments, environment: Environment) -> Result<Self, Unreadable> {
        let cli = arguments.cli();
        let from = match (arguments, &cli.config) {
            (Arguments::Coturn { flags, .. }, _) => From::Flags(flags.clone()),
            (Arguments::Ours(_), Some(path)) => From::File(path.clone(), format(path, cli.format)?),
            (Arguments::Ours(_), None) => match found(&SEARCHED.map(PathBuf::from)) {
                Some(path) => {
                    let format = format(&path, cli.format)?;
                    From::File(path, format)
                }
                None => From::Nothing,
            },
        };
        Ok(Self { from, switches: switches(cli), log_level: cli.log_level, environment })
    }

    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, surroundings: &Surroundings) -> Result<Configured, Unreadable> {
        let mut configured = match &self.from {
            From::Nothing => self.without_file(),
            From::File(path, Format::Toml) => self.toml(path),
            From::File(path, Format::Coturn) => self.coturn(path, surroundings),
            From::Flags(flags) => self.flags(flags, surroundings),
        }?;
        if let Some(level) = self.log_level {
            configured.config.log.level = level;
        }
        Ok(configured)
    }

    fn without_file(&self) -> Result<Configured, Unreadable> {
        let loaded = turn_config::from_environment(self.switches, &self.environment)
            .map_err(|error| Unreadable(error.to_string()))?;
        // Whoever says it in the environment means it.
        let mut said = loaded.config.clone();
        let unsaid = Config::without_file(self.switches);
        // A container's public address is of its place, and says nothing of who may use it.
        said.relay.external.clone_from(&unsaid.relay.external);
        said.relay.discover.clone_from(&unsaid.relay.discover);
        // Nor does the directory that systemd names for what is kept.
        if matches!(said.usage.path, UsagePath::Default(_)) {
            said.usage.path.clone_from(&unsaid.usage.path);
        }
        let is_written = said != unsaid;
        let origin = if is_written { Origin::File } else { Origin::Defaults };
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        Ok(Configured {
            config: loaded.config,
            origin,
            warnings,
            remarks: Vec::new(),
            path: None,
            is_coturn: false,
        })
    }

    fn toml(&self, path: &Path) -> Result<Configured, Unreadable> {
        let loaded = turn_config::load(path, self.switches, &self.environment)
            .map_err(|error| Unreadable(error.to_string()))?;
        Ok(Configured {
            config: loaded.config,
            origin: Origin::File,
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            remarks: Vec::new(),
            path: Some(path.to_owned()),
            is_coturn: false,
        })
    }

    fn coturn(&self, path: &Path, surroundings: &Surroundings) -> Result<Configured, Unreadable> {
        let text = read(path)?;
        let parsed = turn_coturn::parse_file(&text, &path.display().to_string());
        self.imported(&parsed, Some(path), surroundings)
    }

    /// coturn's flags, over the file that they name.
    fn flags(
        &self,
        flags: &[String],
        surroundings: &Surroundings,
    ) -> Result<Configured, Unreadable> {
        let parsed = turn_coturn::parse_arguments(flags)
            .map_err(|error| Unreadable(format!("error: {error}")))?;
        let named = match (&parsed.config_file, parsed.without_file) {
            (_, true) => None,
            (Some(path), false) => Some(path.clone()),
            // coturn looks for its file, too; ours is another program's to it.
            (None, false) => found(&COTURNS.map(PathBuf::from)),
        };
        let Some(path) = named else { return self.imported(&parsed, None, surroundings) };
        refuse_pipe(&path)?;
        let text = read(&path)?;
        if turn_coturn::looks_like_coturn(&path, &text) == turn_coturn::Format::Toml {
            let path = path.display();
            return Err(Unreadable(format!(
                "error: {path} is TOML, and coturn's flags stand beside it\n  = help: write them into the file \
                 (docs/coturn.md names the key of each), and start turnserver -c {path}"
            )));
        }
        let file = turn_coturn::parse_file(&text, &path.display().to_string());
        self.imported(&file.followed_by(parsed), Some(&path), surroundings)
    }

    fn imported(
        &self,
        parsed: &Parsed,
        path: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<Configured, Unreadable> {
        let import = import(parsed, path, ImportOptions::default(), surroundings)?;
        let (config, of_environment) = self.over(import.config, path)?;
        let (warnings, remarks): (Vec<_>, Vec<_>) =
            import.notes.iter().partition(|note| note.kind.is_warning());
        let told = |notes: Vec<&Note>| notes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (mut warnings, remarks) = (told(warnings), told(remarks));
        warnings.extend(of_environment);
        if let Some(path) = path {
            let of_file = turn_config::file_warnings(path, &config);
            warnings.extend(
                of_file
                    .map_err(|error| Unreadable(error.to_string()))?
                    .iter()
                    .map(ToString::to_string),
            );
        }
        Ok(Configured {
            config,
            origin: Origin::File,
            warnings,
            remarks,
            path: path.map(Path::to_owned),
            is_coturn: true,
        })
    }

    /// Lays the environment and the switches over an imported configuration, with what is odd
    /// about the environment.
    fn over(
        &self,
        config: Config,
        path: Option<&Path>,
    ) -> Result<(Config, Vec<String>), Unreadable> {
        let name = path.unwrap_or(Path::new("turnserver.conf"));
        let text = Zeroizing::new(config.to_toml());
        let loaded = turn_config::from_text(&text, name, self.switches, &self.environment)
            .map_err(|error| Unreadable(error.to_string()))?;
        Ok((loaded.config, loaded.warnings.iter().map(ToString::to_string).collect()))
    }
}

/// What coturn's options amount to on this host.
///
/// # Errors
/// One of them must not be done without.
pub fn import(
    parsed: &Parsed,
    path: Option<&Path>,
    options: ImportOptions,
    surroundings: &Surroundings,
) -> Result<Import, Unreadable> {
    let host = ThisHost;
    let beside = path.and_then(Path::parent).unwrap_or(Path::new(""));
    // What cannot be found now cannot be read later either, and is named then.
    let directory = std::path::absolute(Path::new(".").join(beside)).unwrap_or(beside.to_owned());
    let around = turn_coturn::Surroundings {
        addresses: surroundings.interfaces.iter().map(|interface| interface.address).collect(),
        domain: ThisHost::domain(),
        directory,
        host: &host,
    };
    turn_coturn::import(parsed, &around, options).map_err(|refused| Unreadable(refused.to_string()))
}

/// The files that coturn's flags are looked for beside.
const COTURNS: [&str; 2] = [SEARCHED[1], SEARCHED[2]];

fn switches(cli: &Cli) -> Switches {
    Switches { self_signed: cli.self_signed, loopback_peers: cli.allow_loopback_peers }
}

/// What `path` is written in.
///
/// # Errors
/// It cannot be read, or not again.
fn format(path: &Path, said: Option<Format>) -> Result<Format, Unreadable> {
    refuse_pipe(path)?;
    if let Some(format) = said {
        return Ok(format);
    }
    // Its name may suffice, and then the text is read by whoever reads the file.
    let name_says = |extension: &str| {
        path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
    };
    if name_says("toml") {
        return Ok(Format::Toml);
    }
    if name_says("conf") {
        return Ok(Format::Coturn);
    }
    Ok(match turn_coturn::looks_like_coturn(path, &read(path)?) {
        turn_coturn::Format::Toml => Format::Toml,
        turn_coturn::Format::Coturn => Format::Coturn,
    })
}

/// A pipe would be read as empty the second time, at a reload for one.
fn refuse_pipe(path: &Path) -> Result<(), Unreadable> {
    if !path.metadata().is_ok_and(|found| found.file_type().is_fifo()) {
        return Ok(());
    }
    Err(Unreadable(format!(
        "error: {} is a pipe, and the configuration is read again at a reload\n  = help: write it to a file that only \
         the server's user can read, and name that: -c FILE",
        path.display()
    )))
}

/// The first of `paths` that says something. One that cannot be read is taken, so that the reason
/// is told.
fn found(paths: &[PathBuf]) -> Option<PathBuf> {
    let says_something = |path: &&PathBuf| match std::fs::read(path) {
        Ok(text) => turn_coturn::has_active_line(&String::from_utf8_lossy(&text)),
        // A link that leads nowhere is there, and somebody means it.
        Err(error) => {
            error.kind() != std::io::ErrorKind::NotFound || path.symlink_metadata().is_ok()
        }
    };
    paths.iter().find(says_something).cloned()
}

/// The text of a file of coturn's.
pub(crate) fn read(path: &Path) -> Result<String, Unreadable> {
    let text = std::fs::read(path).map_err(|error| {
        let path = path.display();
        Unreadable(format!(
            "error: cannot read {path}: {error}\n  = help: name a file that the server's user can read: -c FILE"
        ))
    })?;
    // coturn takes any bytes; only names and passwords could hold them, and those are judged later.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use turn_config::Transport;

    use super::*;

    #[test]
    fn a_trial_of_tls_needs_no_file() {
        let configured = load("turnserver --self-signed --log-level trace").unwrap();
        assert!(configured.config.tls.self_signed);
        assert_eq!(configured.config.log.level, LogLevel::Trace);
        // This host may have a file where they are looked for.
        if configured.path.is_none() {
            assert_eq!(configured.origin, Origin::Defaults);
            let ports: Vec<u16> =
                configured.config.listen.iter().map(|listen| listen.address.port()).collect();
            assert_eq!(ports, [3478, 3478, 5349, 5349]);
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = File::new("t.toml", "[log]\nlevel = 'warn'\n");
        let configured =
            load(&format!("turnserver -c {file} --log-level trace --self-signed")).unwrap();
        assert_eq!(configured.origin, Origin::File);
        assert_eq!(configured.config.log.level, LogLevel::Trace);
        assert!(configured.config.tls.self_signed && !configured.config.lab.loopback_peers);
        assert_eq!(configured.path.as_ref(), Some(&file.path));
    }

    #[test]
    fn the_name_says_whose_file_it_is_and_format_says_it_better() {
        let coturns = "listening-port=3479\nlt-cred-mech\nuser=ann:secret\nrealm=a.b\n";
        for name in ["t.conf", "turnserver"] {
            let file = File::new(name, coturns);
            let configured = load(&format!("turnserver -c {file}")).unwrap();
            assert!(configured.is_coturn, "{name}");
            assert_eq!(configured.config.realm, "a.b");
            assert_eq!(configured.config.auth.users.len(), 1);
            assert_eq!(configured.config.listen.first().unwrap().address.port(), 3479);
        }
        let file = File::new("t.conf", "realm = 'c.d'\n");
        let configured = load(&format!("turnserver -c {file} --format toml")).unwrap();
        assert_eq!((configured.config.realm.as_str(), configured.is_coturn), ("c.d", false));
    }

    #[test]
    fn broken_toml_is_never_tried_as_coturns() {
        let file = File::new("t.toml", "listening-port=\nrealm=a.b\n");
        let error = load(&format!("turnserver -c {file}")).unwrap_err().to_string();
        assert!(error.contains("t.toml"), "{error}");
    }

    #[test]
    fn coturns_flags_alone_start_a_server() {
        let line = "turnserver -n -a -u ann:secret -r a.b -p 3479 --no-tls --log-level debug";
        let configured = load(line).unwrap();
        assert_eq!(configured.config.realm, "a.b");
        assert_eq!(configured.config.log.level, LogLevel::Debug);
        let listen = configured.config.listen.first().unwrap();
        assert_eq!(listen.address.port(), 3479);
        assert!(listen.transports.contains(&Transport::Udp));
        let told = configured.warnings.join("\n");
        assert!(told.contains("command line") && !told.contains("secret\n"), "{told}");
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let source = Source::new(&Arguments::parse(&words).unwrap(), Environment::default());
        assert!(!format!("{source:?}").contains("ann:secret"));
        assert!(load("turnserver -n --no-such-option").is_err());
    }

    #[test]
    fn coturns_flags_win_over_coturns_file_and_do_not_go_with_ours() {
        let file = File::new("t.conf", "realm=a.b\nlt-cred-mech\nuser=ann:secret\n");
        let configured = load(&format!("turnserver -c {file} -r c.d -v")).unwrap();
        assert_eq!(configured.config.realm, "c.d");
        let file = File::new("t.toml", "realm = 'a.b'\n");
        let error = load(&format!("turnserver -c {file} -v")).unwrap_err().to_string();
        assert!(error.contains("is TOML"), "{error}");
    }

    #[test]
    fn a_pipe_is_refused_since_it_cannot_be_read_again() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        for more in ["", " --format toml", " --format coturn", " -v"] {
            let error = load(&format!("turnserver -c {path}{more}")).unwrap_err().to_string();
            assert!(error.contains("is a pipe") && error.contains("-c FILE"), "{error}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_counts_as_absent() {
        let (empty, full) =
            (File::new("a.conf", "# nothing\n\n"), File::new("b.conf", "verbose\n"));
        let missing = PathBuf::from("/nonexistent/a.conf");
        let paths = [&missing, &empty.path, &full.path].map(PathBuf::clone);
        assert_eq!(found(&paths), paths.last().cloned());
        assert_eq!(found(paths.get(..2).unwrap()), None);
        let link = empty.path.with_file_name("link.toml");
        std::os::unix::fs::symlink(&missing, &link).unwrap();
        assert_eq!(found(std::slice::from_ref(&link)), Some(link));
    }

    #[test]
    fn a_file_of_coturns_may_have_remarks_in_any_encoding() {
        let file = File::new("t.conf", "");
        let text = b"# f\xfcr alle\nrealm=a.b # \xfc\nlt-cred-mech\nuser=ann:secret\n";
        std::fs::write(&file.path, text).unwrap();
        let configured = load(&format!("turnserver -c {file}")).unwrap();
        assert_eq!(
            (configured.config.realm.as_str(), configured.config.auth.users.len()),
            ("a.b", 1)
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        for name in ["/nonexistent/t.toml", "/nonexistent/t.conf", "/nonexistent/t"] {
            let error = load(&format!("turnserver -c {name}")).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    fn load(line: &str) -> Result<Configured, Unreadable> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let arguments = Arguments::parse(&words).unwrap();
        let source = Source::new(&arguments, Environment::default())?;
        source.load(&Surroundings::find().unwrap())
    }

    struct File {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            Self { _directory: directory, path }
        }
    }

    impl fmt::Display for File {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.path.display().fmt(f)
        }
    }
}
