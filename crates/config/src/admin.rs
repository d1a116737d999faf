//! `[admin]`: what drains, reloads and ends allocations.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::secret::Secret;
use crate::values;

/// The two ways to the admin interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The Unix socket, for whoever may open it. Default: `/run/turnserver/admin.sock`.
    pub socket: SocketPath,
    /// The HTTP listener; then there are tokens and hosts. Default: none.
    pub address: Option<SocketAddr>,
    /// Tokens that the HTTP listener takes, 16 characters at least, none twice. Default: none.
    pub tokens: Vec<Secret>,
    /// Host headers that the HTTP listener answers to, with or without a port. Default: none.
    pub hosts: Vec<String>,
}

/// `admin.socket`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SocketPath {
    /// Nothing is written: here, if it can be made.
    Default(PathBuf),
    /// This is written, and meant. The reader has taken a relative path as relative to the
    /// configuration file's directory.
    At(PathBuf),
    /// No socket.
    Off,
}

impl SocketPath {
    /// The path, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::At(path) => Some(path),
            Self::Off => None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: SocketPath::Default(PathBuf::from(SOCKET)),
            address: None,
            tokens: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

impl Admin {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        let written = section.has("address");
        let admin = Self {
            socket: section.value("socket", socket).unwrap_or(default.socket),
            address: section.value("address", |value| values::socket_address(value, ADDRESS)),
            tokens: read_tokens(section),
            hosts: section
                .list("hosts", host)
                .map(|listed| listed.into_iter().map(|(host, _)| host).collect())
                .unwrap_or_default(),
        };
        if written {
            // Without a host name to insist on, any page in the operator's browser could call.
            let mut need = |key: &str, is_missing: bool, message: &str, help: &str| {
                if is_missing && (!section.has(key) || section.is_empty_list(key)) {
                    let span = section.span_of("address");
                    section.complain("address", span, Complaint::new(message, help));
                }
            };
            need(
                "tokens",
                admin.tokens.is_empty(),
                "an admin listener needs a token",
                "add under [admin]: tokens = [\"...\"], such as one that `openssl rand -hex 24` \
                 prints",
            );
            need(
                "hosts",
                admin.hosts.is_empty(),
                "an admin listener needs the names that it is called by",
                "add under [admin]: hosts = [\"turn.example.org\"]",
            );
        }
        admin
    }

    /// Makes a relative path of the socket start from `directory`.
    pub(crate) fn start_from(&mut self, directory: &Path) {
        if let SocketPath::At(path) = &mut self.socket {
            *path = directory.join(&*path);
        }
    }
}

fn read_tokens(section: &mut Section<'_, '_>) -> Vec<Secret> {
    let Some(value) = section.hidden("tokens") else {
        return Vec::new();
    };
    let Some(items) = value.get_ref().as_array() else {
        let help = "put it in brackets: tokens = [\"...\"]";
        let complaint = Complaint::wrong_type("a list", value.get_ref(), help);
        section.complain("tokens", value.span(), complaint);
        return Vec::new();
    };
    let mut tokens = Vec::new();
    for item in items.iter() {
        match token(item.get_ref()) {
            Ok(token) if tokens.contains(&token) => {
                let complaint = Complaint::new("listed twice", "name each token once");
                section.complain("tokens", item.span(), complaint);
            }
            Ok(token) => tokens.push(token),
            Err(complaint) => section.complain("tokens", item.span(), complaint),
        }
    }
    tokens
}

fn token(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    let Some(text) = value.as_str() else {
        return Err(Complaint::wrong_type("a string", value, "write the token in quotes"));
    };
    // It travels in a header field.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Complaint::new(
            "a token has printable ASCII characters only, and no spaces",
            "write one that `openssl rand -hex 24` prints",
        ));
    }
    if text.len() < LEAST_TOKEN {
        return Err(Complaint::new(
            format!("a token of fewer than {LEAST_TOKEN} characters can be guessed"),
            "write one that `openssl rand -hex 24` prints",
        ));
    }
    Ok(Secret::new(text))
}

fn host(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "turn.example.org")?;
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let help = format!("write the name alone: \"{host}\"");
        return Err(Complaint::new("a URL, not a host name", help));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err(Complaint::new(
            "not a host name",
            "write a name or address as it stands in the URL, such as \"turn.example.org\"",
        ));
    }
    Ok(text.to_owned())
}

fn socket(value: &DeValue<'_>) -> Result<SocketPath, Complaint> {
    if value.as_str() == Some("off") {
        return Ok(SocketPath::Off);
    }
    if value.as_str().is_some_and(|text| !text.contains('/')) {
        return Err(Complaint::new(
            "not a path",
            format!("write a path with a slash, such as \"{SOCKET}\", or \"off\" for none"),
        ));
    }
    let path = values::path(value, SOCKET, "the socket")?;
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(Complaint::new(
            format!("the path of a Unix socket has {LONGEST_PATH} bytes at most"),
            format!("write a shorter one, such as \"{SOCKET}\""),
        ));
    }
    Ok(SocketPath::At(path))
}

/// The default path; the directory belongs to the systemd unit.
const SOCKET: &str = "/run/turnserver/admin.sock";

/// The address of examples.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9642);

/// Characters of a token that may be called unguessable.
const LEAST_TOKEN: usize = 16;

/// `sun_path` less its final NUL.
const LONGEST_PATH: usize = 107;
