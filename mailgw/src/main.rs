//! The gateway's one program.
#![forbid(unsafe_code)]

/// A month's statements are some thousand small pieces of memory each, made by one thread and given back by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    runtime::terminal::arguments("mailgw").map_or_else(|exit| exit, mailgw::cli::run).into()
}
