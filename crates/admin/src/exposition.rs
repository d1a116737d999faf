//! Prometheus' text format 0.0.4, written.
//!
//! An encoder of our own, because the usual library writes OpenMetrics: there the
//! HELP and TYPE of a counter name it without the `_total` that its samples have,
//! which `promtool check metrics` and readers of the older format take for two
//! metrics. It would also add that suffix to coturn's names, which have none.

use std::fmt::Write as _;

use crate::latencies::{LATENCY_BOUNDS, Latencies};

/// The media type of what [`Exposition`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text that grows by families.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

/// What a family's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One family, to which samples are added.
#[derive(Debug)]
pub(crate) struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
}

/// A sample's number; whole numbers keep all their digits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    Whole(u64),
    Real(f64),
}

impl Exposition {
    /// Opens a family. Its head is written even where no sample follows, so that
    /// the list of names does not depend on the configuration.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = kind.as_str();
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        push(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.text, name }
    }

    /// A counter.
    pub(crate) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, Kind::Counter, help)
    }

    /// A gauge.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, Kind::Gauge, help)
    }

    /// A histogram.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, Kind::Histogram, help)
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) -> &mut Self {
        self.line("", labels, value.into());
        self
    }

    /// Adds a sample where there is one.
    pub(crate) fn known(
        &mut self,
        labels: &[(&str, &str)],
        value: Option<impl Into<Value>>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.line("", labels, value.into());
        }
        self
    }

    /// Adds the samples of one histogram.
    pub(crate) fn latencies(&mut self, labels: &[(&str, &str)], took: &Latencies) -> &mut Self {
        let mut below = 0;
        let bounds = LATENCY_BOUNDS.iter().map(ToString::to_string);
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&took.counts) {
            below += count;
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            self.line("_bucket", &labels, Value::Whole(below));
        }
        self.line("_sum", labels, Value::Real(took.sum));
        self.line("_count", labels, Value::Whole(below));
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: Value) {
        push(self.text, format_args!("{}{suffix}", self.name));
        for (index, (label, word)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            push(self.text, format_args!("{open}{label}=\""));
            word.chars().for_each(|character| push_escaped(self.text, character));
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        match value {
            Value::Whole(number) => push(self.text, format_args!(" {number}\n")),
            Value::Real(number) if number.is_finite() => {
                push(self.text, format_args!(" {number}\n"));
            }
            Value::Real(_) => push(self.text, format_args!(" NaN\n")),
        }
    }
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Whole(u64::from(is_so))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// The names of all series in a text, those of a histogram with their suffixes.
pub(crate) fn names_in(text: &str) -> Vec<String> {
    let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    heads
        .flat_map(|(name, kind)| {
            let suffixes: &[&str] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        })
        .collect()
}

fn push_escaped(text: &mut String, character: char) {
    match character {
        '\\' => text.push_str("\\\\"),
        '"' => text.push_str("\\\""),
        '\n' => text.push_str("\\n"),
        character => text.push(character),
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_head_and_its_samples() {
        let mut page = Exposition::default();
        page.counter("turn_things_total", "Things.").sample(&[], 3_u64);
        page.gauge("turn_ready", "Whether.").sample(&[("a", "x"), ("b", "y")], true);
        let expected = "# HELP turn_things_total Things.\n\
                        # TYPE turn_things_total counter\n\
                        turn_things_total 3\n\
                        # HELP turn_ready Whether.\n\
                        # TYPE turn_ready gauge\n\
                        turn_ready{a=\"x\",b=\"y\"} 1\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn h30_a_label_cannot_leave_its_quotes() {
        let mut page = Exposition::default();
        page.gauge("x", "").sample(&[("realm", "a\"} 1\ny{b=\"\\")], 0_u64);
        let text = page.into_text();
        assert_eq!(text.lines().last(), Some(r#"x{realm="a\"} 1\ny{b=\"\\"} 0"#));
    }

    #[test]
    fn buckets_add_up() {
        let counts = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let took = Latencies { counts, sum: 0.25 };
        let mut page = Exposition::default();
        page.histogram("t_seconds", "T.").latencies(&[("transport", "tls")], &took);
        let text = page.into_text();
        assert!(text.contains("t_seconds_bucket{transport=\"tls\",le=\"0.0001\"} 2\n"), "{text}");
        assert!(text.contains("t_seconds_bucket{transport=\"tls\",le=\"5\"} 2\n"), "{text}");
        assert!(text.contains("t_seconds_bucket{transport=\"tls\",le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("t_seconds_sum{transport=\"tls\"} 0.25\n"), "{text}");
        assert!(text.ends_with("t_seconds_count{transport=\"tls\"} 3\n"), "{text}");
        assert_eq!(names_in(&text), ["t_seconds_bucket", "t_seconds_sum", "t_seconds_count"]);
    }

    #[test]
    fn numbers_that_are_none_do_not_break_the_page() {
        let mut page = Exposition::default();
        page.gauge("x", "X.").sample(&[], f64::INFINITY).sample(&[], u64::MAX);
        assert!(page.into_text().ends_with("x NaN\nx 18446744073709551615\n"));
    }
}
