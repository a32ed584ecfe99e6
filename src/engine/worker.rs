//! The thread that owns the device: receives windows, follows the scheduler's plans, answers each window once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::queue::Queue;
use super::scheduler::{Plan, Scheduler};
use super::stats::Stats;
use super::{EngineError, Outcome, Settings, Ticket};
use crate::audio::LogMel;
use crate::decoding::{Hypothesis, Sequence};
use crate::model::{AlignRow, Alignment, Fork, Model, ModelError, Sample, Slot, Step};
use crate::telemetry::metrics;

/// A window waiting for a slot.
#[derive(Debug)]
pub struct Job {
    pub sequence: Sequence,
    pub ticket: Ticket,
    pub submitted: Instant,
    pub reply: oneshot::Sender<Result<Outcome, EngineError>>,
    /// Given back when the window has a slot, or nobody wants it any more.
    pub _place: OwnedSemaphorePermit,
}

/// Who waits for a window in a slot, and what it has cost so far.
struct Owner {
    reply: oneshot::Sender<Result<Outcome, EngineError>>,
    ticket: Ticket,
    audio: Duration,
    queue: Duration,
    encode: Duration,
    admitted: Instant,
    align: Duration,
    batch_size: usize,
}

pub struct Device<'a> {
    model: Box<dyn Model>,
    scheduler: Scheduler<Owner>,
    stats: &'a Stats,
    queue: Queue<Job>,
    /// Taken from the queue, and too wide for the lanes that are free: the next to be admitted.
    waiting: Option<Job>,
    /// Windows and rows for which the device had room at the last count; learnt when it has none.
    most_windows: usize,
    most_rows: usize,
    coalesce: Duration,
}

/// Runs until every `Engine` is dropped and the last window is answered, or until the device fails.
pub fn run(
    model: Box<dyn Model>,
    settings: &Settings,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    stats: &Stats,
) -> Result<(), EngineError> {
    let capacity = model.capacity();
    let mut scheduler = Scheduler::new(capacity, settings.encode_batch, settings.interactive_slots);
    if settings.interactive_alone == Some(true) {
        scheduler.preempt();
    }
    let mut device = Device {
        model,
        scheduler,
        stats,
        queue: Queue::new(),
        waiting: None,
        most_windows: capacity.slots,
        most_rows: capacity.lanes,
        coalesce: Duration::from_millis(settings.coalesce_ms),
    };
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
    fn refill(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> bool {
        if !self.receive(jobs) {
            return false;
        }
        while let Some(job) = self.next() {
            let (width, lanes) = (job.sequence.width(), self.model.capacity().lanes);
            if self.scheduler.has_lanes(width) {
                self.stats.dequeued();
                self.admit(job);
            } else if width > lanes {
                self.stats.dequeued();
                let _ = job.reply.send(Err(EngineError::TooWide { width, lanes }));
            } else {
                // It waits for its turn before all that are queued.
                self.waiting = Some(job);
                break;
            }
        }
        self.stats.slots_busy(self.scheduler.busy());
        true
    }

    /// Puts what has come into the queue. An idle device sleeps until something comes, and a moment longer for what comes with
    /// it.
    fn receive(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>) -> bool {
        if self.scheduler.is_empty() && self.queue.len() == 0 && self.waiting.is_none() {
            self.stats.idle(true);
            let first = jobs.blocking_recv();
            self.stats.idle(false);
            let Some(first) = first else { return false };
            self.queue.push(first.ticket, first);
            std::thread::sleep(self.coalesce);
        }
        loop {
            match jobs.try_recv() {
                Ok(job) => self.queue.push(job.ticket, job),
                // Closed with windows still running: those are finished first.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// The next window for which there is a slot.
    fn next(&mut self) -> Option<Job> {
        if let Some(waiting) = &self.waiting {
            let fits = self.scheduler.has_slot(waiting.ticket.class);
            return self.waiting.take_if(|_| fits);
        }
        self.queue.pop(|class| self.scheduler.has_slot(class)).map(|(_, job)| job)
    }

    fn admit(&mut self, job: Job) {
        if job.reply.is_closed() {
            metrics::windows_cancelled(1);
            return;
        }
        let admitted = Instant::now();
        let ticket = job.ticket;
        let owner = Owner {
            reply: job.reply,
            ticket,
            audio: job.sequence.audio(),
            queue: admitted - job.submitted,
            encode: Duration::ZERO,
            align: Duration::ZERO,
            admitted,
            batch_size: 0,
        };
        metrics::queue_wait(owner.queue);
        if let Err(owner) = self.scheduler.admit(job.sequence, ticket.class, owner) {
            // `refill` asks for room first; if that ever breaks, the caller must still be answered.
            let _ = owner.reply.send(Err(EngineError::Lost("a window was taken without a slot".to_owned())));
        }
    }

    /// A dropped reply means cancelled, and whoever is late is told so: their slots and places are free from now on.
    fn forget_the_gone(&mut self) {
        let now = Instant::now();
        let gone = |ticket: &Ticket, job: &Job| ticket.is_late(now) || job.reply.is_closed();
        let mut jobs = self.queue.remove_if(gone);
        jobs.extend(self.waiting.take_if(|job| gone(&job.ticket, job)).map(|job| (job.ticket, job)));
        let tenants = self.scheduler.release_if(|owner| owner.ticket.is_late(now) || owner.reply.is_closed());
        jobs.iter().for_each(|_| self.stats.dequeued());
        let jobs = jobs.into_iter().map(|(ticket, job)| (ticket, job.reply));
        for (ticket, reply) in jobs.chain(tenants.into_iter().map(|owner| (owner.ticket, owner.reply))) {
            metrics::windows_cancelled(1);
            if ticket.is_late(now) {
                let _ = reply.send(Err(EngineError::Late));
            }
        }
    }

    fn turn(&mut self) -> Result<(), ModelError> {
        match self.scheduler.plan() {
            Plan::Idle => Ok(()),
            Plan::Encode(windows) => self.encode(&windows),
            Plan::Step(forks, steps) => self.step(&forks, &steps),
            Plan::Align(rows) => self.align(&rows),
        }
    }

    /// Encodes a batch; where the device has no room for it, in halves, and a single window that does not fit is
    /// refused while the others go on.
    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        let most = self.most_windows;
        if windows.len() > most {
            return windows.chunks(most).try_for_each(|part| self.encode(part));
        }
        let started = Instant::now();
        match self.attempt(windows.len(), |model| model.encode(windows)) {
            Ok(()) => {}
            Err(ModelError::OutOfMemory(reason)) => {
                tracing::warn!(windows = windows.len(), reason, "no room on the device to encode this batch");
                metrics::out_of_memory();
                if let [(slot, _)] = windows {
                    self.refuse(*slot, reason);
                    return Ok(());
                }
                self.most_windows = windows.len() / 2;
                self.scheduler.limit_encode(self.most_windows);
                return self.encode(windows);
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

    /// Runs one step of all rows and hands each slot the samples of its rows.
    fn step(&mut self, forks: &[Fork], steps: &[Step]) -> Result<(), ModelError> {
        let started = Instant::now();
        let samples = self.sample(forks, steps)?;
        self.stats.worked(started.elapsed());
        self.stats.stepped(steps.len());
        metrics::stepped(steps.len());
        let mut samples = samples.into_iter();
        for rows in steps.chunk_by(|a, b| a.slot == b.slot) {
            let slot = rows[0].slot;
            let samples: Result<Vec<Sample>, String> = samples.by_ref().take(rows.len()).collect();
            match samples {
                Ok(samples) => {
                    if let Some(owner) = self.scheduler.owner(slot) {
                        owner.batch_size = owner.batch_size.max(steps.len());
                    }
                    let ended = self.scheduler.sampled(slot, &samples);
                    self.answer(ended);
                }
                Err(reason) => self.refuse(slot, reason),
            }
        }
        Ok(())
    }

    /// One step, halved like `encode` where memory is short; a single row that does not fit gets the reason instead.
    fn sample(&mut self, forks: &[Fork], steps: &[Step]) -> Result<Vec<Result<Sample, String>>, ModelError> {
        if steps.len() > self.most_rows {
            let (first, second) = steps.split_at(self.most_rows);
            let mut samples = self.sample(forks, first)?;
            samples.extend(self.sample(&[], second)?);
            return Ok(samples);
        }
        match self.attempt(steps.len(), |model| model.step(forks, steps)) {
            Ok(samples) if samples.iter().any(is_no_number) => {
                Err(ModelError::Device("the network gave NaN".to_owned()))
            }
            Ok(samples) if samples.len() == steps.len() => Ok(samples.into_iter().map(Ok).collect()),
            Ok(samples) => {
                let got = samples.len();
                Err(ModelError::Misuse(format!("{got} samples came back for {} rows", steps.len())))
            }
            Err(ModelError::OutOfMemory(reason)) => {
                tracing::warn!(rows = steps.len(), reason, "no room on the device for this step");
                metrics::out_of_memory();
                if steps.len() <= 1 {
                    return Ok(steps.iter().map(|_| Err(reason.clone())).collect());
                }
                self.most_rows = steps.len() / 2;
                // The copies may have been made before memory ran out; making them again does no harm.
                self.sample(forks, steps)
            }
            Err(error) => Err(error),
        }
    }

    /// Holds texts against their audio, halving like `encode` where memory is short.
    fn align(&mut self, rows: &[AlignRow]) -> Result<(), ModelError> {
        let started = Instant::now();
        let alignments: Vec<Alignment> = match self.attempt(rows.len(), |model| model.align(rows)) {
            Ok(alignments) if alignments.len() == rows.len() => alignments,
            Ok(alignments) => {
                let got = alignments.len();
                return Err(ModelError::Misuse(format!(
                    "{got} alignments came back for {} rows",
                    rows.len()
                )));
            }
            Err(ModelError::OutOfMemory(reason)) => {
                tracing::warn!(rows = rows.len(), reason, "no room on the device to align these texts");
                metrics::out_of_memory();
                if let [row] = rows {
                    self.refuse(row.slot, reason);
                    return Ok(());
                }
                let (first, second) = rows.split_at(rows.len() / 2);
                self.align(first)?;
                return self.align(second);
            }
            Err(error) => return Err(error),
        };
        let took = started.elapsed();
        self.stats.worked(took);
        for (row, alignment) in rows.iter().zip(alignments) {
            if let Some(owner) = self.scheduler.owner(row.slot) {
                owner.align += took;
            }
            let ended = self.scheduler.aligned(row.slot, alignment);
            self.answer(ended);
        }
        Ok(())
    }

    /// What is alone gets a second try where memory is short: what filled the device may be gone by then.
    fn attempt<R>(
        &mut self,
        count: usize,
        mut call: impl FnMut(&mut dyn Model) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        match call(&mut *self.model) {
            Err(ModelError::OutOfMemory(_)) if count == 1 => call(&mut *self.model),
            result => result,
        }
    }

    fn answer(&mut self, ended: Option<(Hypothesis, Owner)>) {
        let Some((hypothesis, owner)) = ended else { return };
        self.stats.finished(owner.audio);
        metrics::window_done(owner.audio);
        let outcome = Outcome {
            hypothesis,
            queue: owner.queue,
            encode: owner.encode,
            generate: owner.admitted.elapsed().saturating_sub(owner.encode + owner.align),
            align: owner.align,
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

/// NaN is a fault of the device or the weights; no text may come of it.
fn is_no_number(sample: &Sample) -> bool {
    sample.choices.iter().any(|choice| choice.logprob.is_nan()) || sample.probe.is_some_and(f32::is_nan)
}
