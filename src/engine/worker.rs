//! The thread that owns the device: receives windows, follows the scheduler's plans, answers each window once.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::scheduler::{Plan, Scheduler};
use super::stats::Stats;
use super::{EngineError, Outcome, Settings};
use crate::decoding::Sequence;
use crate::model::{Model, ModelError, Sample, Slot, Step};
use crate::telemetry::metrics;

/// A window waiting for a slot.
#[derive(Debug)]
pub struct Job {
    pub sequence: Sequence,
    pub submitted: Instant,
    pub reply: oneshot::Sender<Result<Outcome, EngineError>>,
}

/// Who waits for a window in a slot, and what it has cost so far.
struct Owner {
    reply: oneshot::Sender<Result<Outcome, EngineError>>,
    audio: Duration,
    queue: Duration,
    encode: Duration,
    admitted: Instant,
    batch_size: usize,
}

pub struct Device<'a> {
    model: Box<dyn Model>,
    scheduler: Scheduler<Owner>,
    stats: &'a Stats,
}

/// Runs until every `Engine` is dropped and the last window is answered, or until the device fails.
pub fn run(
    model: Box<dyn Model>,
    settings: &Settings,
    mut jobs: mpsc::Receiver<Job>,
    stats: &Stats,
) -> Result<(), EngineError> {
    let scheduler = Scheduler::new(model.capacity().slots, settings.encode_batch);
    let mut device = Device { model, scheduler, stats };
    loop {
        device.stats.beat();
        if !device.refill(&mut jobs) {
            return Ok(());
        }
        device.forget_the_gone();
        if let Err(error) = device.turn() {
            // Whoever waits learns it now; the process is about to end.
            let lost = EngineError::Lost(error.to_string());
            for owner in device.scheduler.release_if(|_| true) {
                let _ = owner.reply.send(Err(lost.clone()));
            }
            return Err(lost);
        }
    }
}

impl Device<'_> {
    /// Takes windows while slots are free; sleeps only when there is nothing else to do. False: nobody is left.
    fn refill(&mut self, jobs: &mut mpsc::Receiver<Job>) -> bool {
        while self.scheduler.has_room() {
            let job = if self.scheduler.is_empty() {
                self.stats.idle(true);
                let job = jobs.blocking_recv();
                self.stats.idle(false);
                match job {
                    Some(job) => job,
                    None => return false,
                }
            } else {
                match jobs.try_recv() {
                    Ok(job) => job,
                    // Empty, or closed with windows still running: those are finished first.
                    Err(_) => break,
                }
            };
            self.stats.dequeued();
            self.admit(job);
        }
        self.stats.slots_busy(self.scheduler.busy());
        true
    }

    fn admit(&mut self, job: Job) {
        if job.reply.is_closed() {
            metrics::windows_cancelled(1);
            return;
        }
        let admitted = Instant::now();
        let owner = Owner {
            reply: job.reply,
            audio: job.sequence.audio(),
            queue: admitted - job.submitted,
            encode: Duration::ZERO,
            admitted,
            batch_size: 0,
        };
        metrics::queue_wait(owner.queue);
        if let Err(owner) = self.scheduler.admit(job.sequence, owner) {
            // `refill` asks for room first; if that ever breaks, the caller must still be answered.
            let _ = owner.reply.send(Err(EngineError::Lost("a window was taken without a slot".to_owned())));
        }
    }

    /// A dropped reply means cancelled: its slot is free from now on.
    fn forget_the_gone(&mut self) {
        let gone = self.scheduler.release_if(|owner| owner.reply.is_closed());
        if !gone.is_empty() {
            metrics::windows_cancelled(gone.len() as u64);
        }
    }

    fn turn(&mut self) -> Result<(), ModelError> {
        match self.scheduler.plan() {
            Plan::Idle => Ok(()),
            Plan::Encode(windows) => self.encode(&windows),
            Plan::Step(steps) => self.step(&steps),
        }
    }

    /// Encodes a batch; where the device has no room for it, in halves, and a single window that does not fit is
    /// refused while the others go on.
    fn encode(&mut self, windows: &[(Slot, std::sync::Arc<crate::audio::LogMel>)]) -> Result<(), ModelError> {
        let started = Instant::now();
        match self.model.encode(windows) {
            Ok(()) => {}
            Err(ModelError::OutOfMemory(reason)) => {
                tracing::warn!(windows = windows.len(), reason, "no room on the device to encode this batch");
                metrics::out_of_memory();
                if let [(slot, _)] = windows {
                    self.refuse(*slot, reason);
                    return Ok(());
                }
                let (first, second) = windows.split_at(windows.len() / 2);
                self.encode(first)?;
                return self.encode(second);
            }
            Err(error) => return Err(error),
        }
        let took = started.elapsed();
        self.stats.worked(took);
        metrics::encoded(windows.len(), took);
        for (slot, _) in windows {
            self.scheduler.encoded(*slot);
            if let Some(owner) = self.scheduler.owner(*slot) {
                owner.encode += took;
                owner.batch_size = owner.batch_size.max(windows.len());
            }
        }
        Ok(())
    }

    /// Runs one step of all rows, halving it like `encode` where memory is short.
    fn step(&mut self, steps: &[Step]) -> Result<(), ModelError> {
        let started = Instant::now();
        let samples = match self.model.step(&[], steps) {
            Ok(samples) if samples.len() == steps.len() => samples,
            Ok(samples) => {
                let got = samples.len();
                return Err(ModelError::Misuse(format!("{got} samples came back for {} rows", steps.len())));
            }
            Err(ModelError::OutOfMemory(reason)) => {
                tracing::warn!(rows = steps.len(), reason, "no room on the device for this step");
                metrics::out_of_memory();
                if let [step] = steps {
                    self.refuse(step.slot, reason);
                    return Ok(());
                }
                let (first, second) = steps.split_at(steps.len() / 2);
                self.step(first)?;
                return self.step(second);
            }
            Err(error) => return Err(error),
        };
        self.stats.worked(started.elapsed());
        self.stats.stepped(steps.len());
        metrics::stepped(steps.len());
        for (step, sample) in steps.iter().zip(samples) {
            self.sampled(step.slot, sample, steps.len());
        }
        Ok(())
    }

    fn sampled(&mut self, slot: Slot, sample: Sample, batch: usize) {
        if let Some(owner) = self.scheduler.owner(slot) {
            owner.batch_size = owner.batch_size.max(batch);
        }
        let Some((hypothesis, owner)) = self.scheduler.sampled(slot, sample) else { return };
        self.stats.finished(owner.audio);
        metrics::window_done(owner.audio);
        let outcome = Outcome {
            hypothesis,
            queue: owner.queue,
            encode: owner.encode,
            generate: owner.admitted.elapsed().saturating_sub(owner.encode),
            batch_size: owner.batch_size,
        };
        // A caller that left in this very moment loses nothing.
        let _ = owner.reply.send(Ok(outcome));
    }

    fn refuse(&mut self, slot: Slot, reason: String) {
        if let Some((_, owner)) = self.scheduler.release(slot) {
            let _ = owner.reply.send(Err(EngineError::OutOfMemory(reason)));
        }
    }
}
