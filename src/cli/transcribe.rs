//! `verbatim transcribe`: audio files in, their text on standard output or in a folder out, all files batched together.

mod durable;
mod flags;
mod output;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;

use crate::config::{Config, Overrides};
use crate::engine::{EngineError, Worker};
use crate::format::{Format, Layout, Rendered, render};
use crate::http::options::Wanted;
use crate::shutdown::Shutdown;
use crate::telemetry;
use crate::transcriber::{TranscribeError, Transcriber};
use crate::transcript::{Options, Transcript};

use super::load::{Loaded, load};
use super::progress::Files;
use super::subtitle_flags::SubtitleFlags;
use super::{Exit, Failure};
use flags::Flags;
use output::Output;
pub(super) use output::replace;

/// How often the progress bar learns what the engine has done.
const REFRESH: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audio files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// text, json, verbose_json, srt, vtt or tsv.
    #[arg(long, default_value = "text", value_parser = |name: &str| name.parse::<Format>().map_err(|e| e.to_string()))]
    format: Format,
    /// Write each file's text here, named after it, instead of to standard output.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// As a batch job that is kept on the disk (jobs.dir): folders too, and killed and started again it goes on where it was.
    #[arg(long)]
    jobs: bool,
    /// process or thread: where files are decoded [default: thread].
    #[arg(long, value_name = "WHERE", value_parser = ["process", "thread"])]
    decode_isolation: Option<String>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    subtitles: SubtitleFlags,
}

impl Args {
    pub fn set(&self, flags: &mut Overrides) {
        flags.set("audio.decode_isolation", self.decode_isolation.as_deref());
    }

    fn wanted(&self) -> Result<(Options, Layout), Failure> {
        let Wanted { mut options, mut layout, .. } = self.flags.wanted().map_err(Failure::usage)?;
        layout.format = self.format;
        self.subtitles.set(&mut layout)?;
        options.words = layout.wants_words();
        Ok((options, layout))
    }
}

pub fn run(args: &Args, mut config: Config) -> Result<Exit, Failure> {
    // Beside a progress bar only what matters (the decoder logs what we report as the file's error); a level that was
    // set is kept.
    if config.log == telemetry::Settings::default() {
        config.log.level = "warn,symphonia=off".to_owned();
    }
    telemetry::init(&config.log).map_err(Failure::settings)?;
    let wanted = args.wanted()?;
    if args.jobs {
        return durable::run(args, config, wanted.1);
    }
    let output = Output::new(&args.files, args.format, args.output_dir.as_deref()).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let loaded = {
        let _entered = runtime.enter();
        load(&config)?
    };
    let exit = runtime.block_on(transcribe_all(args, wanted, output, loaded));
    // A read of standard input that nobody ends would keep the process.
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

async fn transcribe_all(
    args: &Args,
    (options, layout): (Options, Layout),
    output: Output,
    loaded: Loaded,
) -> Result<Exit, Failure> {
    let Loaded { transcriber, mut worker } = loaded;
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let bar = Files::new(args.files.len());
    let started = Instant::now();
    // Enough files under way to fill every slot even if each is a single window, and one more being read.
    let abreast = transcriber.model().slots + 1;
    let mut results = futures::stream::iter(args.files.iter().enumerate())
        .map(|(index, file)| {
            let (transcriber, options) = (&transcriber, &options);
            async move { (index, transcribe(transcriber, file, options).await) }
        })
        .buffered(abreast);
    let mut refresh = tokio::time::interval(REFRESH);
    let (mut done, mut failed) = (0, 0);
    loop {
        tokio::select! {
            next = results.next() => match next {
                None => break,
                Some((index, result)) => {
                    let written = result.and_then(|transcript| {
                        let rendered = render(&transcript, &layout);
                        write(&output, &bar, index, (&transcript, &rendered))
                    });
                    if let Err(reason) = written {
                        if let Some(lost) = lost(&mut worker).await {
                            return Err(lost);
                        }
                        bar.aside(|| eprintln!("verbatim: error: {}: {reason}", args.files[index].display()));
                        failed += 1;
                    }
                    bar.file_done();
                    done += 1;
                }
            },
            _ = refresh.tick() => {
                bar.show(transcriber.load().audio_seconds_done, started.elapsed().as_secs_f64());
            }
            end = worker.ended() => return Err(device_lost(end)),
            () = shutdown.graceful.cancelled() => {
                bar.finish();
                eprintln!("verbatim: interrupted: {done} of {} files were done", args.files.len());
                return Ok(Exit::SomeFailed);
            }
        }
    }
    bar.finish();
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

/// The device's end reaches the files in work and the worker's handle at about the same time; it counts as the device's.
async fn lost(worker: &mut Worker) -> Option<Failure> {
    let grace = Duration::from_millis(100);
    tokio::time::timeout(grace, worker.ended()).await.ok().map(device_lost)
}

fn device_lost(end: Result<(), EngineError>) -> Failure {
    let error = end.err().unwrap_or(EngineError::Closed);
    Failure::new(Exit::DeviceLost, error)
}

async fn transcribe(transcriber: &Transcriber, file: &Path, options: &Options) -> Result<Transcript, String> {
    let upload = read(file).await.map_err(|error| error.to_string())?;
    transcriber.transcribe(upload, options).await.map_err(|error| match error {
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
    output: &Output,
    bar: &Files,
    index: usize,
    (transcript, rendered): (&Transcript, &Rendered),
) -> Result<(), String> {
    bar.aside(|| {
        if let Some(incomplete) = &transcript.incomplete {
            eprintln!("verbatim: warning: {}: {}", output.name(index), incomplete.reason);
        }
        output.write(index, &rendered.body)
    })
}
