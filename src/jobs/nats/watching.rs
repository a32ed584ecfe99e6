//! What goes on beside all calls: the broker's states in, the view out; and what nobody else finished is finished.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_nats::jetstream::kv::Operation;
use async_nats::jetstream::stream::Info;
use futures::StreamExt;
use tokio::sync::watch;

use super::ledger::Ledger;
use super::records::{BUCKET_SUBJECTS, Key};
use super::{Desk, streams};
use crate::jobs::backend::JobError;
use crate::jobs::job::now_ms;

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(500);
/// Nothing more of what was there comes after such a silence: the last of it was removed on the way.
const SILENCE: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_secs(2);
/// Whoever was cut off for so long must look at everything again: he may have missed that something was removed.
const CUT_OFF: Duration = Duration::from_secs(12 * 3_600);
/// Until then it is said of what was removed that it was.
const KEEP_HUSKS: Duration = Duration::from_secs(24 * 3_600);

/// Keeps the view up to date, for ever. `ready`: it knows what the broker knew.
pub async fn follow(ledger: Arc<Ledger>, mut afresh: watch::Receiver<u64>, ready: watch::Sender<bool>) {
    loop {
        ledger.begin_afresh();
        if let Err(error) = watch_once(&ledger, &mut afresh, &ready).await {
            tracing::warn!(%error, "the broker's states are not heard any more; listening again");
        }
        if afresh.has_changed().is_err() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn watch_once(
    ledger: &Ledger,
    afresh: &mut watch::Receiver<u64>,
    ready: &watch::Sender<bool>,
) -> Result<(), JobError> {
    let info = ledger.store.stream.get_info().await;
    let info = info.map_err(|error| JobError::unavailable("the broker's key-value store", error))?;
    ledger.born.store(born(&info), Relaxed);
    let state = info.state;
    // One entry a key is all that there is; servers of 2.9 that were killed give nothing to who asks for the last of each key.
    let watching = ledger.store.watch_with_history(">").await;
    let mut entries = watching.map_err(|error| JobError::unavailable("watching the broker", error))?;
    let mut seen = 0;
    let mut is_whole = state.messages == 0;
    if is_whole {
        ledger.end_afresh(state.last_sequence);
        ready.send_replace(true);
    }
    loop {
        let silence = async {
            match is_whole {
                true => std::future::pending().await,
                false => tokio::time::sleep(SILENCE).await,
            }
        };
        let mut is_last = true;
        tokio::select! {
            // A change that was asked for.
            changed = afresh.changed() => {
                return changed.map_err(|error| JobError::unavailable("watching", error));
            }
            entry = entries.next() => {
                let Some(entry) = entry else { return Ok(()) };
                let entry = entry.map_err(|error| JobError::unavailable("watching the broker", error))?;
                seen = entry.revision;
                let value = (entry.operation == Operation::Put).then_some(entry.value.as_ref());
                let at_ms = u64::try_from(entry.created.unix_timestamp()).unwrap_or_default() * 1_000;
                ledger.heard(&entry.key, value, seen, at_ms);
                is_last = entry.delta == 0 || seen >= state.last_sequence;
            }
            () = silence => {
                if seen == 0 {
                    return Err(JobError::Unavailable("it does not tell what it knows".to_owned()));
                }
            }
        }
        if !is_whole && is_last {
            is_whole = true;
            ledger.end_afresh(seen.max(state.last_sequence));
            ready.send_replace(true);
        }
    }
}

/// Ends jobs whose last worker died between the last item's end and the job's, throws away what is not needed, and notices when the broker
/// has lost its memory.
pub(super) async fn tend(desk: Arc<Desk>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut suspects = HashSet::new();
    let mut is_forgetful = false;
    let mut heard = tokio::time::Instant::now();
    loop {
        rounds.tick().await;
        let Ok(memory) = memory(&desk).await else { continue };
        let floor = *desk.ledger.floor().borrow();
        let is_another = |(since, last): (i64, u64)| since != desk.ledger.born.load(Relaxed) || last < floor;
        // Twice, so that nobody is taken to have forgotten what he is only late with.
        let forgets = memory.is_none_or(is_another);
        if (forgets && is_forgetful) || heard.elapsed() > CUT_OFF {
            tracing::warn!(
                "the broker has lost what it knew, or was away for long; looking at everything again"
            );
            remake(&desk).await;
        }
        is_forgetful = forgets && !is_forgetful;
        heard = tokio::time::Instant::now();
        let unsettled = desk.ledger.see(|view| view.unsettled());
        for job in unsettled.iter().filter(|job| suspects.contains(*job)) {
            if let Err(error) = desk.finish(job).await {
                tracing::warn!(%error, job, "a job that is over could not be ended");
            }
        }
        suspects = unsettled.into_iter().collect();
        sweep(&desk).await;
    }
}

fn born(info: &Info) -> i64 {
    i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default()
}

/// Since when the broker knows anything, and its last revision; `None`: it knows nothing of a store.
async fn memory(desk: &Desk) -> Result<Option<(i64, u64)>, JobError> {
    desk.ledger.online().await?;
    match desk.ledger.store.stream.get_info().await {
        Ok(info) => Ok(Some((born(&info), info.state.last_sequence))),
        Err(error) if error.to_string().contains("not found") => Ok(None),
        Err(error) => Err(JobError::unavailable("the broker's key-value store", error)),
    }
}

async fn remake(desk: &Desk) {
    let context = &desk.ledger.context;
    let made = match streams::make(context, &desk.settings).await {
        Ok(()) => streams::queues(context, desk.times.lease).await.map(drop),
        Err(error) => Err(error),
    };
    match made {
        Ok(()) => desk.afresh.send_modify(|times| *times += 1),
        Err(error) => tracing::warn!(%error, "what jobs need of the broker could not be made"),
    }
}

async fn sweep(desk: &Desk) {
    let before = now_ms().saturating_sub(KEEP_HUSKS.as_millis() as u64);
    for (key, revision) in desk.ledger.see(|view| view.husks(before)) {
        if let Err(error) = sweep_one(desk, &key, revision).await {
            tracing::debug!(%error, %key, "what is left of a job could not be removed");
            return;
        }
        desk.ledger.drop_husk(&key);
    }
}

async fn sweep_one(desk: &Desk, key: &Key, revision: u64) -> Result<(), JobError> {
    if let Key::Job(job) = key {
        // Whoever removed it may have died of it half-way.
        desk.sweep_states(job).await?;
        desk.shelf.delete(job).await?;
    }
    desk.ledger.sweep(format!("{BUCKET_SUBJECTS}.{key}"), Some(revision)).await
}
