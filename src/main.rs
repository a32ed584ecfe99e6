//! The story of a run: what was asked for, its settings, the verb, and how it ended as an exit code.

use std::process::ExitCode;

use verbatim::cli;

/// glibc gives each thread a heap of its own, in which what many requests leave behind adds up, and maps the encoder's megabytes
/// page by page. How this one is set: .cargo/config.toml.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where the operator has not said how many threads to use: as many as this process may have cores. candle would ask
/// /proc/cpuinfo, before every product (a fifth of the time on a CPU), and be told of the machine's, whatever the container may use.
#[allow(unsafe_code, reason = "nothing else is told through the environment; see tests/tidy.rs")]
fn bound_threads() {
    const THREADS: &str = "RAYON_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: no other thread runs yet that could read the environment meanwhile.
        unsafe { std::env::set_var(THREADS, cores.to_string()) };
    }
}

fn main() -> ExitCode {
    bound_threads();
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
