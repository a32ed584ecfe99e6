//! What is known of jobs in, JSON out.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::App;
use crate::http::door::audio_seconds_per_second;
use crate::jobs::{Item, ItemState, JobState, Standing, Summary, now_ms};

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobJson {
    pub id: String,
    pub object: &'static str,
    pub name: Option<String>,
    pub priority: &'static str,
    /// `queued`, `working`, `done` (every item is done or failed), `failed` (not one is done), `cancelled`.
    #[schema(value_type = String)]
    pub state: JobState,
    /// 0 to 100.
    pub percent: f64,
    /// Seconds until it is done, at its speed so far; `null` where nothing of it has ended yet.
    pub eta_seconds: Option<f64>,
    pub counts: CountsJson,
    /// Seconds of audio that are transcribed.
    pub audio_seconds: f64,
    /// Unix time.
    pub created_at: f64,
    pub ended_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<ItemJson>>,
    /// Whether there are items behind these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
}

/// Items by state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobCounts)]
pub struct CountsJson {
    pub all: usize,
    pub queued: usize,
    pub working: usize,
    pub done: usize,
    pub failed: usize,
    pub cancelled: usize,
}

/// A file of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobItem)]
pub struct ItemJson {
    /// Its number, from 0.
    pub item: usize,
    pub name: String,
    pub state: &'static str,
    /// 0 to 100.
    pub percent: u8,
    /// How often somebody has begun it.
    pub deliveries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_seconds: Option<f64>,
    /// The text was there already, of the same file with the same options.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// Why it failed, as an error of `/transcribe` would say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
}

/// A page of jobs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    pub object: &'static str,
    pub data: Vec<JobJson>,
    /// Whether there are older ones: ask with `after` the last id.
    pub has_more: bool,
}

/// How long a job would take.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobEstimate)]
pub struct Estimate {
    pub object: &'static str,
    /// Of the audio that is asked about.
    pub audio_seconds: f64,
    /// Audio that this process transcribes in a second; `null` before it has transcribed any.
    pub audio_seconds_per_second: Option<f64>,
    /// Items of other jobs that wait.
    pub queued_items: usize,
    /// From now until that audio would be done, if nothing of other jobs waited.
    pub seconds: Option<f64>,
    /// The same behind what waits, each item of it as long as a file that is asked about.
    pub seconds_behind_queue: Option<f64>,
}

pub struct JobItems {
    pub found: Vec<(usize, Item, Standing)>,
    pub has_more: bool,
}

pub fn job_json(summary: &Summary, items: Option<JobItems>) -> JobJson {
    let counts = &summary.counts;
    let unix = |millis: u64| millis as f64 / 1_000.0;
    let (items, has_more) = items.map(|items| (items.found, items.has_more)).unzip();
    JobJson {
        id: summary.id.clone(),
        object: "job",
        name: summary.name.clone(),
        priority: summary.priority.name(),
        state: summary.state(),
        percent: (counts.percent() * 10.0).round() / 10.0,
        eta_seconds: eta(summary),
        counts: CountsJson {
            all: counts.all(),
            queued: counts.of(ItemState::Queued),
            working: counts.of(ItemState::Working),
            done: counts.of(ItemState::Done),
            failed: counts.of(ItemState::Failed),
            cancelled: counts.of(ItemState::Cancelled),
        },
        audio_seconds: counts.seconds,
        created_at: unix(summary.created_ms),
        ended_at: summary.ended_ms.map(unix),
        items: items.map(|items| items.into_iter().map(item_json).collect()),
        has_more,
    }
}

/// What is left, at the speed at which this job's items have ended since it was handed in.
fn eta(summary: &Summary) -> Option<f64> {
    if summary.ended_ms.is_some() || summary.counts.is_over() {
        return Some(0.0);
    }
    let behind = summary.counts.percent();
    let took = now_ms().saturating_sub(summary.created_ms) as f64 / 1_000.0;
    (behind > 0.0).then(|| ((100.0 - behind) * took / behind).round())
}

fn item_json((item, what, standing): (usize, Item, Standing)) -> ItemJson {
    ItemJson {
        item,
        name: what.name,
        state: standing.state.name(),
        percent: if standing.state == ItemState::Done { 100 } else { standing.percent },
        deliveries: standing.deliveries,
        audio_seconds: standing.seconds,
        duplicate: standing.is_duplicate,
        error: standing.error,
    }
}

pub fn speed(app: &App) -> Option<f64> {
    audio_seconds_per_second(&app.transcriber.load())
}
