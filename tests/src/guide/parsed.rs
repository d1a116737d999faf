//! What other programs' parsers make of a block: Python's, since nobody here wrote them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::foreign::Running;

const LIMIT: Duration = Duration::from_secs(60);

/// Python of the environment that Synapse and PyYAML are installed in.
///
/// # Panics
/// When it is not there.
pub fn python() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let python = tools.join("synapse/bin/python");
    assert!(python.is_file(), "{} is missing; run: cargo xtask tools", python.display());
    python
}

/// A block of YAML.
///
/// # Panics
/// When it is none.
pub fn yaml(text: &str) -> Value {
    parsed("import yaml; value = yaml.safe_load(text)", text)
}

/// A block of INI: an object for each section.
///
/// # Panics
/// When it is none.
pub fn ini(text: &str) -> Value {
    let script = "import configparser; p = configparser.ConfigParser(interpolation=None); \
                  p.read_string(text); value = {name: dict(p[name]) for name in p.sections()}";
    parsed(script, text)
}

/// A block of XML: each element as `{tag, attributes, children}`, names without their namespace.
///
/// # Panics
/// When it is none.
pub fn xml(text: &str) -> Value {
    let script = "\
import xml.etree.ElementTree as tree
def shown(e):
    return {'tag': e.tag.split('}')[-1], 'attributes': e.attrib, 'children': [shown(c) for c in e]}
value = shown(tree.fromstring(text.encode()))";
    parsed(script, text)
}

fn parsed(script: &str, text: &str) -> Value {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let file = directory.path().join("block");
    fs::write(&file, text).expect("a block can be written");
    let script = format!(
        "import json, sys\ntext = open(sys.argv[1]).read()\n{script}\nprint(json.dumps(value))"
    );
    let mut command = Command::new(python());
    let finished = Running::start(command.args(["-c", &script]).arg(&file)).finish(LIMIT);
    assert_eq!(finished.exit, Some(0), "{text}\n{}", finished.output);
    serde_json::from_str(&finished.output)
        .unwrap_or_else(|error| panic!("{error}: {}", finished.output))
}
