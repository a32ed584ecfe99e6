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
        let most = job.limits.max_decoded_bytes;
        let (answer, talk) = self.ask(job, upload).await?;
        match answer {
            Answer::Decoded { channels, samples, incomplete } => {
                let told = Told { talk, channels, samples, incomplete };
                match channels > 0 && samples > 0 && told.bytes() <= most {
                    true => Ok(told),
                    false => Err(Failure::Nonsense),
                }
            }
            _ => Err(Failure::Nonsense),
        }
    }

    /// Until the first part is there; `job` asks for parts.
    pub async fn begin(self, job: Job, upload: Bytes) -> Result<Telling, Failure> {
        let left = job.limits.max_decoded_bytes / size_of::<f32>();
        let (answer, talk) = self.ask(job, upload).await?;
        Ok(Telling { answer: Some(answer), talk: Some(talk), left })
    }

    /// The first answer, unless that is a refusal.
    async fn ask(self, job: Job, upload: Bytes) -> Result<(Answer, Talk), Failure> {
        let Child { process, mut input, output } = self;
        let within = job.limits.max_decode_time.saturating_add(GRACE);
        let talk = Talk { process, output, within };
        let (talk, answer) = talk
            .hear(move |output| {
                // One that ended before it had read everything may have answered.
                let _ = frame::write_head(&mut input, &job).and_then(|()| input.write_all(&upload));
                drop((input, upload));
                frame::read_head(output)
            })
            .await?;
        Ok((answer_of(answer)?, talk))
    }
}

/// # Errors
/// `Refused` for a refusal.
fn answer_of(answer: Answer) -> Result<Answer, Failure> {
    match answer {
        Answer::Refused(refusal) => Err(refusal.into_error().map_or(Failure::Nonsense, Failure::Refused)),
        answer => Ok(answer),
    }
}

/// A process that was asked.
#[derive(Debug)]
struct Talk {
    process: process::Child,
    output: File,
    within: Duration,
}

impl Talk {
    /// What is read from the process, within the time it has.
    async fn hear<R: Send + 'static>(
        self,
        read: impl FnOnce(&mut File) -> io::Result<R> + Send + 'static,
    ) -> Result<(Talk, R), Failure> {
        let Talk { mut process, mut output, within } = self;
        let read = spawn_blocking(move || read(&mut output).map(|heard| (heard, output)));
        let read = tokio::time::timeout(within, read).await.map_err(|_| Failure::Late)?;
        match read.map_err(|error| Failure::Internal(error.to_string()))? {
            Ok((heard, output)) => Ok((Talk { process, output, within }, heard)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Failure::of(&mut process).await)
            }
            Err(_) => Err(Failure::Nonsense),
        }
    }
}

/// A process that tells its samples as they come, and waits while nobody asks.
#[derive(Debug)]
pub(super) struct Telling {
    /// Not looked at yet.
    answer: Option<Answer>,
    /// `None` after a failure.
    talk: Option<Talk>,
    /// Samples that may still come.
    left: usize,
}

/// What it tells next.
pub(super) enum Next {
    Part(Pcm, Option<Duration>),
    End(Option<Incomplete>),
}

impl Telling {
    pub async fn next(&mut self) -> Result<Next, Failure> {
        let talk = self.talk.take().ok_or(Failure::Nonsense)?;
        let (talk, answer) = match self.answer.take() {
            Some(answer) => (talk, answer),
            None => talk.hear(frame::read_head).await?,
        };
        match answer_of(answer)? {
            Answer::Part { samples, expected } if samples > 0 && samples <= self.left => {
                let (talk, pcm) = talk.hear(move |output| frame::read_pcm(output, samples)).await?;
                self.left -= samples;
                self.talk = Some(talk);
                Ok(Next::Part(pcm, expected))
            }
            Answer::End { incomplete } => Ok(Next::End(incomplete)),
            _ => Err(Failure::Nonsense),
        }
    }
}

/// A process that has decoded its upload and holds the samples.
#[derive(Debug)]
pub(super) struct Told {
    talk: Talk,
    channels: usize,
    samples: usize,
    incomplete: Option<Incomplete>,
}

impl Told {
    pub fn bytes(&self) -> usize {
        self.channels.saturating_mul(self.samples).saturating_mul(size_of::<f32>())
    }

    pub async fn samples(self) -> Result<Apart, Failure> {
        let Told { talk, channels, samples, incomplete } = self;
        let read = move |output: &mut File| -> io::Result<Vec<Pcm>> {
            (0..channels).map(|_| frame::read_pcm(output, samples)).collect()
        };
        let (_, channels) = talk.hear(read).await?;
        Ok(Apart { channels, incomplete })
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
