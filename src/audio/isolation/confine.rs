//! A job in; this process held by the system to what the job may use.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

use super::frame::Job;
use crate::telemetry::memory;

/// Beside the upload and the samples: one packet, the resampler's filters, what a container's tables take.
const FIXED: u64 = 128 << 20;

/// From here on this process dies with its server.
pub(super) fn to_life_of(server: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that.
    match getppid() {
        Some(parent) if i64::from(parent.as_raw_nonzero().get()) == i64::from(server) => Ok(()),
        _ => Err(io::Error::other("the server is gone")),
    }
}

/// Memory and processor time by the job's own limits; no files, sockets, processes or core dumps.
pub(super) fn to_job(job: &Job) -> io::Result<()> {
    // Growing lists double before they are filled, and demuxers keep tables of what the upload lists.
    let room = FIXED
        .saturating_add((job.upload as u64).saturating_mul(4))
        .saturating_add((job.limits.max_decoded_bytes as u64).saturating_mul(2));
    // What is mapped already (a GPU build maps gigabytes of libraries) is not the job's.
    let mapped = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let now = |name: &str| memory::kibibytes(&mapped, name).unwrap_or(0);
    limit(Resource::Data, now("VmData:").saturating_add(room))?;
    limit(Resource::As, now("VmSize:").saturating_add(room))?;
    // The decoder minds its own clock and says so; this is for one that does not come to it.
    let seconds = job.limits.max_decode_time.as_secs().saturating_add(2);
    // At the hard limit the system kills without a word; a second earlier it says why.
    limit_in_two(Resource::Cpu, (seconds, seconds.saturating_add(1)))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    // The standard streams are open; nothing can be opened any more.
    limit(Resource::Nofile, 3)
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    limit_in_two(resource, (most, most))
}

/// The same where the soft limit and the hard one differ.
fn limit_in_two(resource: Resource, (soft, hard): (u64, u64)) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let least = |most: u64| [Some(most), now.current, now.maximum].into_iter().flatten().min();
    Ok(setrlimit(resource, Rlimit { current: least(soft), maximum: least(hard) })?)
}
