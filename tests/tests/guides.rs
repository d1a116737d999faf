//! docs/guides: every block is taken by whoever it is written for, as far as that can be had here.
//! Programs that are run for real have tests of their own, `guides_*`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use turn_credentials::{UnixSeconds, mint};
use turn_tests::foreign::Running;
use turn_tests::guide::{Guide, GuideHost, HOST, NAMES, ini, xml, yaml};
use turn_tests::system::{Daemon, inside_root};

/// The secret of every guide.
const SECRET: &str = "a long random text";

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn every_configuration_passes_check() {
    inside_root("every_configuration_passes_check", HOST, || {
        for name in NAMES {
            let blocks = Guide::open(name).blocks("toml");
            assert!(!blocks.is_empty(), "{name}");
            for block in blocks {
                let checked = GuideHost::check(&block);
                assert_eq!(checked.exit, Some(0), "{name}\n{block}\n{}", checked.output);
            }
        }
    });
}

#[test]
fn every_shell_and_script_block_parses() {
    let directory = TempDir::new().unwrap();
    for name in NAMES {
        let guide = Guide::open(name);
        for (language, file, program, flag) in
            [("sh", "a.sh", "sh", "-n"), ("js", "a.mjs", "node", "--check")]
        {
            for block in guide.blocks(language) {
                let path = directory.path().join(file);
                fs::write(&path, &block).unwrap();
                let mut command = Command::new(program);
                let finished = Running::start(command.arg(flag).arg(&path)).finish(LIMIT);
                assert_eq!(finished.exit, Some(0), "{name}\n{block}\n{}", finished.output);
            }
        }
    }
}

#[test]
fn the_index_names_every_guide_and_links_lead_somewhere() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides");
    let mut found: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, NAMES);
    let index = fs::read_to_string(directory.join("README.md")).unwrap();
    for name in NAMES {
        assert!(name == "README.md" || index.contains(&format!("[{name}]({name})")), "{name}");
        let text = fs::read_to_string(directory.join(name)).unwrap();
        for section in ["Does it work?", "Firewall", "What is tested"] {
            assert!(text.to_lowercase().contains(&section.to_lowercase()), "{name}: {section}");
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let is_far = path.starts_with("https://");
            assert!(path.is_empty() || is_far || directory.join(path).exists(), "{name}: {link}");
        }
    }
}

#[test]
fn talk_credentials_allocate_over_every_server_of_the_guide() {
    inside_root("talk_credentials_allocate_over_every_server_of_the_guide", HOST, || {
        let guide = Guide::open("nextcloud-talk.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        // As Talk makes them: 16 random letters, good for a day.
        let (username, credential) = credential("a8Hbq0ZtR2mXw7Lc", 86_400);
        let mut urls = Vec::new();
        for line in guide.block("sh", "talk:turn:add").lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [.., scheme @ ("turn" | "turns"), server, protocols] = *words {
                assert!(line.contains(&format!("--secret=\"{SECRET}\"")), "{line}");
                urls.extend(
                    protocols.split(',').map(|to| format!("{scheme}:{server}?transport={to}")),
                );
            }
            if let [.., "talk:stun:add", server] = *words {
                host.expect_url(&format!("stun:{server}"), "", "");
            }
        }
        let back_end = ini(&guide.block("ini", "[turn]"));
        assert_eq!(text(&back_end, "/turn/secret"), SECRET);
        urls.extend(text(&back_end, "/turn/servers").split(',').map(str::to_owned));
        assert_eq!(urls.len(), 5, "{urls:?}");
        for url in urls {
            host.expect_url(&url, &username, &credential);
        }
    });
}

#[test]
fn bigbluebutton_beans_are_whole_and_their_credentials_allocate() {
    inside_root("bigbluebutton_beans_are_whole_and_their_credentials_allocate", HOST, || {
        let guide = Guide::open("bigbluebutton.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let beans = xml(&guide.block("xml", "<beans"));
        let mut defined = Vec::new();
        let mut referred = Vec::new();
        walk(&beans, &mut |element| match text(element, "/tag").as_str() {
            "bean" => defined.push(element.clone()),
            "ref" => referred.push(text(element, "/attributes/bean")),
            _ => {}
        });
        for name in &referred {
            let is_there = defined.iter().any(|bean| text(bean, "/attributes/id") == *name);
            assert!(is_there, "{name}");
        }
        let (username, credential) = credential("w_x7k2m", 86_400);
        let mut tried = 0;
        for bean in defined {
            let class = text(&bean, "/attributes/class");
            let argument = |index: &str| {
                let children = bean.pointer("/children").and_then(Value::as_array).unwrap();
                let found = children.iter().find(|child| text(child, "/attributes/index") == index);
                text(found.unwrap(), "/attributes/value")
            };
            if class.ends_with(".StunServer") {
                host.expect_url(&argument("0"), "", "");
            } else if class.ends_with(".TurnServer") {
                assert_eq!(argument("0"), SECRET);
                assert!(argument("2").parse::<u32>().is_ok());
                host.expect_url(&argument("1"), &username, &credential);
                tried += 1;
            }
        }
        assert_eq!((tried, referred.len()), (2, 3));
    });
}

#[test]
fn livekit_credentials_allocate_over_every_server_of_the_guide() {
    inside_root("livekit_credentials_allocate_over_every_server_of_the_guide", HOST, || {
        let guide = Guide::open("livekit.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let livekit = yaml(&guide.block("yaml", "secret:"));
        let servers = livekit.pointer("/rtc/turn_servers").and_then(Value::as_array).unwrap();
        let (username, credential) = credential("PA_nJ8mRqT4cVwz", 14_400);
        for server in servers {
            assert_eq!(text(server, "/secret"), SECRET);
            host.expect_url(&livekit_url(server), &username, &credential);
        }
        assert_eq!(servers.len(), 2);
        drop(host);

        // The older versions, with a static user.
        let host = GuideHost::start(&guide.block("toml", "livekit = "));
        let livekit = yaml(&guide.block("yaml", "username:"));
        let server = livekit.pointer("/rtc/turn_servers/0").unwrap();
        let (user, password) = (text(server, "/username"), text(server, "/credential"));
        host.expect_url("turn:turn.example.org:3478?transport=udp", &user, &password);
    });
}

#[test]
fn home_assistants_user_allocates_over_every_url_of_the_guide() {
    inside_root("home_assistants_user_allocates_over_every_url_of_the_guide", HOST, || {
        let guide = Guide::open("home-assistant.md");
        let host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let configuration = yaml(&guide.block("yaml", "web_rtc:"));
        let servers = configuration.pointer("/web_rtc/ice_servers").and_then(Value::as_array);
        let mut tried = 0;
        for server in servers.unwrap() {
            let of = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default();
            for url in server.get("url").and_then(Value::as_array).unwrap() {
                host.expect_url(url.as_str().unwrap(), of("username"), of("credential"));
                tried += 1;
            }
        }
        assert_eq!(tried, 3);
        let wrong = host.try_url("turn:turn.example.org:3478?transport=udp", "homeassistant", "x");
        assert!(wrong.is_err(), "{wrong:?}");
    });
}

#[test]
fn every_record_of_the_zone_leads_to_a_listener() {
    let guide = Guide::open("dns.md");
    let records = records(&guide.block("dns", "NAPTR"));
    let has_address = |name: &str| {
        let is_address = |record: &&Record| matches!(record.kind.as_str(), "A" | "AAAA");
        records.iter().filter(is_address).any(|record| record.name == name)
    };
    let config = turn_config::from_str(&guide.block("toml", "[[listen]]"), Path::new("dns.md"));
    let listens = |port: u16, transport: &str| {
        let config = config.as_ref().unwrap();
        let mut listeners = config.listen.iter().filter(|listen| listen.address.port() == port);
        listeners.any(|listen| {
            let mut known = listen.transports.iter().map(|known| format!("{known:?}"));
            known.any(|known| known.eq_ignore_ascii_case(transport))
        })
    };
    let mut served = Vec::new();
    for record in records.iter().filter(|record| record.kind == "SRV") {
        let [_, _, port, target] = &record.data[..] else { panic!("{record:?}") };
        assert!(has_address(target.trim_end_matches('.')), "{record:?}");
        let (service, protocol) =
            record.name.strip_suffix(".example.org").unwrap().split_once('.').unwrap();
        let transport = match (service.ends_with('s'), protocol) {
            (false, "_udp") => "udp",
            (false, "_tcp") => "tcp",
            (true, "_tcp") => "tls",
            (true, "_udp") => "dtls",
            _ => panic!("{record:?}"),
        };
        assert!(listens(port.parse().unwrap(), transport), "{record:?}");
        served.push((record.name.clone(), transport));
    }
    let mut orders = Vec::new();
    for record in records.iter().filter(|record| record.kind == "NAPTR") {
        let [order, _, flags, service, regexp, replacement] = &record.data[..] else {
            panic!("{record:?}")
        };
        // RFC 5928 section 3: S-NAPTR of the service RELAY, here to SRV records.
        assert_eq!((flags.as_str(), regexp.as_str()), ("\"S\"", "\"\""), "{record:?}");
        let transport = service.trim_matches('"').strip_prefix("RELAY:turn.").unwrap();
        let target = replacement.trim_end_matches('.').to_owned();
        assert!(served.contains(&(target, transport)), "{record:?} of {served:?}");
        orders.push(order.parse::<u16>().unwrap());
    }
    assert_eq!((served.len(), orders.len()), (8, 4));
    assert!(orders.is_sorted());
}

#[test]
fn dns_command_prints_the_zone_of_the_guide() {
    inside_root("dns_command_prints_the_zone_of_the_guide", HOST, || {
        let guide = Guide::open("dns.md");
        let _host = GuideHost::start(&guide.block("toml", "[[listen]]"));
        let printed = Daemon::run(["dns", "--host", "turn.example.org"]);
        assert_eq!(printed.exit, Some(0), "{}", printed.output);
        // The host of the test has no public IPv6 address.
        let known = |record: &Record| record.kind != "AAAA";
        let of = |zone: &str| records(zone).into_iter().filter(known).collect::<BTreeSet<_>>();
        assert_eq!(of(&printed.output), of(&guide.block("dns", "NAPTR")), "{}", printed.output);
    });
}

#[test]
fn commands_of_the_index_work() {
    inside_root("commands_of_the_index_work", HOST, || {
        let index = Guide::open("README.md");
        let host = GuideHost::start(&Guide::open("synapse.md").block("toml", "[[listen]]"));
        for command in [
            "turnserver check --config /etc/turnserver.toml",
            "turnserver credentials --user test --ttl 10m --tenant matrix",
            "turnserver allocations",
        ] {
            assert!(index.text().contains(command), "{command}");
            let words = command.split_whitespace().skip(1);
            let finished = Daemon::run(words);
            assert_eq!(finished.exit, Some(0), "{command}: {}", finished.output);
            if command.contains("credentials") {
                let servers: Value = serde_json::from_str(&finished.output).unwrap();
                let turn = servers.pointer("/iceServers/1").unwrap();
                let urls = turn.get("urls").and_then(Value::as_array).unwrap();
                assert_eq!(urls.len(), 3, "{servers}");
                for url in urls {
                    let (name, password) = (text(turn, "/username"), text(turn, "/credential"));
                    host.expect_url(url.as_str().unwrap(), &name, &password);
                }
            }
        }
        // As Kubernetes or a container engine would ask.
        let url = "turn:turn.example.org:3478?transport=udp";
        assert!(Guide::open("dns.md").text().contains(url));
        let probed = Daemon::run(["probe", "--url", url]);
        assert_eq!(probed.exit, Some(0), "{}", probed.output);
    });
}

/// A line of a zone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    name: String,
    kind: String,
    data: Vec<String>,
}

fn records(zone: &str) -> Vec<Record> {
    let mut records = Vec::new();
    for line in zone.lines() {
        let line = line.split(';').next().unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let words: Vec<String> = words.into_iter().filter(|word| word != "3600").collect();
        let [name, class, kind, data @ ..] = &words[..] else { continue };
        assert_eq!(class, "IN", "{line}");
        let name = match (name.as_str(), name.strip_suffix('.')) {
            ("@", _) => "example.org".to_owned(),
            (_, Some(whole)) => whole.to_owned(),
            (name, None) => format!("{name}.example.org"),
        };
        records.push(Record { name, kind: kind.clone(), data: data.to_vec() });
    }
    records
}

/// As LiveKit puts it together.
fn livekit_url(server: &Value) -> String {
    let (host, port) = (text(server, "/host"), server.get("port").and_then(Value::as_u64).unwrap());
    match text(server, "/protocol").as_str() {
        "udp" => format!("turn:{host}:{port}?transport=udp"),
        "tcp" => format!("turn:{host}:{port}?transport=tcp"),
        "tls" => format!("turns:{host}:{port}?transport=tcp"),
        other => panic!("{other} is no protocol of LiveKit"),
    }
}

/// As applications make it: `EXPIRY:USERID` and its HMAC.
fn credential(userid: &str, seconds: u64) -> (String, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    mint(SECRET.as_bytes(), Some(userid), UnixSeconds(now + seconds), ':')
}

fn walk(element: &Value, each: &mut impl FnMut(&Value)) {
    each(element);
    for child in element.pointer("/children").and_then(Value::as_array).unwrap() {
        walk(child, each);
    }
}

fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
