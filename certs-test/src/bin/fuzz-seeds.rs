//! Writes the seeds of every parser, one file each, where cargo-fuzz looks for its corpus: `fuzz-seeds fuzz/corpus`.
use std::path::PathBuf;
use std::process::ExitCode;

use certs_test::parsers::TARGETS;

fn main() -> ExitCode {
    let Some(corpus) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: fuzz-seeds DIR   example: fuzz-seeds fuzz/corpus");
        return ExitCode::from(2);
    };
    for target in &TARGETS {
        let directory = corpus.join(target.name);
        let write = |(number, seed): (usize, Vec<u8>)| std::fs::write(directory.join(format!("seed-{number}")), seed);
        let written = std::fs::create_dir_all(&directory).and_then(|()| (target.seeds)().into_iter().enumerate().try_for_each(write));
        if let Err(error) = written {
            eprintln!("fuzz-seeds: cannot write to {}: {error}; choose another directory", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
