//! Numbers for the operator in Prometheus' text format. Series are registered at start; counting takes no lock.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// The labels of one series: names and values known when the program is written, so their number is bounded.
pub type Labels = &'static [(&'static str, &'static str)];

#[derive(Debug, PartialEq, Eq, Error)]
pub enum MetricError {
    #[error("`{name}` is no metric or label name; use letters, digits and underscores, no digit first")]
    Name { name: &'static str },
    #[error("metric `{name}` is registered already with these labels or as another kind; register each series once")]
    Twice { name: &'static str },
    #[error("the buckets of `{name}` do not rise; list finite upper bounds in rising order")]
    Buckets { name: &'static str },
}

/// Only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    pub fn add(&self, step: i64) {
        self.0.fetch_add(step, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How observations spread over fixed buckets.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, inclusive, rising; one more count than bounds, for all above.
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// Seconds, from half a millisecond to ten.
    pub const SECONDS: &'static [f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts `value`; what is not a finite number is left out, for it would spoil the sum for good.
    pub fn observe(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if let Some(count) = self.counts.get(self.bounds.partition_point(|bound| *bound < value)) {
            count.fetch_add(1, Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // `add` never declines.
        let _ = self.sum.fetch_update(Relaxed, Relaxed, add);
    }

    /// Its lines of the exposition.
    pub(crate) fn write(&self, text: &mut String, name: &str, labels: &[(&str, &str)]) {
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut total = 0;
        for (bound, count) in bounds.zip(&self.counts) {
            total += count.load(Relaxed);
            let _ = writeln!(text, "{name}_bucket{} {total}", label_text(labels, Some(&bound)));
        }
        let (sum, plain) = (f64::from_bits(self.sum.load(Relaxed)), label_text(labels, None));
        let _ = writeln!(text, "{name}_sum{plain} {sum}\n{name}_count{plain} {total}");
    }
}

#[derive(Clone, Debug)]
enum Series {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
}

impl Series {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    series: Vec<(Labels, Series)>,
}

/// All series of a service. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Vec<Family>>>);

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// By custom a counter's name ends in `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels) -> Result<Arc<Counter>, MetricError> {
        let counter = Arc::new(Counter::default());
        self.register(name, help, labels, Series::Counter(counter.clone()))?;
        Ok(counter)
    }

    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels) -> Result<Arc<Gauge>, MetricError> {
        let gauge = Arc::new(Gauge::default());
        self.register(name, help, labels, Series::Gauge(gauge.clone()))?;
        Ok(gauge)
    }

    /// `bounds` are the buckets' upper ends in the unit that `name` ends in, such as [`Histogram::SECONDS`].
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        bounds: &'static [f64],
    ) -> Result<Arc<Histogram>, MetricError> {
        let rises = bounds.iter().zip(bounds.iter().skip(1)).all(|(low, high)| low < high);
        if !rises || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(MetricError::Buckets { name });
        }
        if labels.iter().any(|(label, _)| *label == "le") {
            return Err(MetricError::Name { name: "le" });
        }
        let histogram = Arc::new(Histogram::new(bounds));
        self.register(name, help, labels, Series::Histogram(histogram.clone()))?;
        Ok(histogram)
    }

    fn register(&self, name: &'static str, help: &'static str, labels: Labels, series: Series) -> Result<(), MetricError> {
        if let Some(name) = [name].into_iter().chain(labels.iter().map(|(label, _)| *label)).find(|name| !is_name(name)) {
            return Err(MetricError::Name { name });
        }
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match families.iter_mut().find(|family| family.name == name) {
            None => families.push(Family { name, help, series: vec![(labels, series)] }),
            Some(family) => {
                let clashes = |(other, present): &(Labels, Series)| *other == labels || present.kind() != series.kind();
                if family.series.iter().any(clashes) {
                    return Err(MetricError::Twice { name });
                }
                family.series.push((labels, series));
            }
        }
        Ok(())
    }

    /// The text exposition, version 0.0.4, families in the order of their registration.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for family in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let kind = family.series.first().map_or("untyped", |(_, series)| series.kind());
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {} {help}\n# TYPE {} {kind}", family.name, family.name);
            for (labels, series) in &family.series {
                write_series(&mut text, family.name, labels, series);
            }
        }
        text
    }
}

fn write_series(text: &mut String, name: &str, labels: Labels, series: &Series) {
    let plain = label_text(labels, None);
    let _ = match series {
        Series::Counter(counter) => writeln!(text, "{name}{plain} {}", counter.get()),
        Series::Gauge(gauge) => writeln!(text, "{name}{plain} {}", gauge.get()),
        Series::Histogram(histogram) => {
            histogram.write(text, name, labels);
            Ok(())
        }
    };
}

fn label_text(labels: &[(&str, &str)], bound: Option<&str>) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(good) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_exposition_is_exact() {
        let registry = Registry::new();
        let issued = registry.counter("issued_total", "Certificates issued.", &[("profile", "a\"b\\c\nd")]).unwrap();
        let revoked = registry.counter("issued_total", "", &[("profile", "person")]).unwrap();
        let open = registry.gauge("connections", "Open\nnow.", &[]).unwrap();
        let took = registry.histogram("sign_seconds", "Time to sign.", &[("key", "x")], &[0.5, 2.0]).unwrap();
        issued.add(2);
        revoked.increment();
        open.add(3);
        open.add(-5);
        // A value on a bound belongs to that bound's bucket.
        for value in [0.25, 0.5, 1.0, 4.0, f64::NAN, f64::INFINITY] {
            took.observe(value);
        }
        let expected = r#"# HELP issued_total Certificates issued.
# TYPE issued_total counter
issued_total{profile="a\"b\\c\nd"} 2
issued_total{profile="person"} 1
# HELP connections Open\nnow.
# TYPE connections gauge
connections -2
# HELP sign_seconds Time to sign.
# TYPE sign_seconds histogram
sign_seconds_bucket{key="x",le="0.5"} 2
sign_seconds_bucket{key="x",le="2"} 3
sign_seconds_bucket{key="x",le="+Inf"} 4
sign_seconds_sum{key="x"} 5.75
sign_seconds_count{key="x"} 4
"#;
        assert_eq!(registry.render(), expected);
    }

    #[test]
    fn clashes_and_wrong_names_are_refused() {
        let registry = Registry::new();
        registry.counter("a", "", &[("k", "1")]).unwrap();
        registry.counter("a", "", &[("k", "2")]).unwrap();
        let twice = MetricError::Twice { name: "a" };
        assert_eq!(registry.counter("a", "", &[("k", "1")]).unwrap_err(), twice);
        assert_eq!(registry.gauge("a", "", &[("k", "3")]).unwrap_err(), twice);
        for name in ["", "1a", "a-b", "穗"] {
            assert_eq!(registry.gauge(name, "", &[]).unwrap_err(), MetricError::Name { name });
        }
        assert!(registry.gauge("b", "", &[("k-", "")]).is_err());
        assert!(registry.histogram("h", "", &[("le", "1")], &[1.0]).is_err());
        for bounds in [&[1.0, 1.0][..], &[2.0, 1.0], &[f64::NAN], &[1.0, f64::INFINITY]] {
            assert_eq!(registry.histogram("h", "", &[], bounds).unwrap_err(), MetricError::Buckets { name: "h" });
        }
        assert!(!registry.render().contains("TYPE h"));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let registry = Registry::new();
        let counter = registry.counter("c", "", &[]).unwrap();
        let histogram = registry.histogram("h", "", &[], Histogram::SECONDS).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.increment();
                        histogram.observe(1.0);
                    }
                });
            }
        });
        let text = registry.render();
        assert!(text.contains("c 4000\n") && text.contains("h_count 4000\n") && text.contains("h_sum 4000\n"), "{text}");
    }
}
