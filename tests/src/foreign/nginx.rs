//! Debian's nginx with a configuration as an operator writes it; its logs, pid file and temporary
//! files are in a directory of the test's own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Running, until};
use crate::system::is_root;

/// A running nginx; dropped, it is stopped.
#[derive(Debug)]
pub struct Nginx {
    process: Running,
}

impl Nginx {
    /// Starts it with a whole `nginx.conf` for Debian and waits until it accepts connections.
    ///
    /// What Debian keeps in `/etc/nginx` and `/var/lib/nginx` is looked for elsewhere: nginx is
    /// not installed.
    ///
    /// # Panics
    /// When it refuses the configuration or does not listen.
    pub fn start(configuration: &str, listening: SocketAddr) -> Self {
        let binary = tree("usr/sbin/nginx");
        let directory = TempDir::new().expect("a temporary directory can be made");
        let file = directory.path().join("nginx.conf");
        fs::write(&file, at_home(configuration)).expect("a configuration can be written");
        // Debian's user for workers may not look into a temporary directory of root.
        let user = if is_root() { "user root;" } else { "" };
        let mut command = Command::new(binary);
        command.arg("-p").arg(directory.path()).arg("-c").arg(&file);
        command.args(["-e", "stderr", "-g", &format!("daemon off; pid nginx.pid; {user}")]);
        let mut process = Running::start_in(directory, &mut command);
        let accepts = || !process.is_running() || TcpStream::connect(listening).is_ok();
        let waited = until(Duration::from_secs(10), accepts);
        let listens = waited.is_ok() && process.is_running();
        assert!(listens, "nginx does not listen on {listening}: {}", process.output());
        Self { process }
    }

    /// What it has logged so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// A configuration for an nginx that is not installed.
fn at_home(configuration: &str) -> String {
    let module = tree("usr/lib/nginx/modules/ngx_stream_module.so");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {name};\n"))
        .concat();
    configuration
        .replace(
            "include /etc/nginx/modules-enabled/*.conf;",
            &format!("load_module {};", module.display()),
        )
        .replace("/etc/nginx/mime.types", &tree("etc/nginx/mime.types").display().to_string())
        .replace("http {\n", &format!("http {{\n    access_log off;\n{temporary}"))
}

/// Where a file of Debian's packages is.
fn tree(file: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/nginx").join(file);
    assert!(path.is_file(), "nginx's {file} is missing; run: cargo xtask tools");
    path
}
