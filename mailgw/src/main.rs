//! The gateway's one program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    runtime::terminal::arguments("mailgw").map_or_else(|exit| exit, mailgw::cli::run).into()
}
