//! `packaging/debian`: the package, installed over Debian's coturn and on a host without any,
//! upgraded, removed and purged, each on a root of its own, without a running systemd.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Credentials};
use turn_credentials::UnixSeconds;
use turn_tests::foreign::{Running, built_binary};
use turn_tests::system::{Daemon, Echo, Sandbox, connect, inside_root};

const HOST: [&str; 5] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 10.20.0.5/24 dev v0",
    "ip link set v0 up; ip link set v1 up",
    "ip route add default via 10.20.0.1",
    "ip route add local 8.8.8.8 dev lo",
];

const SERVER: &str = "10.20.0.5:3478";
const UNIT: &str = "/usr/lib/systemd/system/turnserver.service";
const TOML: &str = "/etc/turnserver.toml";
const COTURNS: &str = "/etc/turnserver.conf";

/// What the package's own service writes below.
const KEPT: [&str; 2] = ["/var/lib/turnserver", "/var/log/turnserver"];

#[test]
fn the_package_takes_coturns_place_with_its_configuration_and_leaves_that_behind() {
    let test = "the_package_takes_coturns_place_with_its_configuration_and_leaves_that_behind";
    let packages = Packages::build();
    inside_root(test, &HOST, || {
        without_services();
        fs::write(COTURNS, "lt-cred-mech\nuser=ann:secret\nrealm=example.org\n").unwrap();
        // Debian asks what to do about a file that it did not bring; what is there stays.
        run("dpkg --no-triggers --force-depends --force-confold --install {}", &coturn());
        assert_eq!(status("coturn"), "installed");

        let said = run("dpkg --no-triggers --install {}", &packages.first);
        assert!(said.contains("/etc/turnserver.conf is used as it is"), "{said}");
        assert!(said.contains("purging coturn would remove"), "{said}");
        assert_eq!(
            (status("turnserver"), status("coturn")),
            ("installed".into(), "config-files".into())
        );
        assert!(!Path::new(TOML).exists(), "nothing is made beside a configuration that is there");
        let wanted = "/etc/systemd/system/multi-user.target.wants/turnserver.service";
        assert_eq!(fs::canonicalize(wanted).unwrap(), Path::new(UNIT));
        let alias = fs::canonicalize("/etc/systemd/system/coturn.service").unwrap();
        assert_eq!(alias, Path::new(UNIT));
        serves(Credentials::password("ann", "secret"));

        let edited = "lt-cred-mech\nuser=ann:another secret\nrealm=example.org\n";
        fs::write(COTURNS, edited).unwrap();
        run("dpkg --no-triggers --install {}", &packages.second);
        assert!(version().starts_with("0.2.0"), "{}", version());
        assert_eq!(fs::read_to_string(COTURNS).unwrap(), edited);
        serves(Credentials::password("ann", "another secret"));

        run("dpkg --no-triggers --remove {}", "turnserver");
        assert!(!Path::new("/usr/bin/turnserver").exists());
        assert!(fs::symlink_metadata("/etc/systemd/system/coturn.service").is_err());
        run("dpkg --no-triggers --purge {}", "turnserver");
        assert_eq!(fs::read_to_string(COTURNS).unwrap(), edited, "it is not ours");
        assert_nothing_left();

        // And back: nothing of ours stands in the way.
        run("dpkg --no-triggers --force-depends --force-confold --install {}", &coturn());
        assert_eq!(status("coturn"), "installed");
    });
}

#[test]
fn the_package_makes_a_configuration_with_a_secret_and_keeps_what_becomes_of_it() {
    let test = "the_package_makes_a_configuration_with_a_secret_and_keeps_what_becomes_of_it";
    let packages = Packages::build();
    inside_root(test, &HOST, || {
        without_services();
        assert!(!Path::new(COTURNS).exists() && !Path::new(TOML).exists());
        // A file of Debian's coturn in which everything is a comment says nothing.
        fs::write(COTURNS, "# listening-port=3478\n\n").unwrap();
        run("dpkg --no-triggers --install {}", &packages.first);
        let made = fs::read_to_string(TOML).unwrap();
        let secret = secret(&made);
        let metadata = fs::metadata(TOML).unwrap();
        assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o7777), (0, 0o640));
        assert_eq!(
            metadata.gid().to_string(),
            run("getent group {} | cut -d: -f3", "turnserver").trim()
        );
        run("systemd-analyze verify --man=no {}", UNIT);
        run("turnserver check --config {}", TOML);
        for file in ["turnserver.1.gz", "turnadmin.1.gz"] {
            assert!(Path::new("/usr/share/man/man1").join(file).is_file(), "{file}");
        }
        assert_eq!(fs::read_link("/usr/bin/turnadmin").unwrap(), Path::new("turnserver"));
        serves(time_limited(&secret));

        let edited = format!("{made}\n[log]\nlevel = \"warn\"\n");
        fs::write(TOML, &edited).unwrap();
        run("dpkg --no-triggers --install {}", &packages.second);
        assert_eq!(fs::read_to_string(TOML).unwrap(), edited);
        run("dpkg --no-triggers --remove {}", "turnserver");
        assert_eq!(fs::read_to_string(TOML).unwrap(), edited, "removed, not purged");
        run("dpkg --no-triggers --install {}", &packages.second);
        assert_eq!(fs::read_to_string(TOML).unwrap(), edited);

        run("dpkg --no-triggers --purge {}", "turnserver");
        assert!(!Path::new(TOML).exists(), "the package has made it");
        assert_nothing_left();
        run("dpkg --no-triggers --install {}", &packages.first);
        assert_ne!(self::secret(&fs::read_to_string(TOML).unwrap()), secret);

        // One that an operator has written is not the package's to remove.
        fs::write(TOML, "[auth]\nsecrets = [\"of an operator's own\"]\n").unwrap();
        run("dpkg --no-triggers --purge {}", "turnserver");
        assert!(Path::new(TOML).exists());
    });
}

#[test]
fn shellcheck_has_nothing_to_say_about_the_scripts() {
    let mut command = Command::new("shellcheck");
    for directory in ["debian", "image"] {
        for entry in fs::read_dir(packaging(directory)).unwrap() {
            let path = entry.unwrap().path();
            if fs::read_to_string(&path).is_ok_and(|text| text.starts_with("#!/bin/sh\n")) {
                command.arg(path);
            }
        }
    }
    assert!(command.get_args().count() > 4, "{command:?}");
    let checked = Running::start(&mut command).finish(Duration::from_secs(30));
    assert_eq!(checked.exit, Some(0), "{}", checked.output);
}

/// The package, and one of a higher version.
struct Packages {
    first: String,
    second: String,
}

impl Packages {
    /// Makes them of the binary under test, where they are not there yet: the tests of this file share
    /// them, and so does a test with itself on its own root.
    fn build() -> Self {
        let directory = sources().join("target/debian");
        fs::create_dir_all(&directory).unwrap();
        let lock = File::create(directory.join("tests.lock")).unwrap();
        lock.lock().unwrap();
        let [first, second] = ["0.1.0-1", "0.2.0-1"].map(|version| {
            let package = directory.join(format!("for-tests-{version}.deb"));
            if !is_fresh(&package) {
                let binary = built_binary("turnserver");
                let profile = binary.parent().unwrap().file_name().unwrap();
                let mut build = Command::new(packaging("debian").join("build"));
                build.arg("--profile").arg(profile).args(["--version", version]);
                build.arg("--output").arg(&package);
                let built = Running::start(&mut build).finish(Duration::from_secs(100));
                assert_eq!(built.exit, Some(0), "cargo xtask tools? {}", built.output);
            }
            package.to_str().unwrap().to_owned()
        });
        Self { first, second }
    }
}

/// Whether a package is newer than what it is made of.
fn is_fresh(package: &Path) -> bool {
    let age = |path: PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(made) = age(package.to_owned()) else { return false };
    let mut parts = vec![built_binary("turnserver"), sources().join("crates/server/Cargo.toml")];
    for directory in [packaging("debian"), sources().join("systemd"), sources().join("docs")] {
        parts.extend(fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()));
    }
    parts.into_iter().all(|part| age(part).is_some_and(|part| part < made))
}

/// Nothing is started by an installation, and this machine's own files are as on a new one.
fn without_services() {
    fs::write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n").unwrap();
    fs::set_permissions("/usr/sbin/policy-rc.d", fs::Permissions::from_mode(0o755)).unwrap();
    // coturn makes its database with it, which nobody reads here.
    if !Path::new("/usr/bin/sqlite3").exists() {
        fs::write("/usr/bin/sqlite3", "#!/bin/sh\n: > \"$1\"\n").unwrap();
        fs::set_permissions("/usr/bin/sqlite3", fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// The server as the installed unit runs it: a user of the configuration relays.
fn serves(credentials: Credentials) {
    let unit = Sandbox::of(&fs::read_to_string(UNIT).unwrap());
    assert_eq!(unit.value("ExecStart"), "/usr/bin/turnserver");
    assert!(unit.value("ExecReload").starts_with("/usr/bin/turnserver"));
    let server = Daemon::with(&mut unit.command(&[unit.value("ExecStart")]));
    let mut client = connect(SERVER.parse().unwrap(), credentials);
    let allocated = client.allocate(&AllocateOptions::default());
    allocated.unwrap_or_else(|error| panic!("{error}\n{}", server.output()));
    let peer = Echo::on("8.8.8.8:5000".parse().unwrap());
    client.create_permission(&[peer.address()]).unwrap();
    client.send_to(peer.address(), b"through the package").unwrap();
    assert_eq!(peer.echo(), b"through the package");
    assert_eq!(client.receive(Duration::from_secs(5)).unwrap().data, b"through the package");
    let stopped = server.stop("TERM");
    assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
    assert!(Path::new(KEPT[0]).is_dir());
}

fn time_limited(secret: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Credentials::time_limited(secret.as_bytes(), Some("ann"), UnixSeconds(now + 3_600))
}

/// The secret of a configuration that the package has made: 256 bits.
fn secret(toml: &str) -> String {
    let (_, rest) = toml.split_once("secrets = [\"").unwrap();
    let (secret, _) = rest.split_once('"').unwrap();
    assert!(secret.len() == 64 && secret.chars().all(|digit| digit.is_ascii_hexdigit()), "{toml}");
    secret.to_owned()
}

/// What a purged package may leave is its account.
fn assert_nothing_left() {
    let listed = Command::new("dpkg").args(["--listfiles", "turnserver"]).output().unwrap();
    assert!(!listed.status.success(), "{listed:?}");
    for path in KEPT {
        assert!(!Path::new(path).exists(), "{path}");
    }
    let find = "find /etc /usr /var/lib/systemd -xdev -name '*turnserver*' \
                -newer /usr/sbin/policy-rc.d ! -path /usr/src/\\* ! -type d";
    let left = run("{}", find);
    let left: Vec<&str> =
        left.lines().filter(|line| *line != COTURNS && !line.contains("/doc/coturn")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Debian's package, as `cargo xtask tools` has downloaded it.
fn coturn() -> String {
    let directory = sources().join("target/foreign/packages/coturn");
    let entries = fs::read_dir(&directory).into_iter().flatten();
    let mut packages = entries.map(|entry| entry.unwrap().path());
    let package = packages.find(|path| path.extension().is_some_and(|found| found == "deb"));
    let package = package.unwrap_or_else(|| {
        panic!("{} has no package; run: cargo xtask tools", directory.display())
    });
    package.to_str().unwrap().to_owned()
}

fn status(package: &str) -> String {
    run("dpkg-query --show --showformat='${db:Status-Status}' {}", package)
}

fn version() -> String {
    run("dpkg-query --show --showformat='${Version}' {}", "turnserver")
}

/// Runs a line with `{}` replaced, and returns what it wrote.
#[track_caller]
fn run(line: &str, with: &str) -> String {
    let line = line.replace("{}", with);
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
    let ran = Running::start(&mut command).finish(Duration::from_secs(60));
    assert_eq!(ran.exit, Some(0), "{line}:\n{}", ran.output);
    ran.output
}

fn packaging(name: &str) -> PathBuf {
    sources().join("packaging").join(name)
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}
