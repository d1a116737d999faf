//! A body that grows line by line while pages of the allocation log are read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc;
use tracing::warn;

use super::usage::{LogQuery, UsageBook, UsageError};

/// Pages that wait for their reader.
const AHEAD: usize = 2;

/// The body.
pub(crate) struct Lines {
    pages: mpsc::Receiver<Result<Bytes, Broken>>,
}

/// The log cannot be read any further: the answer breaks off, so that nobody
/// takes its beginning for the whole.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the allocation log breaks off")]
pub(crate) struct Broken;

impl Lines {
    /// Reads the first page, and the others as fast as the reader takes them.
    ///
    /// # Errors
    /// The first page cannot be read.
    pub(crate) async fn of(book: Arc<dyn UsageBook>, query: LogQuery) -> Result<Self, UsageError> {
        let mut page = book.allocation_log(query.clone()).await?;
        let (sender, pages) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut query = query;
            loop {
                let is_empty = page.lines.is_empty();
                let text: String =
                    page.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                // Who has gone needs no more.
                if sender.send(Ok(text.into())).await.is_err() {
                    return;
                }
                let Some(next) = page.next else { return };
                // A place that does not move on would be read for ever.
                let is_stuck = is_empty || query.after.as_ref() == Some(&next);
                query.after = Some(next);
                page = match book.allocation_log(query.clone()).await {
                    Ok(page) if !is_stuck => page,
                    Ok(_) => return broken(&sender, "its pages do not move on").await,
                    Err(error) => return broken(&sender, &error.to_string()).await,
                };
            }
        });
        Ok(Self { pages })
    }
}

async fn broken(sender: &mpsc::Sender<Result<Bytes, Broken>>, why: &str) {
    warn!("an export of the allocation log breaks off: {why}");
    let _ = sender.send(Err(Broken)).await;
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.pages.poll_recv(context).map(|page| page.map(|page| page.map(Frame::data)))
    }
}
