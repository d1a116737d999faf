//! docs/guides/jitsi.md: Debian's Prosody with the guide's lines. A client asks it by XEP-0215, and
//! what it is given allocates on a server that runs the guide's lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turn_tests::foreign::Running;
use turn_tests::guide::{Guide, GuideHost, HOST};
use turn_tests::system::inside_root;

const LIMIT: Duration = Duration::from_secs(30);

/// Whoever Prosody runs as: it refuses to be root.
const NOBODY: &str = "65534";

/// What stands before the guide's lines: a server in the foreground, in a directory of its own.
const BEFORE: &str = r#"
daemonize = false
interfaces = { "127.0.0.1" }
s2s_ports = {}
c2s_require_encryption = false
log = { info = "*console" }
modules_enabled = { "disco", "roster", "saslauth" }
"#;

#[test]
fn prosody_of_the_jitsi_guide_gives_credentials_that_allocate() {
    inside_root("prosody_of_the_jitsi_guide_gives_credentials_that_allocate", HOST, || {
        let guide = Guide::open("jitsi.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let lines = guide.block("lua", "external_services = {");
        let prosody = Prosody::start(&lines, "modules_enabled = { \"external_services\"; }");
        let services = prosody.services();
        let shown: Vec<String> = services
            .iter()
            .map(|service| format!("{}/{}", service.kind, service.transport))
            .collect();
        assert_eq!(shown, ["stun/udp", "turn/udp", "turn/tcp", "turns/tcp"]);
        expect_services(&host, &services, 3);
    });
}

#[test]
fn prosody_alone_gives_credentials_that_allocate() {
    inside_root("prosody_alone_gives_credentials_that_allocate", HOST, || {
        let guide = Guide::open("jitsi.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let prosody = Prosody::start(&guide.block("lua", "turn_external_host"), "");
        expect_services(&host, &prosody.services(), 2);
    });
}

/// Uses every service; so many are relays.
fn expect_services(host: &GuideHost, services: &[Service], relays: usize) {
    let mut used = 0;
    for service in services {
        let Service { kind, transport, .. } = service;
        assert_eq!(service.host, "turn.example.org", "{service:?}");
        let url = format!("{kind}:turn.example.org:{}?transport={transport}", service.port);
        if kind == "stun" {
            // STUN over TCP serves nobody; it is offered with TURN over TCP.
            if transport == "udp" {
                host.expect_url(&url, "", "");
            }
            continue;
        }
        assert!(service.username.parse::<u64>().is_ok(), "{service:?}");
        host.expect_url(&url, &service.username, &service.password);
        used += 1;
    }
    assert_eq!(used, relays, "{services:?}");
}

/// Prosody; dropped, it is stopped.
#[derive(Debug)]
struct Prosody {
    process: Running,
}

/// A service of XEP-0215.
#[derive(Debug)]
struct Service {
    kind: String,
    transport: String,
    host: String,
    port: String,
    username: String,
    password: String,
}

impl Prosody {
    /// Starts it with the guide's lines before the host, and more lines of the host.
    fn start(lines: &str, of_host: &str) -> Self {
        let tree = tree();
        let directory = TempDir::new().unwrap();
        let home = directory.path().display().to_string();
        let file = format!("{home}/prosody.cfg.lua");
        let configuration = format!(
            "{BEFORE}\ndata_path = \"{home}\"\npidfile = \"{home}/prosody.pid\"\n{lines}\n\
             VirtualHost \"meet.example.org\"\nauthentication = \"anonymous\"\n{of_host}\n"
        );
        fs::write(&file, configuration).unwrap();
        // Debian's script names where it would be installed.
        let script = fs::read_to_string(tree.join("usr/bin/prosody")).unwrap();
        let installed = tree.join("usr/lib/prosody").display().to_string();
        fs::write(format!("{home}/prosody"), script.replace("/usr/lib/prosody", &installed))
            .unwrap();
        let owned = Command::new("chown").args(["-R", NOBODY, &home]).status();
        assert!(owned.unwrap().success());

        let modules = tree.join("usr/share/lua/5.4");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.arg(tree.join("usr/bin/lua5.4")).arg(format!("{home}/prosody"));
        command.args(["--config", &file]).env("PROSODY_CONFIG", &file).env("HOME", &home);
        command.env("LD_LIBRARY_PATH", libraries(&tree));
        command.env("LUA_PATH", format!("{0}/?.lua;{0}/?/init.lua", modules.display()));
        command.env("LUA_CPATH", tree.join("lua/?.so"));
        let mut process = Running::start_in(directory, &mut command);
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, 5222)).is_err() {
            assert!(process.is_running(), "Prosody has ended: {}", process.output());
            assert!(Instant::now() < deadline, "Prosody does not listen: {}", process.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process }
    }

    /// Logs in without a name, as Jitsi's pages do, and asks for the services.
    fn services(&self) -> Vec<Service> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 5222)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut say = |text: &str, until: &str| {
            stream.write_all(text.as_bytes()).unwrap();
            let mut heard = String::new();
            let mut part = [0; 4096];
            while !heard.contains(until) {
                let length = stream.read(&mut part).unwrap_or(0);
                assert!(length > 0, "{heard}\n{}", self.process.output());
                heard.push_str(&String::from_utf8_lossy(part.get(..length).unwrap()));
            }
            heard
        };
        let open = "<stream:stream to='meet.example.org' version='1.0' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";
        say(open, "</stream:features>");
        let login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
        say(login, "<success");
        say(open, "</stream:features>");
        let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        say(bind, "</iq>");
        let ask = "<iq type='get' id='s' to='meet.example.org'>\
                   <services xmlns='urn:xmpp:extdisco:2'/></iq>";
        let answer = say(ask, "</services>");
        answer.split("<service ").skip(1).map(Service::read).collect()
    }
}

impl Service {
    fn read(element: &str) -> Self {
        let element = format!(" {}", element.split('>').next().unwrap());
        let attribute = |name: &str| {
            let (_, rest) = element.split_once(&format!(" {name}='")).unwrap_or(("", "'"));
            rest.split('\'').next().unwrap().to_owned()
        };
        Self {
            kind: attribute("type"),
            transport: attribute("transport"),
            host: attribute("host"),
            port: attribute("port"),
            username: attribute("username"),
            password: attribute("password"),
        }
    }
}

fn tree() -> PathBuf {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/prosody");
    let tree = tree.canonicalize().unwrap_or(tree);
    assert!(tree.join("usr/bin/prosody").is_file(), "Prosody is missing; run: cargo xtask tools");
    tree
}

/// Debian's directory of libraries, which has the machine's name in it.
fn libraries(tree: &Path) -> PathBuf {
    let entries = fs::read_dir(tree.join("usr/lib")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.to_string_lossy().ends_with("-linux-gnu")).unwrap()
}
