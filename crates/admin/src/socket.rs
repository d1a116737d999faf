//! The admin socket: a file that its owner alone may open.
//!
//! A file that a crashed server has left behind is replaced, a socket that
//! somebody answers on never is, and neither is a file of another kind.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A bound admin socket; dropped, its file is removed.
#[derive(Debug)]
pub struct AdminSocket {
    listener: StdListener,
    file: SocketFile,
}

/// The file of a socket, as long as it is ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a successor's file has others.
    identity: (u64, u64),
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another server has it.
    #[error(
        "another server answers at {}; stop it, or give this one another admin.socket",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error(
        "{} exists and is no socket; move it away, or choose another admin.socket",
        path.display()
    )]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The directory cannot be made.
    #[error("cannot make the directory {} of the admin socket: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket cannot be made, or it cannot be told whether it is in use.
    #[error("cannot make the admin socket {}: {source}", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AdminSocket {
    /// Makes the socket, of mode 0600, and its directory, of mode 0700, if there
    /// is none.
    ///
    /// # Errors
    /// [`SocketError`], which names the path and what to do.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let cannot = |source| SocketError::Bind { path: path.to_owned(), source };
        let address = SockAddr::unix(path).map_err(cannot)?;
        make_directory(path)?;
        make_room(path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(cannot)?;
        socket.bind(&address).map_err(cannot)?;
        // Before anybody can connect, which takes a listening socket.
        let prepared = fs::set_permissions(path, Permissions::from_mode(0o600))
            .and_then(|()| SocketFile::at(path));
        let file = prepared.map_err(cannot)?;
        socket.listen(BACKLOG).and_then(|()| socket.set_nonblocking(true)).map_err(cannot)?;
        Ok(Self { listener: socket.into(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Hands the socket to the runtime; the file lives as long as the second.
    pub(crate) fn open(self) -> io::Result<(UnixListener, SocketFile)> {
        Ok((UnixListener::from_std(self.listener)?, self.file))
    }
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // It is stale then, and replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn make_directory(path: &Path) -> Result<(), SocketError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
    else {
        return Ok(());
    };
    if directory.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| SocketError::Directory { path: directory.to_owned(), source })
}

/// Removes a socket that nobody listens on.
fn make_room(path: &Path, address: &SockAddr) -> Result<(), SocketError> {
    let cannot = |source| SocketError::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(cannot)?;
    // A server whose backlog is full lives, too, and must not hold us up.
    probe.set_nonblocking(true).map_err(cannot)?;
    // [R20] What a killed server left behind does not keep the next one from starting.
    match probe.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(cannot)
        }
        Ok(()) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(SocketError::InUse { path: path.to_owned() })
        }
        Err(error) => Err(cannot(error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn the_socket_and_a_new_directory_are_for_their_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run/admin.sock");
        let socket = AdminSocket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(socket.path(), path);
    }

    #[test]
    fn a_dropped_socket_leaves_no_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        drop(AdminSocket::bind(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn r20_a_stale_socket_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "as after kill -9");
        AdminSocket::bind(&path).unwrap();
    }

    #[test]
    fn a_live_socket_is_left_alone_and_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        let first = AdminSocket::bind(&path).unwrap();
        let error = AdminSocket::bind(&path).unwrap_err();
        assert!(matches!(&error, SocketError::InUse { path: named } if *named == path), "{error}");
        assert!(error.to_string().contains("admin.sock"), "{error}");
        assert!(path.exists());
        drop(first);
    }

    #[test]
    fn a_live_socket_with_a_full_backlog_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        let _first = AdminSocket::bind(&path).unwrap();
        let address = SockAddr::unix(&path).unwrap();
        let waiting: Vec<Socket> = (0..2 * BACKLOG)
            .map(|_| {
                let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                client.set_nonblocking(true).unwrap();
                let _ = client.connect(&address);
                client
            })
            .collect();
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse { .. })));
        drop(waiting);
    }

    #[test]
    fn a_file_of_another_kind_is_never_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        fs::write(&path, "precious").unwrap();
        let error = AdminSocket::bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = place.path().join("link.sock");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(AdminSocket::bind(&link), Err(SocketError::NotASocket { .. })));
    }

    #[test]
    fn the_file_of_a_successor_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("admin.sock");
        let old = AdminSocket::bind(&path).unwrap();
        fs::rename(&path, place.path().join("moved.sock")).unwrap();
        let _new = AdminSocket::bind(&path).unwrap();
        drop(old);
        assert!(path.exists());
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }
}
