//! The enterprise's and the bureau's one program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    filing::cli::arguments().map_or_else(|exit| exit, filing::cli::run).into()
}
