//! The configurations of guides, and what they come to: `tests/fixtures/NAME.conf` and
//! `tests/golden/NAME.toml`.
//!
//! After a change that is meant, write the golden files anew, read them, and commit them:
//! `BLESS=1 cargo test --profile checked -p turn-coturn --test fixtures`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use turn_coturn::{Import, ImportOptions, has_active_line, import, looks_like_coturn, parse_file};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "conf")).collect();
    files.sort();
    assert_eq!(files.len(), 10);
    files
}

fn imported(file: &Path, keep_peer_policy: bool) -> Import {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(looks_like_coturn(Path::new("/etc/turnserver"), &text), turn_coturn::Format::Coturn);
    assert!(has_active_line(&text));
    let name = file.file_name().unwrap().to_string_lossy();
    let parsed = parse_file(&text, &name);
    let options = ImportOptions { keep_peer_policy };
    import(&parsed, &common::surroundings(), options).unwrap_or_else(|refused| panic!("{refused}"))
}

#[test]
fn every_fixture_comes_to_its_golden_file() {
    let bless = std::env::var_os("BLESS").is_some();
    for file in files() {
        let import = imported(&file, false);
        let mut text = String::new();
        for note in import.warnings() {
            writeln!(text, "# {note}").unwrap();
        }
        writeln!(text, "\n{}", import.config.to_toml()).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy();
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.toml"));
        if bless {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(text, expected, "{name}: see the head of this test for how to write it anew");
    }
}

#[test]
fn every_fixture_relays_and_reads_back_from_its_toml() {
    for file in files() {
        for keep_peer_policy in [false, true] {
            let config = imported(&file, keep_peer_policy).config;
            assert!(config.can_relay() && !config.auth.anonymous, "{}", file.display());
            let read = turn_config::from_str(&config.to_toml(), Path::new("/etc/turnserver.toml"));
            match read {
                Ok(read) => assert_eq!(read, config, "{}", file.display()),
                Err(errors) => panic!("{}\n{errors}", file.display()),
            }
        }
    }
}
