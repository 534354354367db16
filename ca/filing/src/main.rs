//! The enterprise's and the bureau's one program.
#![forbid(unsafe_code)]

/// The desk's threads make and drop signatures, receipts and records of some thousand octets, for which glibc's allocator walks lists.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    filing::cli::arguments().map_or_else(|exit| exit, filing::cli::run).into()
}
