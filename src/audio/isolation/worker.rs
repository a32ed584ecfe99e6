//! `verbatim decode-worker`: one job and its upload on standard input in, samples or an error on standard output out.
//!
//! It starts before settings, logs and threads, so that an idle one takes next to nothing.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use super::frame::{self, Job};
use crate::audio::decode::decode_channels;

/// `server`: the process that this one dies with.
///
/// # Errors
/// Where the pipes break or a limit cannot be set; nobody but the exit code can tell.
pub fn run(server: u32) -> io::Result<()> {
    // Not `Stdin` and `Stdout`, which look for lines in samples.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    #[cfg(target_os = "linux")]
    super::confine::to_life_of(server)?;
    let job: Job = frame::read_head(&mut input)?;
    #[cfg(target_os = "linux")]
    super::confine::to_job(&job)?;
    #[cfg(not(target_os = "linux"))]
    let _ = server;
    let mut upload = vec![0; job.upload];
    input.read_exact(&mut upload)?;
    #[cfg(any(feature = "faults", debug_assertions))]
    super::rehearsal::rehearse(&upload);
    frame::write_answer(&mut output, decode_channels(upload.into(), &job.limits, job.channels))
}
