//! The authority's one program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    runtime::terminal::arguments("ca").map_or_else(|exit| exit, ca::cli::run).into()
}
