//! A job in, what a decoding process answers out, or how it failed. Whoever lets go of a process kills it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use tokio::process;
use tokio::task::spawn_blocking;

use super::frame::{self, Answer, Job};
use crate::audio::decode::{Apart, Limits, took_too_long};
use crate::audio::{AudioError, Pcm};
use crate::transcript::Incomplete;

/// Beyond `audio.max_decode_seconds`, for a process to say that it was too long, and for the upload to reach it.
const GRACE: Duration = Duration::from_secs(3);

/// A process that waits for its one job.
#[derive(Debug)]
pub(super) struct Child {
    /// Killed and buried when dropped.
    process: process::Child,
    input: File,
    output: File,
}

impl Child {
    pub fn new(mut process: process::Child) -> io::Result<Child> {
        let missing = || io::Error::other("a child without pipes");
        // Blocking, so that the samples are copied by threads that may take their time.
        let input = process.stdin.take().ok_or_else(missing)?.into_owned_fd()?.into();
        let output = process.stdout.take().ok_or_else(missing)?.into_owned_fd()?.into();
        Ok(Child { process, input, output })
    }

    pub fn if_alive(mut self) -> Option<Child> {
        matches!(self.process.try_wait(), Ok(None)).then_some(self)
    }

    /// Until it knows how much audio the upload holds. The upload is let go of as soon as the process has it.
    pub async fn decode(self, job: Job, upload: Bytes) -> Result<Told, Failure> {
        let Child { mut process, mut input, mut output } = self;
        let within = job.limits.max_decode_time.saturating_add(GRACE);
        let most = job.limits.max_decoded_bytes;
        let talk = spawn_blocking(move || {
            // One that ended before it had read everything may have answered.
            let _ = frame::write_head(&mut input, &job).and_then(|()| input.write_all(&upload));
            drop((input, upload));
            frame::read_head(&mut output).map(|answer| (answer, output))
        });
        let talked = tokio::time::timeout(within, talk).await.map_err(|_| Failure::Late)?;
        match talked.map_err(|error| Failure::Internal(error.to_string()))? {
            Ok((Answer::Refused(refusal), _)) => {
                Err(refusal.into_error().map_or(Failure::Nonsense, Failure::Refused))
            }
            Ok((Answer::Decoded { channels, samples, incomplete }, output)) => {
                let told = Told { process, output, channels, samples, incomplete, within };
                match channels > 0 && samples > 0 && told.bytes() <= most {
                    true => Ok(told),
                    false => Err(Failure::Nonsense),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Failure::of(&mut process).await)
            }
            Err(_) => Err(Failure::Nonsense),
        }
    }
}

/// A process that has decoded its upload and holds the samples.
#[derive(Debug)]
pub(super) struct Told {
    process: process::Child,
    output: File,
    channels: usize,
    samples: usize,
    incomplete: Option<Incomplete>,
    within: Duration,
}

impl Told {
    pub fn bytes(&self) -> usize {
        self.channels.saturating_mul(self.samples).saturating_mul(size_of::<f32>())
    }

    pub async fn samples(self) -> Result<Apart, Failure> {
        let Told { mut process, mut output, channels, samples, incomplete, within } = self;
        let read = spawn_blocking(move || {
            let pcm = (0..channels).map(|_| frame::read_pcm(&mut output, samples));
            pcm.collect::<io::Result<Vec<Pcm>>>()
        });
        let read = tokio::time::timeout(within, read).await.map_err(|_| Failure::Late)?;
        match read.map_err(|error| Failure::Internal(error.to_string()))? {
            Ok(channels) => Ok(Apart { channels, incomplete }),
            Err(_) => Err(Failure::of(&mut process).await),
        }
    }
}

/// How a process failed its upload.
#[derive(Debug)]
pub(super) enum Failure {
    /// It did not: the upload is no audio of ours.
    Refused(AudioError),
    /// By the wall clock, or by the processor's.
    Late,
    Ended(ExitStatus),
    Nonsense,
    Internal(String),
}

// The numbers are Linux's on x86-64 and arm64.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

impl Failure {
    /// Of one that closed its pipe. To kill it changes nothing where it is ending; else it would never end.
    async fn of(process: &mut process::Child) -> Failure {
        let _ = process.start_kill();
        match process.wait().await {
            Ok(status) if status.signal() == Some(SIGXCPU) => Failure::Late,
            Ok(status) => Failure::Ended(status),
            Err(error) => Failure::Internal(error.to_string()),
        }
    }

    /// What the metrics call it.
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::Refused(error) => error.reason(),
            Failure::Late => "late",
            Failure::Ended(status) => match status.signal() {
                Some(SIGABRT) => "aborted",
                Some(SIGKILL) => "killed",
                _ => "crashed",
            },
            Failure::Nonsense => "nonsense",
            Failure::Internal(_) => "internal",
        }
    }

    /// As the client is told.
    pub fn told(self, limits: &Limits) -> AudioError {
        match self {
            Failure::Refused(error) => error,
            Failure::Late => took_too_long(limits.max_decode_time),
            other => AudioError::GaveUp(other.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(error) => error.fmt(f),
            Failure::Late => f.write_str("it took too long"),
            Failure::Ended(status) => match status.signal() {
                // A Rust program aborts for want of memory and where its stack is full.
                Some(SIGABRT) => {
                    f.write_str("it aborted, as one does that needs more memory than it may have")
                }
                Some(SIGKILL) => f.write_str("it was killed, by the system or an operator"),
                Some(signal) => write!(f, "it crashed with signal {signal}"),
                None => write!(f, "it ended with {status}"),
            },
            Failure::Nonsense => f.write_str("it answered with nonsense"),
            Failure::Internal(detail) => f.write_str(detail),
        }
    }
}
