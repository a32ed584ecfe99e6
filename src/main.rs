//! The story of a run: what was asked for, its settings, the verb, and how it ended as an exit code.

use std::process::ExitCode;

use verbatim::cli;

/// glibc gives each thread a heap of its own, in which what many requests leave behind adds up, and maps the encoder's megabytes
/// page by page. How this one is set: .cargo/config.toml.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let asked = cli::parse();
    match cli::run(asked) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            // One line for people and for collectors alike: logging may not be up, or may be filtered.
            eprintln!("verbatim: error: {failure}");
            failure.exit.code()
        }
    }
}
