//! Debian's Chromium, headless, on one page, with an empty profile and a home of its own.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::nss;
use super::process::Running;

/// What keeps it quiet, on its own, and with a camera and a microphone that are not there.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
];

/// A running browser; dropped, it is gone with all its processes.
#[derive(Debug)]
pub(super) struct Browser {
    process: Running,
}

impl Browser {
    /// Opens a page. `launcher` stands before the command, as `ip netns exec NAME`; `origin`
    /// counts as secure, so that hashes and fake devices work off loopback too; `authorities`,
    /// certificates in PEM, are trusted beside the browser's own.
    ///
    /// # Panics
    /// When there is no Chromium.
    pub(super) fn open(
        url: &str,
        origin: &str,
        launcher: &[String],
        authorities: &[String],
    ) -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        if !authorities.is_empty() {
            nss::trust(home.path(), authorities);
        }
        let profile = home.path().join("profile");
        fs::create_dir(&profile).expect("the profile's directory can be made");
        // The browser must not outlive a test that was killed itself. This holds for the thread
        // that starts it, which waits for the call's end.
        let mut words = launcher.iter().map(String::as_str).chain([
            "setpriv",
            "--pdeathsig",
            "KILL",
            "chromium",
        ]);
        let mut command = Command::new(words.next().unwrap_or("setpriv"));
        command
            .args(words)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--unsafely-treat-insecure-origin-as-secure={origin}"))
            .arg(url)
            .env("HOME", home.path())
            .env_remove("DISPLAY")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME");
        assert!(is_there(), "chromium is missing; run: cargo xtask tools");
        Self { process: Running::start_in(home, &mut command) }
    }

    /// Whether it still runs.
    pub(super) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// The end of what it wrote, to explain a failure.
    pub(super) fn last_words(&self) -> String {
        let output = self.process.output();
        let lines: Vec<&str> = output.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}

fn is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join("chromium").is_file())
}
