//! `verbatim decode-worker`: one job and its upload on standard input in, samples or an error on standard output out.
//!
//! It starts before settings, logs and threads, so that an idle one takes next to nothing.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;

use super::frame::{self, Answer, Job};
use crate::audio::Pcm;
use crate::audio::decode::{Limits, Taker, decode_channels, decode_in_parts};

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
    match job.part {
        Some(part) => answer_in_parts(&mut output, upload.into(), (&job.limits, part)),
        None => frame::write_answer(&mut output, decode_channels(upload.into(), &job.limits, job.channels)),
    }
}

/// A server that takes no more keeps the pipe full, and this process waiting; one that has left closes it.
fn answer_in_parts(output: &mut File, upload: Bytes, (limits, part): (&Limits, usize)) -> io::Result<()> {
    let mut broken = None;
    let mut take = |pcm: Pcm, expected: Option<Duration>| {
        broken = frame::write_part(output, &pcm, expected).err();
        broken.is_none()
    };
    let decoded = decode_in_parts(upload, limits, Taker { part, take: &mut take });
    match (broken, decoded) {
        (Some(error), _) => Err(error),
        (None, Ok(incomplete)) => frame::write_head(output, &Answer::End { incomplete }),
        (None, Err(error)) => frame::write_head(output, &Answer::Refused(error.into())),
    }
}
