//! `packaging/image`: the image, unpacked by umoci and started by crun as a container engine would: uid
//! 65534, a read-only root, no capability, on a host of its own, for clients of another one.
//!
//! Of the control groups nothing is tried: crun refuses machines that mix the two kinds, so the test
//! shows it none.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;
use turn_client::{AllocateOptions, Client, Credentials};
use turn_credentials::UnixSeconds;
use turn_tests::foreign::{Finished, Running, built_binary};
use turn_tests::system::{Echo, Neighbour, inside_root};

/// The clients' end of a cable; the container has the other one.
const CLIENTS: [&str; 4] = [
    "ip link add clients type veth peer name server",
    "ip address add 203.0.113.1/24 dev clients",
    "ip link set clients up",
    "ip route add local 8.8.8.8 dev lo",
];

const SERVER: &str = "203.0.113.7:3478";
const SOON: Duration = Duration::from_secs(5);
const START: Duration = Duration::from_secs(20);

#[test]
fn the_image_relays_without_configuration() {
    let image = Image::build();
    inside_root("the_image_relays_without_configuration", &CLIENTS, || {
        let host = host();
        let mut container = Container::of(&image);
        let running = container.start(&host, &[]);
        let offered = ice_servers(&running.output());
        let credentials = offered.pointer("/iceServers/1").unwrap();
        let [user, password] =
            ["username", "credential"].map(|key| credentials.get(key).unwrap().as_str().unwrap());
        relays(Credentials::password(user, password), &running);

        let status = container.exec(&["/usr/bin/turnserver", "status"]);
        assert_eq!(status.exit, Some(0), "{}", status.output);
        let probe: Vec<String> = container.image.health_check();
        let probe = container.exec(&probe.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(probe.exit, Some(0), "{}", probe.output);
        container.assert_confined();
        container.stop(running);
    });
}

#[test]
fn the_image_understands_what_coturns_official_image_does() {
    let image = Image::build();
    inside_root("the_image_understands_what_coturns_official_image_does", &CLIENTS, || {
        let host = host();
        // Its configuration file, where it is mounted.
        let mut container = Container::of(&image);
        let conf = "lt-cred-mech\nuser=ann:of the mount\nrealm=example.org\n";
        container.mount_file("/etc/coturn/turnserver.conf", conf);
        let running = container.start(&host, &[]);
        relays(Credentials::password("ann", "of the mount"), &running);
        container.stop(running);

        // Its command line, in which it finds the public address out; nobody answers here.
        let mut container = Container::of(&image);
        let line = [
            "-n",
            "--log-file=stdout",
            "--external-ip=$(detect-external-ip)",
            "--relay-ip=$(detect-external-ip)",
            "--lt-cred-mech",
            "--realm=example.org",
            "--user=ann:of the line",
        ];
        let running = container.start(&host, &line);
        relays(Credentials::password("ann", "of the line"), &running);
        container.stop(running);

        // Its variables: asked for, and named.
        let mut container = Container::of(&image);
        container.environment(&["DETECT_EXTERNAL_IP=yes", "DETECT_RELAY_IP=yes"]);
        container
            .environment(&["REAL_EXTERNAL_IP=198.51.100.9", "TURN__AUTH__SECRETS=[\"north\"]"]);
        let running = container.start(&host, &["turnserver", "--log-level", "info"]);
        assert_eq!(advertised(), "198.51.100.9", "{}", running.output());
        container.stop(running);
    });
}

#[test]
fn a_name_is_looked_up_in_the_image() {
    let image = Image::build();
    inside_root("a_name_is_looked_up_in_the_image", &CLIENTS, || {
        let host = host();
        let mut container = Container::of(&image);
        container.mount_file("/etc/hosts", "203.0.113.66 turn.example.org\n");
        container.environment(&["TURN__RELAY__EXTERNAL=[\"dns:turn.example.org\"]"]);
        container.environment(&["TURN__AUTH__SECRETS=[\"north\"]"]);
        let running = container.start(&host, &[]);
        let start = Instant::now();
        // It serves before it has asked.
        while advertised() != "203.0.113.66" {
            assert!(start.elapsed() < SOON, "{}", running.output());
        }
        container.stop(running);
    });
}

#[test]
fn the_image_holds_what_it_says_and_nothing_else() {
    let image = Image::build();
    let config = image.config();
    let inner = config.get("config").unwrap();
    assert_eq!(inner.get("User"), Some(&json!("65534:65534")));
    assert_eq!(inner.get("Entrypoint"), Some(&json!(["/usr/bin/turnserver"])));
    for port in ["3478/udp", "3478/tcp", "5349/udp", "5349/tcp"] {
        assert!(inner.get("ExposedPorts").unwrap().get(port).is_some(), "{port}");
    }
    assert_eq!(image.health_check(), ["/usr/bin/turnserver", "probe"]);

    // Every blob is what its name says, and the archive is the directory.
    let blobs = image.path.join("blobs/sha256");
    let check = "cd \"$1\" && for blob in *; do echo \"$blob  $blob\"; done | sha256sum --check --quiet \
                 && tar --compare --file \"$2.tar\" --directory \"$2\"";
    shell(check, &[&blobs, &image.path]);

    let listed = shell("tar -tzf \"$1\"", &[&image.layer()]);
    let files: Vec<&str> = listed.lines().filter(|path| !path.ends_with('/')).collect();
    let is_known = |path: &&str| {
        path.starts_with("./usr/bin/turn")
            || path.starts_with("./lib")
            || path.starts_with("./usr/share/doc/turnserver/")
            || ["./etc/ssl/certs/ca-certificates.crt", "./etc/nsswitch.conf"].contains(path)
    };
    let strangers: Vec<&&str> = files.iter().filter(|path| !is_known(path)).collect();
    assert!(strangers.is_empty() && files.len() < 12, "{files:#?}");
}

#[test]
fn the_dockerfile_and_the_compose_file_say_what_the_image_says() {
    let image = Image::build();
    let config = image.config();
    let inner = config.get("config").unwrap();
    let [dockerfile, compose] = ["Dockerfile", "compose.yaml"]
        .map(|name| fs::read_to_string(sources().join("packaging/image").join(name)).unwrap());
    let lines: Vec<&str> = dockerfile.lines().collect();
    let has = |line: String| assert!(lines.contains(&line.as_str()), "{line}");
    let list = |key: &str| inner.get(key).unwrap().as_array().unwrap().clone();
    has(format!("USER {}", inner.get("User").unwrap().as_str().unwrap()));
    has(format!("ENTRYPOINT {}", json!(list("Entrypoint"))));
    let words: Vec<Value> = list("Env");
    let words: Vec<&str> = words.iter().map(|pair| pair.as_str().unwrap()).collect();
    has(format!("ENV {}", words.join(" ")));
    let ports: Vec<&String> =
        inner.get("ExposedPorts").unwrap().as_object().unwrap().keys().collect();
    let expose = lines.iter().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    assert!(ports.iter().all(|port| expose.split(' ').any(|said| said == *port)), "{expose}");
    let check = lines.iter().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    assert!(
        check.replace(", ", ",").ends_with(&format!("CMD {}", json!(image.health_check()))),
        "{check}"
    );
    assert!(compose.contains(&format!("image: turnserver:{}\n", image.tag())), "{compose}");
}

/// The OCI layout of the binary under test.
#[derive(Clone)]
struct Image {
    path: PathBuf,
}

impl Image {
    /// Makes it where it is older than what it is made of. A test does so before it enters a root of its
    /// own, in which nothing lasts.
    fn build() -> Self {
        let directory = sources().join("target/image-for-tests");
        fs::create_dir_all(&directory).unwrap();
        let lock = File::create(directory.join("lock")).unwrap();
        lock.lock().unwrap();
        let this = Self { path: directory.join("image") };
        let binary = built_binary("turnserver");
        let build = sources().join("packaging/image/build");
        let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let made = age(&directory.join("image.tar"));
        if made.is_none() || made < age(&binary) || made < age(&build) {
            let mut command = Command::new(build);
            let profile = binary.parent().unwrap().file_name().unwrap();
            command.arg("--profile").arg(profile).arg("--output").arg(&this.path);
            let built = Running::start(&mut command).finish(Duration::from_secs(60));
            assert_eq!(built.exit, Some(0), "{}", built.output);
        }
        this
    }

    fn manifest(&self) -> Value {
        let index = read_json(&self.path.join("index.json"));
        self.blob(index.pointer("/manifests/0/digest").unwrap())
    }

    fn config(&self) -> Value {
        self.blob(self.manifest().pointer("/config/digest").unwrap())
    }

    fn layer(&self) -> PathBuf {
        self.path_of(self.manifest().pointer("/layers/0/digest").unwrap())
    }

    /// What tells an engine whether a container does well.
    fn health_check(&self) -> Vec<String> {
        let config = self.config();
        let words = config.pointer("/config/Healthcheck/Test").unwrap().as_array().unwrap();
        assert_eq!(words[0], "CMD");
        words[1..].iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// What every process of a container has.
    fn environment(&self) -> Vec<(String, String)> {
        let config = self.config();
        let pairs = config.pointer("/config/Env").unwrap().as_array().unwrap();
        let pairs = pairs.iter().map(|pair| pair.as_str().unwrap().split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn tag(&self) -> String {
        let index = read_json(&self.path.join("index.json"));
        let name = "/manifests/0/annotations/org.opencontainers.image.ref.name";
        index.pointer(name).unwrap().as_str().unwrap().to_owned()
    }

    fn blob(&self, digest: &Value) -> Value {
        read_json(&self.path_of(digest))
    }

    fn path_of(&self, digest: &Value) -> PathBuf {
        let digest = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        self.path.join("blobs/sha256").join(digest)
    }
}

/// A container of the image, in a directory of its own.
struct Container {
    image: Image,
    directory: TempDir,
}

impl Container {
    fn of(image: &Image) -> Self {
        let directory = TempDir::new().unwrap();
        let mut unpack = Command::new("umoci");
        unpack.arg("unpack").arg("--image");
        unpack.arg(format!("{}:{}", image.path.display(), image.tag()));
        let unpacked = Running::start(unpack.arg(directory.path().join("bundle"))).finish(START);
        assert_eq!(unpacked.exit, Some(0), "cargo xtask tools? {}", unpacked.output);
        let this = Self { image: image.clone(), directory };
        this.change(|config| {
            config["root"]["readonly"] = json!(true);
            config["process"]["terminal"] = json!(false);
            config["process"]["rlimits"] = json!([]);
            for set in config["process"]["capabilities"].as_object_mut().unwrap().values_mut() {
                *set = json!([]);
            }
            // The network is that of the host where crun runs, and the volume as an engine makes it.
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| {
                mount["destination"] != "/var/lib/turnserver" && mount["type"] != "cgroup"
            });
            for destination in ["/var/lib/turnserver", "/run/turnserver"] {
                let options = ["nosuid", "nodev", "noexec", "mode=0700", "uid=65534", "gid=65534"];
                mounts.push(json!({
                    "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options,
                }));
            }
        });
        this
    }

    fn environment(&self, variables: &[&str]) {
        self.change(|config| {
            let known = config["process"]["env"].as_array_mut().unwrap();
            known.extend(variables.iter().map(|variable| json!(variable)));
        });
    }

    /// As `--volume FILE:PATH:ro`.
    fn mount_file(&self, path: &str, text: &str) {
        let file = self.directory.path().join(path.replace('/', "_"));
        fs::write(&file, text).unwrap();
        self.change(|config| {
            config["mounts"].as_array_mut().unwrap().push(json!({
                "destination": path, "type": "bind", "source": file, "options": ["bind", "ro"],
            }));
        });
    }

    /// Starts the entry point with these arguments, and waits until it serves.
    fn start(&mut self, host: &Neighbour, arguments: &[&str]) -> Running {
        self.change(|config| {
            let words = config["process"]["args"].as_array_mut().unwrap();
            words.extend(arguments.iter().map(|word| json!(word)));
        });
        let bundle = self.directory.path().join("bundle");
        let mut command = self.crun(host);
        command.arg("run").arg("--bundle").arg(bundle).arg("tried");
        let mut running = Running::start(&mut command);
        let start = Instant::now();
        while !running.output().contains("is ready") {
            let waited = start.elapsed();
            assert!(running.is_running() && waited < START, "{}", running.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// As `docker exec`. By hand: on a root of the test's own, crun's would find the machine's.
    fn exec(&self, words: &[&str]) -> Finished {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process().to_string()]);
        command.args(["--mount", "--root", "--wd", "--pid", "--net"]);
        command.args(["--setgid=65534", "--setuid=65534"]);
        command.arg("--").args(words).env_clear().envs(self.image.environment());
        Running::start(&mut command).finish(START)
    }

    /// As `docker stop`: SIGTERM for the first process.
    fn stop(self, running: Running) {
        let stopped = {
            let signal = format!("kill -TERM {}", self.process());
            shell(&signal, &[]);
            running.finish(Duration::from_secs(10))
        };
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
        assert!(stopped.output.contains("stopped"), "{}", stopped.output);
        // No complaint about what the image does not let it do.
        for refusal in ["ermission denied", "Read-only", "not permitted"] {
            assert!(!stopped.output.contains(refusal), "{}", stopped.output);
        }
    }

    fn assert_confined(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        for line in ["Uid:\t65534", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
            assert!(status.contains(line), "no {line} in {status}");
        }
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", self.process())).unwrap();
        let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
        assert!(root.split(' ').nth(3).unwrap().starts_with("ro"), "{root}");
    }

    /// The server's own process, as this namespace counts.
    fn process(&self) -> u64 {
        let state = self.directory.path().join("crun/tried/status");
        read_json(&state).get("pid").unwrap().as_u64().unwrap()
    }

    /// crun on a host, which has no control groups as far as it can see.
    fn crun(&self, host: &Neighbour) -> Command {
        let mut command = host.command("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg("mount -t tmpfs tmpfs /sys/fs/cgroup && exec crun \"$@\"").arg("sh");
        command.arg("--cgroup-manager=disabled").arg("--root");
        command.arg(self.directory.path().join("crun"));
        command
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.directory.path().join("bundle/config.json");
        let mut config = read_json(&path);
        change(&mut config);
        fs::write(&path, config.to_string()).unwrap();
    }
}

/// The host of the container, at the other end of the cable, with a default route as hosts have one.
fn host() -> Neighbour {
    let host = Neighbour::new("server", "203.0.113.7/24");
    let mut route = host.command("ip");
    route.args(["route", "add", "default", "via", "203.0.113.1"]);
    assert!(route.status().unwrap().success());
    host
}

fn client(credentials: Credentials) -> Client {
    Client::connect("203.0.113.1:0".parse().unwrap(), SERVER.parse().unwrap(), credentials).unwrap()
}

/// A client of this host sends through the relay to a peer of this host, and back.
fn relays(credentials: Credentials, running: &Running) {
    let mut client = client(credentials);
    let allocated = client.allocate(&AllocateOptions::default());
    allocated.unwrap_or_else(|error| panic!("{error}\n{}", running.output()));
    let peer = Echo::on("8.8.8.8:5000".parse().unwrap());
    client.create_permission(&[peer.address()]).unwrap();
    client.send_to(peer.address(), b"through the image").unwrap();
    assert_eq!(peer.echo(), b"through the image");
    assert_eq!(client.receive(SOON).unwrap().data, b"through the image");
    client.refresh(Duration::ZERO).unwrap();
}

/// The address of an allocation, as its client learns it.
fn advertised() -> String {
    let mut client = client(time_limited("north"));
    let allocated = client.allocate(&AllocateOptions::default()).unwrap();
    client.refresh(Duration::ZERO).unwrap();
    allocated.relayed.ip().to_string()
}

/// The JSON that the server prints for whoever has no configuration.
fn ice_servers(output: &str) -> Value {
    let (_, rest) = output.split_once("For new RTCPeerConnection(...):").unwrap();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter();
    values.next().unwrap().unwrap()
}

fn time_limited(secret: &str) -> Credentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Credentials::time_limited(secret.as_bytes(), Some("ann"), UnixSeconds(now + 3_600))
}

fn read_json(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn shell(script: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new("sh");
    let ran = Running::start(command.args(["-c", script, "sh"]).args(arguments)).finish(START);
    assert_eq!(ran.exit, Some(0), "{script}: {}", ran.output);
    ran.output
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}
