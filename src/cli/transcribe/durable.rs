//! `verbatim transcribe --jobs`: files and folders in, their texts out, as a batch job of this machine's own: killed and started again, it
//! goes on where it was.

use anyhow::anyhow;
use bytes::Bytes;

use crate::audio::Isolation;
use crate::cli::load::{Loaded, load_from};
use crate::cli::progress::Items;
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

use super::before::Stamp;
use super::work::device_lost;
use super::{Args, Exit, Failure, Plan};

/// Results that are looked up at a time.
const BATCH: usize = 50;

pub fn run(args: &Args, mut config: Config, plan: Plan, layout: Layout) -> Result<Exit, Failure> {
    // A file on which a decoder crashes must not cost the night.
    config.audio.decode_isolation.get_or_insert(Isolation::safest());
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let exit = runtime.block_on(work(args, config, Work { plan, layout }));
    runtime.shutdown_timeout(std::time::Duration::ZERO);
    exit
}

/// All inputs of the plan.
struct Work {
    plan: Plan,
    layout: Layout,
}

async fn work(args: &Args, config: Config, work: Work) -> Result<Exit, Failure> {
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let (settings, jobs) = (config.server.clone(), config.jobs.clone());
    let model = work.plan.model.clone();
    let loading = tokio::task::spawn_blocking(move || load_from(&config, model)).await;
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
    for input in &work.plan.inputs.files {
        let (path, name) = (&input.path, input.path.display().to_string());
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
    let files = &work.plan.inputs.files;
    // As they are read by now.
    let stamps: Vec<Option<Stamp>> = files.iter().map(|input| Stamp::of(&input.path)).collect();
    let bar = Items::new(files.len());
    let (mut told, mut failed) = (0, work.plan.inputs.problems.len());
    while told < files.len() {
        let ended = jobs.backend.ended(id, told, BATCH).await.map_err(|error| error.to_string())?;
        if ended.is_empty() {
            jobs.backend.changed(id).await;
        }
        for (item, standing) in ended {
            told += 1;
            let written = match text(jobs, id, item, &standing, &work.layout).await {
                Ok(text) => bar.aside(|| work.plan.write(item, stamps[item].clone(), &text)),
                Err(why) => Err(why),
            };
            if let Err(why) = written {
                failed += 1;
                bar.aside(|| eprintln!("verbatim: error: {}: {why}", work.plan.output.name(item)));
            }
            bar.done();
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
