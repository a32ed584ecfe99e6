//! Every check in its order: its name, how long it may take, and what to say where it takes its process with it.

use std::time::Instant;

use super::case::Case;
use super::finding::{Check, Finding};
use super::{audio, folders, gpu, machine, model, network, server, settings};

/// One check.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As `--only` and the reports call it.
    pub name: &'static str,
    /// That it may take.
    pub seconds: u64,
    run: fn(&Case) -> Finding,
    /// The remedy where it crashed or hung.
    pub lost: &'static str,
}

impl Entry {
    pub fn check(&self, case: &Case) -> Check {
        let started = Instant::now();
        let finding = (self.run)(case);
        Check::new(self.name, finding, started.elapsed().as_millis() as u64)
    }
}

/// For what only looks at something.
const SOON: u64 = 20;
/// For what computes, on a slow machine.
const LATE: u64 = 300;

const OUR_BUG: &str = "this is a bug of verbatim's: report it with this line";
const BROKEN: &str =
    "install verbatim again, built for this processor; if it stays, report it with this line";
const DRIVER: &str = "install the NVIDIA driver again or restart the machine (nvidia-smi must answer); if no GPU is to be used, take \
                      LD_LIBRARY_PATH and the driver's libraries away from verbatim";
const DISK: &str = "the file system does not answer: see mount and the kernel's log (dmesg)";
const NETWORK: &str = "the network or its name server does not answer: check both";

pub const ENTRIES: &[Entry] = &[
    entry("settings", SOON, settings::check, OUR_BUG),
    entry("processor", SOON, machine::processor, OUR_BUG),
    entry("memory", 60, machine::memory, DRIVER),
    entry("gpu-driver", 60, gpu::driver, DRIVER),
    entry("cuda-library", 60, gpu::library, DRIVER),
    entry("gpu", LATE, gpu::device, DRIVER),
    entry("kernels", 60, machine::kernels, BROKEN),
    entry("audio-wav", SOON, |case| audio::format(case, "wav"), BROKEN),
    entry("audio-aiff", SOON, |case| audio::format(case, "aiff"), BROKEN),
    entry("audio-caf", SOON, |case| audio::format(case, "caf"), BROKEN),
    entry("audio-flac", SOON, |case| audio::format(case, "flac"), BROKEN),
    entry("audio-mp3", SOON, |case| audio::format(case, "mp3"), BROKEN),
    entry("audio-mp2", SOON, |case| audio::format(case, "mp2"), BROKEN),
    entry("audio-aac", SOON, |case| audio::format(case, "aac"), BROKEN),
    entry("audio-ogg", SOON, |case| audio::format(case, "ogg"), BROKEN),
    entry("audio-opus", SOON, |case| audio::format(case, "opus"), BROKEN),
    entry("audio-m4a", SOON, |case| audio::format(case, "m4a"), BROKEN),
    entry("audio-alac", SOON, |case| audio::format(case, "alac"), BROKEN),
    entry("audio-webm", SOON, |case| audio::format(case, "webm"), BROKEN),
    entry("isolation", SOON, audio::isolation, "let it decode in its own process: --decode-isolation thread"),
    entry("model", LATE, model::files, DISK),
    entry(
        "transcription",
        LATE,
        model::transcription,
        "take a smaller model (--model), --dtype q8_0 on a CPU, or a machine with more memory",
    ),
    entry("cache", SOON, folders::cache, DISK),
    entry("jobs", SOON, folders::jobs, DISK),
    entry("sessions", SOON, folders::sessions, DISK),
    entry("temporary", SOON, folders::temporary, DISK),
    entry("port", SOON, server::port, NETWORK),
    entry("keys", SOON, server::keys, OUR_BUG),
    entry("open-files", SOON, server::open_files, OUR_BUG),
    entry("clock", SOON, server::clock, OUR_BUG),
    entry("hub", 40, network::hub, NETWORK),
    entry("broker", 30, network::broker, NETWORK),
    entry("store", 30, network::store, NETWORK),
];

const fn entry(name: &'static str, seconds: u64, run: fn(&Case) -> Finding, lost: &'static str) -> Entry {
    Entry { name, seconds, run, lost }
}

pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

/// In the table's order.
pub fn chosen(names: &[String]) -> Vec<Entry> {
    ENTRIES.iter().filter(|entry| names.iter().any(|name| name == entry.name)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_fit_their_column() {
        let mut names = names();
        assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
