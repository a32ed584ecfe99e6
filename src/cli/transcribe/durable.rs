//! `verbatim transcribe --jobs`: files and folders in, their texts out, as a batch job of this machine's own: killed and started again, it
//! goes on where it was.

use std::path::PathBuf;

use anyhow::anyhow;
use bytes::Bytes;

use crate::audio::Isolation;
use crate::cli::jobs::walk;
use crate::config::Config;
use crate::format::{Layout, render, stored};
use crate::http::App;
use crate::jobs::{
    Item, ItemId, ItemState, Job, Jobs, Priority, Request, Shift, Sound, Standing, Submitted, hash, new_id,
    now_ms,
};
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::telemetry::gpu::Gpu;
use crate::text::language;

use super::output::Output;
use super::{Args, Exit, Failure, Files, Loaded, device_lost, load};

/// Results that are looked up at a time.
const BATCH: usize = 50;

pub fn run(args: &Args, mut config: Config, layout: Layout) -> Result<Exit, Failure> {
    // A file on which a decoder crashes must not cost the night.
    config.audio.decode_isolation.get_or_insert(Isolation::safest());
    let mut files = Vec::new();
    for given in &args.files {
        walk(given, given, &mut files).map_err(Failure::usage)?;
    }
    let paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
    let output = Output::new(&paths, args.format, args.output_dir.as_deref()).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let exit = runtime.block_on(work(args, config, Work { paths, output, layout }));
    runtime.shutdown_timeout(std::time::Duration::ZERO);
    exit
}

struct Work {
    paths: Vec<PathBuf>,
    output: Output,
    layout: Layout,
}

async fn work(args: &Args, config: Config, work: Work) -> Result<Exit, Failure> {
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let (settings, jobs) = (config.server.clone(), config.jobs.clone());
    let loading = tokio::task::spawn_blocking(move || load(&config)).await;
    let Loaded { transcriber, mut worker } =
        loading.map_err(|error| Failure::new(Exit::DeviceLost, error))??;
    let app = App::new(transcriber, Readiness::default(), Gpu::absent("not asked"), settings);
    let app = app.with_jobs(jobs, Some(Shift::default()));
    let jobs = app.jobs().await.map_err(|problem| Failure::settings(anyhow!(problem)))?;
    let failed = |problem: String| Failure::new(Exit::SomeFailed, anyhow!(problem));
    let id = submit(&jobs, args, &work).await.map_err(failed)?;
    let done = tokio::select! {
        done = write_all(&jobs, &id, &work) => done.map_err(failed),
        end = worker.ended() => return Err(device_lost(end)),
        () = shutdown.graceful.cancelled() => {
            eprintln!("verbatim: interrupted; the same command goes on from here");
            Ok(Exit::SomeFailed)
        }
    };
    app.close_jobs().await;
    done
}

/// The same files, wanted in the same way, are the same job, whether or not there was time to finish it.
async fn submit(jobs: &Jobs, args: &Args, work: &Work) -> Result<String, String> {
    let id = new_id();
    let mut items = Vec::new();
    let mut content = format!("{:?}", args.flags.fields());
    for path in &work.paths {
        let name = path.display().to_string();
        let bytes: Bytes = tokio::fs::read(path).await.map_err(|error| format!("{name}: {error}"))?.into();
        let hash = hash(&bytes);
        content.push_str(&hash);
        let bytes_count = bytes.len() as u64;
        jobs.blobs.put_audio(&id, &hash, bytes).await.map_err(|error| error.to_string())?;
        items.push(Item { name, sound: Sound::Kept { hash, bytes: bytes_count } });
    }
    let key = format!("transcribe {}", self::hash(content.as_bytes()));
    let mut fields = args.flags.fields().to_vec();
    fields.push(("word_timestamps".to_owned(), work.layout.wants_words().to_string()));
    let job = Job {
        id: id.clone(),
        owner: 0,
        created_ms: now_ms(),
        name: Some("verbatim transcribe".to_owned()),
        priority: Priority::Normal,
        fields,
        webhook: None,
        request: Some(Request { content: key.clone(), key }),
        items,
    };
    let submitted = jobs.backend.submit(&job).await.map_err(|error| error.to_string())?;
    let Submitted::Before(before) = submitted else { return Ok(id) };
    jobs.blobs.forget(&id).await.map_err(|error| error.to_string())?;
    Ok(before)
}

async fn write_all(jobs: &Jobs, id: &str, work: &Work) -> Result<Exit, String> {
    let bar = Files::new(work.paths.len());
    let (mut told, mut failed) = (0, 0);
    while told < work.paths.len() {
        let ended = jobs.backend.ended(id, told, BATCH).await.map_err(|error| error.to_string())?;
        if ended.is_empty() {
            jobs.backend.changed(id).await;
        }
        for (item, standing) in ended {
            told += 1;
            let written = match text(jobs, id, item, &standing, &work.layout).await {
                Ok(text) => bar.aside(|| work.output.write(item, &text)),
                Err(why) => Err(why),
            };
            if let Err(why) = written {
                failed += 1;
                bar.aside(|| eprintln!("verbatim: error: {}: {why}", work.output.name(item)));
            }
            bar.file_done();
        }
    }
    bar.finish();
    // What was written need not lie here as well.
    jobs.forget(id).await.map_err(|error| error.to_string())?;
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

async fn text(
    jobs: &Jobs,
    id: &str,
    item: usize,
    standing: &Standing,
    layout: &Layout,
) -> Result<String, String> {
    if standing.state != ItemState::Done {
        let why = standing.error.as_ref().and_then(|error| error["message"].as_str());
        return Err(why.unwrap_or("it failed").to_owned());
    }
    let id = ItemId { job: id.to_owned(), item };
    let json =
        jobs.blobs.result(&id).await.map_err(|error| error.to_string())?.ok_or("its result is gone")?;
    let transcript = stored::parse(&json, language::parse).map_err(|error| error.to_string())?;
    Ok(render(&transcript, layout).body)
}
