//! Every parser that reads what strangers send, each with what must hold for any input at all.
//!
//! `cargo test -p certs-test --test parsers` runs each over its seeds and some hundreds of mutations, the same every time.
//! With `SUIYIN_FUZZ_SECONDS=3600` each is given that long instead, with other mutations every time; `SUIYIN_FUZZ_TARGETS=smtp,imap`
//! runs those alone, and `SUIYIN_FUZZ_SEED` the mutations of an earlier run.
//! For a long run led by what the code does, with `cargo install cargo-fuzz` and a nightly compiler:
//! `cargo run -p certs-test --bin fuzz-seeds -- fuzz/corpus && cargo +nightly fuzz run smtp`, and so on for each name in [`TARGETS`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dialogues;
mod filings;
mod pki_inputs;
mod rows;
mod tree;
mod trust;

use crate::demo::Dice;

/// A parser under test.
pub struct Target {
    /// Also the name of its program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
    /// Good inputs, from which mutations start.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 25] = [
    Target { name: "smtp", run: dialogues::smtp, seeds: dialogues::smtp_seeds },
    Target { name: "imap", run: dialogues::imap, seeds: dialogues::imap_seeds },
    Target { name: "pop3", run: dialogues::pop3, seeds: dialogues::pop3_seeds },
    Target { name: "mime", run: dialogues::mime, seeds: dialogues::mime_seeds },
    Target { name: "request", run: pki_inputs::request, seeds: pki_inputs::request_seeds },
    Target { name: "ocsp", run: pki_inputs::ocsp, seeds: pki_inputs::ocsp_seeds },
    Target { name: "ocsp_answer", run: trust::ocsp_answer, seeds: trust::ocsp_answer_seeds },
    Target { name: "cms", run: pki_inputs::cms, seeds: pki_inputs::cms_seeds },
    Target { name: "certificate", run: pki_inputs::certificate, seeds: pki_inputs::certificate_seeds },
    Target { name: "crl", run: pki_inputs::crl, seeds: pki_inputs::crl_seeds },
    Target { name: "timestamp_request", run: trust::timestamp_request, seeds: trust::timestamp_request_seeds },
    Target { name: "cades", run: trust::cades, seeds: trust::cades_seeds },
    Target { name: "timestamp", run: trust::timestamp, seeds: trust::timestamp_seeds },
    Target { name: "blocklist", run: trust::blocklist, seeds: trust::blocklist_seeds },
    Target { name: "path", run: trust::path, seeds: trust::path_seeds },
    Target { name: "constraints", run: trust::constraints, seeds: trust::constraints_seeds },
    Target { name: "manifest", run: rows::manifest, seeds: rows::manifest_seeds },
    Target { name: "statement", run: rows::statement, seeds: rows::statement_seeds },
    Target { name: "registrar", run: rows::registrar, seeds: rows::registrar_seeds },
    Target { name: "identity", run: rows::identity, seeds: rows::identity_seeds },
    Target { name: "checkpoint", run: tree::checkpoint, seeds: tree::checkpoint_seeds },
    Target { name: "tile", run: tree::tile, seeds: tree::tile_seeds },
    Target { name: "proof", run: tree::proof, seeds: tree::proof_seeds },
    Target { name: "filing", run: filings::filing, seeds: filings::filing_seeds },
    Target { name: "table", run: filings::table, seeds: filings::table_seeds },
];

/// Runs one target by its name.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    (target.run)(input);
}

/// One change or a few: bits, octets, lengths, pieces taken out, doubled, or put in from another seed.
pub fn mutated(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: [u8; 16] = [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, b'\r', b'\n', b'.', b'"', b'<', b' ', 0x30, b'\\'];
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(3) {
        let at = index(dice, bytes.len());
        let (start, length) = (index(dice, other.len()), index(dice, 16) + 1);
        let piece = other.get(start..other.len().min(start + length)).unwrap_or_default().to_vec();
        let end = bytes.len().min(at + length);
        match dice.below(8) {
            0 => change(&mut bytes, at, |byte| byte ^ 1 << (length % 8)),
            1 => change(&mut bytes, at, |byte| byte.wrapping_add(1)),
            2 => change(&mut bytes, at, |_| TELLING.get(length - 1).copied().unwrap_or(0)),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => drop(bytes.splice(at..at, piece)),
            6 => drop(bytes.splice(at..end, piece)),
            _ => {
                let again = bytes.get(at..end).unwrap_or_default().to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
    }
    bytes
}

fn index(dice: &mut Dice, below: usize) -> usize {
    usize::try_from(dice.below(below as u64)).unwrap_or(0)
}

fn change(bytes: &mut [u8], at: usize, change: impl Fn(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

/// Whether `part` stands somewhere in `whole`.
fn stands_in(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}
