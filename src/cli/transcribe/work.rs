//! Files to do and a loaded model in, their texts written and an exit code out: several files under way, results as they come.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;

use crate::cli::load::Loaded;
use crate::cli::progress::{Files, clock};
use crate::cli::{Exit, Failure};
use crate::engine::{EngineError, Worker};
use crate::format::{Layout, render};
use crate::shutdown::Shutdown;
use crate::transcriber::{Progress, Terms, TranscribeError, Transcriber};
use crate::transcript::{Options, Transcript};

use super::before::Stamp;
use super::{Plan, plural};

/// How often the progress bars learn what the engine has done.
const REFRESH: Duration = Duration::from_millis(250);

pub async fn transcribe_all(
    plan: &Plan,
    (options, layout): &(Options, Layout),
    loaded: Loaded,
) -> Result<Exit, Failure> {
    let Loaded { transcriber, mut worker } = loaded;
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let files = &plan.inputs.files;
    let size = |index: &usize| Stamp::of(&files[*index].path).map(|stamp| stamp.bytes());
    let bars = Files::new(plan.todo.iter().map(size).collect());
    // Enough files under way to fill every slot even if each is a single window, and one more being read.
    let abreast = transcriber.model().slots + 1;
    let work = futures::stream::iter(plan.todo.iter().enumerate()).map(|(place, index)| {
        let (transcriber, bars) = (&transcriber, &bars);
        async move {
            let progress = Progress::default();
            bars.begin(place, plan.output.name(*index), &progress);
            let path = &files[*index].path;
            // As it is before it is read.
            let stamp = Stamp::of(path);
            (place, *index, stamp, transcribe(transcriber, path, options, &progress).await)
        }
    });
    // In a folder nothing waits for its turn, so that what is done is kept.
    let mut results = match &plan.before {
        Some(_) => work.buffer_unordered(abreast).left_stream(),
        None => work.buffered(abreast).right_stream(),
    };
    let mut refresh = tokio::time::interval(REFRESH);
    let mut done = Done { failed: plan.inputs.problems.len(), ..Done::default() };
    loop {
        tokio::select! {
            next = results.next() => match next {
                None => break,
                Some((place, index, stamp, result)) => {
                    let length = result.as_ref().map_or(0.0, |transcript| transcript.duration.as_secs_f64());
                    let written = result.and_then(|transcript| {
                        bars.aside(|| write(plan, (index, stamp), &transcript, layout))
                    });
                    if let Err(reason) = written {
                        if let Some(lost) = lost(&mut worker).await {
                            return Err(lost);
                        }
                        bars.aside(|| eprintln!("verbatim: error: {}: {reason}", plan.output.name(index)));
                        done.failed += 1;
                    } else {
                        done.files += 1;
                    }
                    bars.end(place, length);
                }
            },
            _ = refresh.tick() => bars.refresh(),
            end = worker.ended() => return Err(device_lost(end)),
            () = shutdown.graceful.cancelled() => {
                done.interrupted = true;
                break;
            }
        }
    }
    bars.finish();
    done.tell(plan, &bars);
    Ok(if done.failed > 0 || done.interrupted { Exit::SomeFailed } else { Exit::Done })
}

#[derive(Default)]
struct Done {
    files: usize,
    failed: usize,
    interrupted: bool,
}

impl Done {
    fn tell(&self, plan: &Plan, bars: &Files) {
        let all = plan.todo.len();
        let (sum, wall) = (bars.sum(), bars.wall());
        if self.interrupted {
            let again = if plan.before.is_some() { "; the same command goes on from here" } else { "" };
            eprintln!("verbatim: interrupted: {} of {all} files were done{again}", self.files);
        } else if plan.inputs.files.len() > 1 {
            let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
            eprintln!(
                "verbatim: {} {} done{failed}: {} of audio in {}, {:.1} times real time",
                self.files,
                plural(self.files, "file"),
                clock(sum.heard),
                clock(wall),
                sum.speed
            );
        }
    }
}

/// The device's end reaches the files in work and the worker's handle at about the same time; it counts as the device's.
async fn lost(worker: &mut Worker) -> Option<Failure> {
    let grace = Duration::from_millis(100);
    tokio::time::timeout(grace, worker.ended()).await.ok().map(device_lost)
}

pub fn device_lost(end: Result<(), EngineError>) -> Failure {
    let error = end.err().unwrap_or(EngineError::Closed);
    Failure::new(Exit::DeviceLost, error)
}

async fn transcribe(
    transcriber: &Transcriber,
    file: &Path,
    options: &Options,
    progress: &Progress,
) -> Result<Transcript, String> {
    let upload = read(file).await.map_err(|error| error.to_string())?;
    let asked = (options, Terms::default());
    let work = transcriber.transcribe_watched(upload.into(), asked, None, progress);
    work.await.map_err(|error| match error {
        TranscribeError::Internal(detail) => format!("internal error: {detail}"),
        error => error.to_string(),
    })
}

async fn read(file: &Path) -> std::io::Result<Bytes> {
    if file != Path::new("-") {
        return Ok(tokio::fs::read(file).await?.into());
    }
    let whole = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    });
    whole.await?
}

fn write(
    plan: &Plan,
    (index, stamp): (usize, Option<Stamp>),
    transcript: &Transcript,
    layout: &Layout,
) -> Result<(), String> {
    if let Some(incomplete) = &transcript.incomplete {
        eprintln!("verbatim: warning: {}: {}", plan.output.name(index), incomplete.reason);
    }
    plan.write(index, stamp, &render(transcript, layout).body)
}
