//! The subscriber: level and format, which a reload changes, and the way of a line to its sink.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};
use turn_config::{Log, LogFormat, LogLevel, LogTarget};

use super::sink::{Sink, SinkError};

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Format = Box<dyn Layer<Filtered> + Send + Sync>;

/// The running log; what is queued is written when it is dropped.
pub struct Logger {
    sink: Sink,
    lines: Lines,
    filter: reload::Handle<EnvFilter, Registry>,
    format: reload::Handle<Format, Filtered>,
    dropped: ErrorCounter,
    _queue: WorkerGuard,
}

/// Starts logging.
///
/// # Errors
/// The target cannot be written.
pub fn start(log: &Log) -> Result<Logger, SinkError> {
    let sink = Sink::open(log)?;
    let (queue, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .thread_name("log")
        .finish(Behind::new(sink.clone()));
    let dropped = queue.error_counter();
    let lines = Lines { is_serving: Arc::new(AtomicBool::new(false)), queue, sink: sink.clone() };
    let (filter_layer, filter) = reload::Layer::new(filter(log.level));
    let (format_layer, format) = reload::Layer::new(format(log, &lines));
    // A second start in one process, as in tests, keeps the first one's subscriber.
    let _ = tracing_subscriber::registry().with(filter_layer).with(format_layer).try_init();
    Ok(Logger { sink, lines, filter, format, dropped, _queue: guard })
}

impl Logger {
    /// From now on nobody waits for whoever reads the log.
    pub fn serve(&self) {
        self.lines.is_serving.store(true, Ordering::Relaxed);
    }

    /// Takes level, format and facility over; the target stays.
    pub fn apply(&self, log: &Log) {
        // They fail where the subscriber has gone, and its log with it.
        let _ = self.filter.reload(filter(log.level));
        let _ = self.format.reload(format(log, &self.lines));
        self.sink.set_facility(&log.syslog_facility);
    }

    /// Lines that found the queue full.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }

    /// Opens a log file anew; says whether there is one.
    ///
    /// # Errors
    /// It cannot be opened; the old one is written on.
    pub fn reopen(&self) -> Result<bool, SinkError> {
        self.sink.reopen()
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger").field("sink", &self.sink).finish_non_exhaustive()
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // [H29] The DTLS library logs what any client can provoke.
    EnvFilter::new(format!("{level},dimpl=off,hyper=warn,hyper_util=warn,axum=warn"))
}

fn format(log: &Log, lines: &Lines) -> Format {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_target(false)
        .with_ansi(false);
    let is_syslog = match log.target {
        LogTarget::Syslog => true,
        LogTarget::Stderr | LogTarget::File(_) => false,
    };
    match (log.format, is_syslog) {
        (LogFormat::Text, false) => layer.boxed(),
        // The daemon puts its own time in front.
        (LogFormat::Text, true) => layer.without_time().boxed(),
        (LogFormat::Json, _) => layer.json().boxed(),
    }
}

/// Where a line goes: straight to the sink until the server serves, through the queue then.
#[derive(Debug, Clone)]
struct Lines {
    is_serving: Arc<AtomicBool>,
    queue: NonBlocking,
    sink: Sink,
}

/// One line on its way.
struct Line<'a> {
    lines: &'a Lines,
    level: Level,
}

/// The queue's far end. A queued line begins with a byte for its level.
struct Behind {
    sink: Sink,
    /// Lines that are written when the queue is empty, with one call.
    gathered: Vec<u8>,
}

/// Bytes of lines that are gathered at most.
const MOST_GATHERED: usize = 64 * 1024;

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, level: *metadata.level() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if self.lines.is_serving.load(Ordering::Relaxed) {
            let level = LEVELS.iter().position(|level| *level == self.level).unwrap_or(0);
            let mut queued = Vec::with_capacity(record.len() + 1);
            queued.push(u8::try_from(level).unwrap_or(0));
            queued.extend_from_slice(record);
            // A full queue drops it and reports no error.
            self.lines.queue.clone().write_all(&queued)?;
        } else {
            self.lines.sink.write(self.level, record);
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Behind {
    const fn new(sink: Sink) -> Self {
        Self { sink, gathered: Vec::new() }
    }
}

impl Write for Behind {
    fn write(&mut self, queued: &[u8]) -> io::Result<usize> {
        let Some((level, record)) = queued.split_first() else { return Ok(0) };
        if self.sink.takes_lines_together() {
            self.gathered.extend_from_slice(record);
            if self.gathered.len() >= MOST_GATHERED {
                self.flush()?;
            }
        } else {
            let level = LEVELS.get(usize::from(*level)).copied().unwrap_or(Level::ERROR);
            self.sink.write(level, record);
        }
        Ok(queued.len())
    }

    /// The queue is empty, or the log ends.
    fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.sink.write(Level::INFO, &self.gathered);
            self.gathered.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    // One test for all of it: a process has one subscriber.
    #[test]
    fn level_format_and_file_change_while_it_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.log");
        let mut log = Log { target: LogTarget::File(path.clone()), ..Log::default() };
        let logger = start(&log).unwrap();
        tracing::debug!("too fine");
        // [H29] What a stranger chose makes no second line and no second field.
        tracing::info!(answer = 42, user = "a\nb reason=\"x", "at once");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#"user="a\nb reason=\"x""#) && text.lines().count() == 1, "{text}");
        assert!(text.contains("INFO") && text.contains("at once answer=42"), "{text}");
        assert!(!text.contains("too fine"), "{text}");

        logger.serve();
        log.level = LogLevel::Debug;
        log.format = LogFormat::Json;
        logger.apply(&log);
        tracing::debug!(answer = 43, "queued");
        let text = until(&path, "queued");
        let line = text.lines().last().unwrap();
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["fields"]["answer"], 43);
        assert_eq!(json["level"], "DEBUG");

        std::fs::rename(&path, directory.path().join("t.log.1")).unwrap();
        assert!(logger.reopen().unwrap());
        tracing::warn!("into the new one");
        assert_eq!(until(&path, "into the new one").lines().count(), 1);
    }

    #[test]
    fn lines_that_wait_together_are_written_with_one_call_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.log");
        let log = Log { target: LogTarget::File(path.clone()), ..Log::default() };
        let mut behind = Behind::new(Sink::open(&log).unwrap());
        let text = || std::fs::read_to_string(&path).unwrap();
        behind.write_all(b"\x02one\n").unwrap();
        behind.write_all(b"\x00two\n").unwrap();
        assert_eq!(text(), "");
        behind.flush().unwrap();
        assert_eq!(text(), "one\ntwo\n");
        behind.flush().unwrap();
        assert_eq!(text(), "one\ntwo\n");
        let long = [b"\x02".to_vec(), vec![b'x'; MOST_GATHERED]].concat();
        behind.write_all(&long).unwrap();
        assert_eq!(text().len(), 8 + MOST_GATHERED, "it does not wait for ever");
    }

    fn until(path: &Path, text: &str) -> String {
        for _ in 0..500 {
            let found = std::fs::read_to_string(path).unwrap_or_default();
            if found.contains(text) {
                return found;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{text} never came");
    }
}
