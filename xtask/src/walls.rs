//! The walls between the rooms (docs/architecture.md, "Rooms"): which crate may know which, `net`
//! never matches on a STUN method, `turn` never names a socket.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::root;
use crate::metadata::{Metadata, Package};
use crate::rust_source::{code_only, files, words};

/// Who may know whom, by normal dependencies. Who is not on the left is not a crate yet.
const ARROWS: &[(&str, &[&str])] = &[
    ("turn-codec", &[]),
    ("turn-credentials", &["turn-codec"]),
    ("stun-responder", &["turn-codec"]),
    ("turn-engine", &["turn-codec", "turn-credentials"]),
    ("turn-udp", &[]),
    ("turn-tls", &[]),
    ("turn-dtls", &[]),
    (
        "turn-net",
        &[
            "turn-codec",
            "turn-credentials",
            "stun-responder",
            "turn-engine",
            "turn-udp",
            "turn-dtls",
        ],
    ),
    ("turn-config", &[]),
    ("turn-coturn", &["turn-config"]),
    ("turn-admin", &[]),
    ("turn-users", &["turn-credentials"]),
    ("turn-usage", &[]),
    ("turn-external", &["turn-codec"]),
    ("turn-call", &[]),
    ("turn-client", &["turn-codec", "turn-credentials", "turn-udp"]),
    ("turn-testkit", &["turn-engine", "turn-codec", "turn-credentials"]),
];

/// Who may know everybody.
const FREE: &[&str] = &["turnserver", "turn-tests", "turn-benches", "turn-instructions", "xtask"];

/// The crates without I/O, and what they may not depend on.
pub(crate) const WITHOUT_IO: &[&str] =
    &["turn-codec", "turn-credentials", "stun-responder", "turn-engine"];
const IO: &[&str] = &["getrandom", "libc", "mio", "rand", "rustix", "socket2", "tokio"];

/// Words that mean a look into a STUN message.
const METHOD_WORDS: &[&str] = &[
    "Method",
    "ALLOCATE",
    "BINDING",
    "CHANNEL_BIND",
    "CONNECTION_ATTEMPT",
    "CONNECTION_BIND",
    "CREATE_PERMISSION",
    "REFRESH",
];

/// Words that mean a socket.
const SOCKET_WORDS: &[&str] = &[
    "AsFd",
    "AsRawFd",
    "BorrowedFd",
    "OwnedFd",
    "RawFd",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "libc",
    "mio",
    "socket2",
    "tokio",
];

/// Checks every wall.
///
/// # Errors
/// Lists the violations.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    let mut violations = arrows(metadata);
    let rooms = [
        ("crates/net/src", METHOD_WORDS, "net never matches on a STUN method"),
        ("crates/turn/src", SOCKET_WORDS, "turn never names a socket"),
    ];
    for (directory, forbidden, wall) in rooms {
        for file in files(&root().join(directory))? {
            let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            violations.extend(forbidden_words(&source, forbidden).map(|(line, word)| {
                format!("{}:{line}: `{word}`: {wall}", relative(&file).display())
            }));
        }
    }
    if violations.is_empty() {
        return Ok(());
    }
    bail!("{} violation(s)\n    {}", violations.len(), violations.join("\n    "))
}

/// A path as seen from the workspace's root.
pub(crate) fn relative(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}

fn arrows(metadata: &Metadata) -> Vec<String> {
    let members: Vec<&str> = metadata.packages.iter().map(|member| member.name.as_str()).collect();
    metadata.packages.iter().flat_map(|package| arrows_from(package, &members)).collect()
}

fn arrows_from(package: &Package, members: &[&str]) -> Vec<String> {
    let name = package.name.as_str();
    if FREE.contains(&name) {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        return vec![format!("{name}: a new crate needs its arrows in xtask/src/walls.rs")];
    };
    let stranger = |to: &&str| members.contains(to) && !allowed.contains(to);
    let io = |to: &&str| WITHOUT_IO.contains(&name) && IO.contains(to);
    package
        .normal_dependencies()
        .filter(|to| stranger(to) || io(to))
        .map(|to| format!("{name} may not know {to}"))
        .collect()
}

fn forbidden_words(
    source: &str,
    forbidden: &[&'static str],
) -> impl Iterator<Item = (usize, &'static str)> {
    let code = code_only(source);
    let found: Vec<_> = words(&code)
        .filter_map(|(line, word)| {
            forbidden.iter().find(|bad| **bad == word).map(|bad| (line, *bad))
        })
        .collect();
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    #[test]
    fn a_planted_arrow_is_found() {
        let codec = package("turn-codec", &["turn-engine", "sha1"]);
        assert_eq!(
            arrows_from(&codec, &["turn-codec", "turn-engine"]),
            ["turn-codec may not know turn-engine"]
        );
    }

    #[test]
    fn arrows_of_the_drawing_pass() {
        let engine = package("turn-engine", &["turn-codec", "turn-credentials", "hashbrown"]);
        assert!(
            arrows_from(&engine, &["turn-codec", "turn-credentials", "turn-engine"]).is_empty()
        );
    }

    #[test]
    fn a_dev_dependency_is_no_arrow() {
        let mut udp = package("turn-udp", &["turn-client"]);
        udp.dependencies.iter_mut().for_each(|to| to.kind = Some("dev".to_owned()));
        assert!(arrows_from(&udp, &["turn-udp", "turn-client"]).is_empty());
    }

    #[test]
    fn a_crate_that_nobody_drew_is_found() {
        assert_eq!(arrows_from(&package("turn-new", &[]), &["turn-new"]).len(), 1);
    }

    #[test]
    fn a_runtime_below_the_engine_is_found() {
        let engine = package("turn-engine", &["tokio"]);
        assert_eq!(arrows_from(&engine, &["turn-engine"]), ["turn-engine may not know tokio"]);
    }

    #[test]
    fn a_planted_method_is_found_and_a_comment_is_not() {
        let source = "// Method::ALLOCATE\nmatch message.method() { Method::REFRESH => {} }";
        let found: Vec<_> = forbidden_words(source, METHOD_WORDS).collect();
        assert_eq!(found, [(2, "Method"), (2, "REFRESH")]);
    }

    #[test]
    fn a_planted_socket_is_found_and_an_address_is_not() {
        let source =
            "use std::net::SocketAddr;\nfn f(s: &std::net::UdpSocket) { log(\"UdpSocket\") }";
        let found: Vec<_> = forbidden_words(source, SOCKET_WORDS).collect();
        assert_eq!(found, [(2, "UdpSocket")]);
    }

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|&name| Dependency { name: name.to_owned(), kind: None })
            .collect();
        Package { name: name.to_owned(), manifest_path: "Cargo.toml".into(), dependencies }
    }
}
