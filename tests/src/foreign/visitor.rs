//! Somebody at a browser who opens a page by its address and stays there.

use super::browser::Browser;

/// A visitor; dropped, the browser is closed.
#[derive(Debug)]
pub struct Visitor {
    browser: Browser,
}

impl Visitor {
    /// Opens a page with a camera and a microphone, which are fake, past the warning about its
    /// certificate.
    ///
    /// # Panics
    /// When there is no Chromium.
    pub fn open(url: &str) -> Self {
        Self { browser: Browser::visit(url, true) }
    }

    /// The same without camera and microphone.
    ///
    /// # Panics
    /// When there is no Chromium.
    pub fn without_camera(url: &str) -> Self {
        Self { browser: Browser::visit(url, false) }
    }

    /// Whether the browser still runs.
    pub fn is_there(&mut self) -> bool {
        self.browser.is_running()
    }

    /// The end of what the browser wrote, to explain a failure.
    pub fn last_words(&self) -> String {
        self.browser.last_words()
    }
}
