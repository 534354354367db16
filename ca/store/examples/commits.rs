//! Durable commits a second on each embedded engine, interleaved: 16 committers, one record of 700 bytes and three
//! index keys each. `cargo run --release -p store --example commits [DIRECTORY]`
#![allow(clippy::unwrap_used)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::{Batch, Key, Template, open};

const ROUNDS: usize = 5;
const COMMITTERS: usize = 16;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let place = tempfile::tempdir_in(base).unwrap();
    let engines = ["fjall:f", "sled:s"];
    let stores = engines.map(|engine| open(engine, place.path()).unwrap());
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (store, rates) in stores.iter().zip(&mut rates) {
            let done = AtomicU64::new(0);
            let (start, used) = (Instant::now(), processor());
            std::thread::scope(|scope| {
                for thread in 0..COMMITTERS {
                    let done = &done;
                    scope.spawn(move || {
                        for number in 0_u64.. {
                            if start.elapsed() > ROUND {
                                break;
                            }
                            let name = format!("{round}.{thread}.{number}");
                            let mut batch = Batch::new();
                            let serial = batch.next("serial");
                            let mut batch = batch.put(Template::numbered("record", &[], serial), vec![7; 700]);
                            for index in ["name", "code", "expiry"] {
                                batch = batch.put(Key::new(index, &[name.as_bytes()]), b"1".as_slice());
                            }
                            store.commit(batch).unwrap();
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            let done = done.load(Ordering::Relaxed) as f64;
            rates.push((done / start.elapsed().as_secs_f64(), (processor() - used).as_micros() as f64 / done));
        }
    }
    for (engine, rates) in engines.iter().zip(&rates) {
        let each: Vec<String> = rates.iter().map(|(rate, cost)| format!("{rate:.0}/s at {cost:.0} µs of processor")).collect();
        println!("{engine}: {}", each.join(", "));
    }
    let [fjall, sled] = rates.map(|mut rates| {
        rates.sort_by(|one, other| one.0.total_cmp(&other.0));
        rates[ROUNDS / 2].0
    });
    println!("fjall / sled {:.2}", fjall / sled);
    drop(stores);
    for engine in engines {
        let start = Instant::now();
        let store = open(engine, place.path()).unwrap();
        println!("{engine} opens {} records in {:.2} s", store.counter("serial").unwrap() * 4, start.elapsed().as_secs_f64());
    }
}

/// What this process has used, user and system, in clock ticks of ten milliseconds.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
