//! A plan of the scheduler's in, what the model makes of it handed to the windows it belongs to: with batches halved where memory
//! is short, and each window answered once.

use std::sync::Arc;
use std::time::Instant;

use super::scheduler::Plan;
use super::warm_up::Sizes;
use super::worker::{Device, Owner};
use super::{EngineError, Outcome};
use crate::audio::LogMel;
use crate::decoding::Hypothesis;
use crate::model::{AlignRow, Alignment, Fork, Model, ModelError, Sample, Slot, Step};
use crate::telemetry::metrics;

impl Device<'_> {
    pub fn turn(&mut self) -> Result<(), ModelError> {
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
        let most = self.most.windows;
        if windows.len() > most {
            return windows.chunks(most).try_for_each(|part| self.encode(part));
        }
        let started = Instant::now();
        match self.attempt(windows.len(), |model| model.encode(windows)) {
            Ok(()) => {}
            Err(ModelError::OutOfMemory(reason)) => {
                self.out_of_memory(&format!("to encode {} windows", windows.len()), &reason);
                if let [(slot, _)] = windows {
                    self.refuse(*slot, reason);
                    return Ok(());
                }
                self.learn(Sizes { windows: windows.len() / 2, ..self.most });
                return self.encode(windows);
            }
            Err(error) => return Err(error),
        }
        let took = started.elapsed();
        if self.is_counted(windows.iter().map(|(slot, _)| *slot)) {
            self.stats.worked(took);
            metrics::encoded(windows.len(), took);
        }
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
        if self.is_counted(steps.iter().map(|step| step.slot)) {
            let took = started.elapsed();
            self.stats.worked(took);
            self.stats.stepped(steps.len());
            metrics::stepped(steps.len(), took);
        }
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
        if steps.len() > self.most.rows {
            let (first, second) = steps.split_at(self.most.rows);
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
                self.out_of_memory(&format!("for a step of {} rows", steps.len()), &reason);
                if steps.len() <= 1 {
                    return Ok(steps.iter().map(|_| Err(reason.clone())).collect());
                }
                self.learn(Sizes { rows: steps.len() / 2, ..self.most });
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
                self.out_of_memory(&format!("to align {} texts", rows.len()), &reason);
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
        if self.is_counted(rows.iter().map(|row| row.slot)) {
            self.stats.worked(took);
            metrics::aligned(took);
        }
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

    fn out_of_memory(&self, what: &str, reason: &str) {
        tracing::warn!(reason, "no room on the device {what}");
        metrics::out_of_memory();
        self.stats.failed(&format!("no room {what}: {reason}"));
    }

    /// Whether anybody's window is in the batch: what only a canary was part of is no work that was asked for.
    fn is_counted(&mut self, mut slots: impl Iterator<Item = Slot>) -> bool {
        slots.any(|slot| self.scheduler.owner(slot).is_some_and(|owner| !owner.ticket.is_canary))
    }

    fn answer(&mut self, ended: Option<(Hypothesis, Owner)>) {
        let Some((hypothesis, owner)) = ended else { return };
        if !owner.ticket.is_canary {
            self.stats.finished(owner.audio);
            metrics::window_done(owner.audio);
        }
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
pub fn is_no_number(sample: &Sample) -> bool {
    sample.choices.iter().any(|choice| choice.logprob.is_nan()) || sample.probe.is_some_and(f32::is_nan)
}
