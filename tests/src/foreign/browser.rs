//! Debian's Chromium, headless, on one page, with an empty profile and a home of its own.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::nss;
use super::process::Running;

/// What keeps it quiet and on its own.
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
];

/// A camera and a microphone that are not there, and nobody who must allow them.
const FAKE_MEDIA: &[&str] =
    &["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/// What goes on past the warning about a certificate that nobody knows, as a person does by a click.
const PAST_WARNINGS: &str = "--ignore-certificate-errors";

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
        let secure = format!("--unsafely-treat-insecure-origin-as-secure={origin}");
        Self::start(home, url, launcher, FAKE_MEDIA.iter().copied().chain([secure.as_str()]))
    }

    /// Opens a page as a person does who goes on past the warning about its certificate; with a
    /// camera, or without one.
    ///
    /// # Panics
    /// When there is no Chromium.
    pub(super) fn visit(url: &str, has_camera: bool) -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        let media = if has_camera { FAKE_MEDIA } else { &[] };
        Self::start(home, url, &[], media.iter().copied().chain([PAST_WARNINGS]))
    }

    fn start<'f>(
        home: TempDir,
        url: &str,
        launcher: &[String],
        flags: impl Iterator<Item = &'f str>,
    ) -> Self {
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
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.display()))
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
