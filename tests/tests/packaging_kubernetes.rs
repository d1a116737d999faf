//! `packaging/kubernetes`: every manifest is what the Kubernetes API takes, by its own schemas; and the
//! server does what the DaemonSet says of it: files, environment, probes, preStop.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use turn_client::{AllocateOptions, Credentials};
use turn_credentials::UnixSeconds;
use turn_tests::foreign::{Finished, Running, built_binary};
use turn_tests::system::{Daemon, connect, http_get, inside_root};

/// The oldest and the newest API that the manifests are held to.
const VERSIONS: [&str; 2] = ["1.29", "1.37"];

/// What the API server itself knows; a PodMonitor is another program's.
const MANIFESTS: [&str; 3] = ["namespace.yaml", "configmap.yaml", "daemonset.yaml"];

const NODE: [&str; 4] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 10.20.0.5/24 dev v0",
    "ip link set v0 up; ip link set v1 up",
    "ip route add default via 10.20.0.1",
];

const NODE_ADDRESS: &str = "10.20.0.5";

/// Of monitoring.coreos.com/v1, written from its reference: the fields that ours uses, and no other.
const POD_MONITOR: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "required": ["apiVersion", "kind", "metadata", "spec"],
  "properties": {
    "apiVersion": { "const": "monitoring.coreos.com/v1" },
    "kind": { "const": "PodMonitor" },
    "metadata": { "type": "object", "required": ["name"] },
    "spec": {
      "type": "object",
      "additionalProperties": false,
      "required": ["selector", "podMetricsEndpoints"],
      "properties": {
        "jobLabel": { "type": "string" },
        "selector": {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "matchLabels": { "type": "object", "additionalProperties": { "type": "string" } }
          }
        },
        "podMetricsEndpoints": {
          "type": "array",
          "items": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
              "port": { "type": "string", "maxLength": 15 },
              "path": { "type": "string" },
              "interval": { "type": "string", "pattern": "^([0-9]+(ms|[smh]))+$" }
            }
          }
        }
      }
    }
  }
}"#;

#[test]
fn the_schemas_of_the_api_take_every_manifest() {
    for version in VERSIONS {
        for manifest in MANIFESTS {
            let judged = judge(version, &manifests().join(manifest));
            assert_eq!(judged.exit, Some(0), "{}", judged.output);
            assert!(judged.output.contains("passed"), "{}", judged.output);
        }
    }
    let monitor = judge_pod_monitor(&text("podmonitor.yaml"));
    assert_eq!(monitor.exit, Some(0), "{}", monitor.output);
}

#[test]
fn the_schemas_refuse_mistakes() {
    let directory = TempDir::new().unwrap();
    let daemon_set = text("daemonset.yaml");
    for (right, wrong) in [
        ("hostNetwork: true", "hostNetwork: \"yes\""),
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("preStop:", "beforeStop:"),
        ("maxUnavailable: 1", "maxUnavailable: [1]"),
        ("containerPort: 3478, ", ""),
    ] {
        assert!(daemon_set.contains(right), "{right}");
        let path = directory.path().join("daemonset.yaml");
        fs::write(&path, daemon_set.replace(right, wrong)).unwrap();
        let judged = judge(VERSIONS[1], &path);
        assert_eq!(judged.exit, Some(1), "{wrong}: {}", judged.output);
    }
    let monitor = text("podmonitor.yaml");
    for (right, wrong) in [("podMetricsEndpoints", "endpoints"), ("15s", "15 seconds")] {
        let judged = judge_pod_monitor(&monitor.replace(right, wrong));
        assert_ne!(judged.exit, Some(0), "{wrong}");
    }
}

#[test]
fn the_manifests_name_each_other() {
    let listed = yaml("kustomization.yaml");
    let resources: Vec<&str> = texts(&listed, "/resources");
    let mut files: Vec<String> = fs::read_dir(manifests())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "kustomization.yaml")
        .collect();
    files.sort();
    let mut named = resources.clone();
    named.sort_unstable();
    assert_eq!(named, files);

    let (set, monitor) = (yaml("daemonset.yaml"), yaml("podmonitor.yaml"));
    let labels = set.pointer("/spec/template/metadata/labels").unwrap();
    for (manifest, selector) in
        [(&set, "/spec/selector/matchLabels"), (&monitor, "/spec/selector/matchLabels")]
    {
        assert_eq!(manifest.pointer(selector).unwrap(), labels);
    }
    let port = monitor.pointer("/spec/podMetricsEndpoints/0/port").unwrap();
    let ports = container(&set).get("ports").unwrap().as_array().unwrap().clone();
    assert!(ports.iter().any(|known| known.get("name") == Some(port)), "{port}");
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container(&set).get(probe).unwrap().pointer("/httpGet/port"), Some(port));
    }
    let image = listed.pointer("/images/0/name").unwrap();
    assert_eq!(container(&set).get("image").unwrap(), image);
    let version = format!("turnserver {}", listed.pointer("/images/0/newTag").unwrap());
    assert_eq!(Daemon::run(["--version"]).output.trim(), version.replace('"', ""));
}

#[test]
fn the_server_lives_and_ends_as_the_daemon_set_says() {
    inside_root("the_server_lives_and_ends_as_the_daemon_set_says", &NODE, || {
        let set = yaml("daemonset.yaml");
        let container = container(&set);
        mount(&set);
        let mut entry = as_pod(&set, &["/usr/bin/turnserver"]);
        let server = Daemon::with(entry.args(texts(container, "/args")));
        let probe = |name: &str| {
            let path = container.get(name).unwrap().pointer("/httpGet/path").unwrap();
            http_get(format!("{NODE_ADDRESS}:9641").parse().unwrap(), path.as_str().unwrap())
        };
        assert_eq!(probe("livenessProbe").unwrap().status, 200);
        assert_eq!(probe("readinessProbe").unwrap().status, 200);
        let metrics =
            http_get(format!("{NODE_ADDRESS}:9641").parse().unwrap(), "/metrics").unwrap();
        assert!(metrics.body.contains("turn_ready 1"), "{}", metrics.body);

        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let credentials =
            Credentials::time_limited(b"of the secret", Some("ann"), UnixSeconds(now + 3_600));
        let mut client = connect(format!("{NODE_ADDRESS}:3478").parse().unwrap(), credentials);
        let allocated = client.allocate(&AllocateOptions::default());
        allocated.unwrap_or_else(|error| panic!("{error}\n{}", server.output()));

        let words = texts(container, "/lifecycle/preStop/exec/command");
        let mut stop = Running::start(&mut as_pod(&set, &words));
        server.wait_for_output(SOON, |output| output.contains("drain"));
        assert!(stop.wait(Duration::from_millis(500)).is_none(), "a call is live");
        assert_eq!(probe("livenessProbe").unwrap().status, 200);
        assert_eq!(probe("readinessProbe").unwrap().status, 503);
        client.refresh(Duration::ZERO).unwrap();
        let stopped = stop.finish(Duration::from_secs(15));
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
        server.stop("TERM");
    });
}

const SOON: Duration = Duration::from_secs(5);

/// Puts what the image has and the volumes of the pod where its container has them: configuration, secrets,
/// and the directories that are empty at first.
fn mount(set: &Value) {
    fs::copy(built_binary("turnserver"), "/usr/bin/turnserver").unwrap();
    let configuration = yaml("configmap.yaml");
    for mount in container(set).get("volumeMounts").unwrap().as_array().unwrap() {
        let path = Path::new(mount.get("mountPath").unwrap().as_str().unwrap());
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        match mount.get("name").unwrap().as_str().unwrap() {
            "configuration" => {
                for (name, text) in configuration.get("data").unwrap().as_object().unwrap() {
                    fs::write(path.join(name), text.as_str().unwrap()).unwrap();
                }
            }
            "secrets" => {
                let file = path.join("auth.secrets");
                fs::write(&file, "of the secret").unwrap();
                std::os::unix::fs::chown(&file, Some(0), Some(65_534)).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
            }
            _ => assert_ne!(mount.get("readOnly"), Some(&Value::Bool(true))),
        }
    }
}

/// A program with the user and the environment of the pod.
fn as_pod(set: &Value, words: &[&str]) -> Command {
    let pod = set.pointer("/spec/template/spec/securityContext").unwrap();
    let mut command = Command::new("setpriv");
    for (option, field) in [("reuid", "runAsUser"), ("regid", "runAsGroup")] {
        command.arg(format!("--{option}={}", pod.get(field).unwrap()));
    }
    command.args(["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]);
    command.args(words).env_clear();
    for variable in container(set).get("env").unwrap().as_array().unwrap() {
        let name = variable.get("name").unwrap().as_str().unwrap();
        if let Some(value) = variable.get("value") {
            command.env(name, value.as_str().unwrap().replace("$(NODE_ADDRESS)", NODE_ADDRESS));
        }
    }
    command
}

fn container(set: &Value) -> &Value {
    set.pointer("/spec/template/spec/containers/0").unwrap()
}

fn texts<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = value.pointer(pointer).unwrap().as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

/// What the schemas of an API say of a manifest; a field that they do not know is a fault.
fn judge(version: &str, manifest: &Path) -> Finished {
    let mut command = Command::new(tool("kubernetes-validate"));
    command.args(["--strict", "--kubernetes-version", version]).arg(manifest);
    Running::start(&mut command).finish(Duration::from_secs(30))
}

fn judge_pod_monitor(manifest: &str) -> Finished {
    let script = "import json, sys, yaml, jsonschema\n\
                  jsonschema.validate(yaml.safe_load(sys.argv[1]), json.loads(sys.argv[2]))";
    let mut command = Command::new(tool("python"));
    command.args(["-c", script, manifest, POD_MONITOR]);
    Running::start(&mut command).finish(Duration::from_secs(30))
}

fn yaml(manifest: &str) -> Value {
    let script = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(sys.argv[1])))";
    let mut command = Command::new(tool("python"));
    command.args(["-c", script, &text(manifest)]);
    let read = Running::start(&mut command).finish(Duration::from_secs(30));
    serde_json::from_str(&read.output).unwrap_or_else(|error| panic!("{error}: {}", read.output))
}

/// A program of the environment that `cargo xtask tools` has made.
fn tool(name: &str) -> PathBuf {
    let path = sources().join("target/tools/kubernetes/bin").join(name);
    assert!(path.is_file(), "{} is missing; run: cargo xtask tools", path.display());
    path
}

fn text(manifest: &str) -> String {
    fs::read_to_string(manifests().join(manifest)).unwrap()
}

fn manifests() -> PathBuf {
    sources().join("packaging/kubernetes")
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
