//! One round of one server, and what is printed of several: rate, processor time of the whole process tree, and both as ratios.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

pub const ROUNDS: usize = 3;

/// What one round took.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub operations: f64,
    pub seconds: f64,
    pub processor: f64,
}

/// A server's process trees, by their roots.
#[derive(Clone, Debug)]
pub struct Trees(pub Vec<u32>);

impl Trees {
    /// The time and processor time that `work` takes, which returns its number of operations.
    pub fn measure(&self, work: impl FnOnce() -> usize) -> Sample {
        let (began, before) = (Instant::now(), self.processor_seconds());
        let operations = work() as f64;
        Sample { operations, seconds: began.elapsed().as_secs_f64(), processor: self.processor_seconds() - before }
    }

    /// Of living processes and of their children that ended.
    pub fn processor_seconds(&self) -> f64 {
        // Fields 14 to 17 after the name in parentheses, in hundredths of a second.
        self.stats().iter().flat_map(|fields| fields.iter().skip(11).take(4)).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// What they hold, pages that several share counted in parts.
    pub fn memory_kib(&self) -> u64 {
        let of = |pid: &u32| -> Option<u64> {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            rollup.lines().find(|line| line.starts_with("Pss:"))?.split_whitespace().nth(1)?.parse().ok()
        };
        self.pids().iter().filter_map(of).sum()
    }

    fn stats(&self) -> Vec<Vec<String>> {
        let of = |pid: &u32| -> Option<Vec<String>> { Some(fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect()) };
        self.pids().iter().filter_map(of).collect()
    }

    fn pids(&self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let parent = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok());
            children.entry(parent.unwrap_or(0)).or_default().push(pid);
        }
        let (mut found, mut at) = (self.0.clone(), 0);
        while let Some(pid) = found.get(at) {
            found.extend(children.get(pid).cloned().unwrap_or_default());
            at += 1;
        }
        found
    }
}

pub fn heading() {
    println!("{:<62}{:>10}{:>10}{:>9}{:>7}  {:>9}{:>10}{:>9}", "", "ours", "theirs", "ratio", "aim", "cpu ours", "theirs", "ratio");
}

/// Medians of both, theirs over ours where less is better. `aim` is how many times theirs it should be.
pub fn line(name: &str, aim: f64, ours: &[Sample], theirs: &[Sample]) {
    let rate = |samples: &[Sample]| median(samples.iter().map(|sample| sample.operations / sample.seconds));
    let processor = |samples: &[Sample]| median(samples.iter().map(|sample| sample.processor * 1e6 / sample.operations));
    let (a, b, c, d) = (rate(ours), rate(theirs), processor(ours), processor(theirs));
    let missed = if a / b < aim { " *" } else { "" };
    println!("{name:<62}{:>8}/s{:>8}/s{:>7.2} x{aim:>5} x  {c:>6.0} µs{d:>7.0} µs{:>7.2} x{missed}", figures(a), figures(b), a / b, d / c);
}

/// Three digits at least.
fn figures(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// Interleaved, so that a machine that others use slows both alike; who begins changes from round to round.
pub fn interleaved(mut ours: impl FnMut(usize) -> Sample, mut theirs: impl FnMut(usize) -> Sample) -> (Vec<Sample>, Vec<Sample>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            a.push(ours(round));
            b.push(theirs(round));
        } else {
            b.push(theirs(round));
            a.push(ours(round));
        }
    }
    (a, b)
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * part) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
