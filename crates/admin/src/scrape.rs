//! Figures for whoever scrapes. However many do at once, the shards are asked
//! five times a second at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::control::Control;
use crate::figures::Figures;

/// So old may an answer be.
const FRESH: Duration = Duration::from_millis(200);

/// The last look, shared by those who come meanwhile.
pub(crate) struct Scrape {
    control: Arc<dyn Control>,
    last: Mutex<Option<(Instant, Arc<Figures>)>>,
}

impl Scrape {
    pub(crate) fn new(control: Arc<dyn Control>) -> Self {
        Self { control, last: Mutex::new(None) }
    }

    /// The figures of this moment, or of a moment ago.
    pub(crate) async fn figures(&self) -> Arc<Figures> {
        // [H30]
        let mut last = self.last.lock().await;
        if let Some((at, figures)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Arc::clone(figures);
        }
        let figures = Arc::new(self.control.metrics().await);
        *last = Some((Instant::now(), Arc::clone(&figures)));
        figures
    }
}
