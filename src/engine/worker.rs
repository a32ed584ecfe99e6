//! The thread that owns the device: receives windows, gives them their slots, and takes its turns until nobody is left.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::places::Permit;
use super::queue::Queue;
use super::scheduler::Scheduler;
use super::stats::Stats;
use super::warm_up::{self, Sizes, WarmUp, Warmed};
use super::{EngineError, Outcome, Settings, Ticket};
use crate::decoding::Sequence;
use crate::model::{Model, ModelError};
use crate::telemetry::metrics;

/// What the thread is sent.
#[expect(clippy::large_enum_variant, reason = "nearly all are windows")]
#[derive(Debug)]
pub enum Order {
    Window(Job),
    /// As `Queue::attend`.
    Attend(Ticket),
    Leave(Ticket),
    WarmUp(WarmUp, oneshot::Sender<Result<Warmed, EngineError>>),
}

/// A window waiting for a slot.
#[derive(Debug)]
pub struct Job {
    pub sequence: Sequence,
    pub ticket: Ticket,
    pub submitted: Instant,
    pub reply: oneshot::Sender<Result<Outcome, EngineError>>,
    /// Given back when the window has a slot, or nobody wants it any more.
    pub _place: Permit,
}

/// Who waits for a window in a slot, and what it has cost so far.
pub struct Owner {
    pub reply: oneshot::Sender<Result<Outcome, EngineError>>,
    pub ticket: Ticket,
    pub audio: Duration,
    pub queue: Duration,
    pub encode: Duration,
    pub admitted: Instant,
    pub align: Duration,
    pub batch_size: usize,
}

pub struct Device<'a> {
    pub model: Box<dyn Model>,
    pub scheduler: Scheduler<Owner>,
    pub stats: &'a Stats,
    queue: Queue<Job>,
    /// Taken from the queue, and too wide for the lanes that are free: the next to be admitted.
    waiting: Option<Job>,
    /// What the device had room for at the last count; learnt when it has none.
    pub most: Sizes,
    coalesce: Duration,
}

/// Runs until every `Engine` is dropped and the last window is answered, or until the device fails.
pub fn run(
    model: Box<dyn Model>,
    settings: &Settings,
    mut orders: mpsc::UnboundedReceiver<Order>,
    stats: &Stats,
) -> Result<(), EngineError> {
    let capacity = model.capacity();
    let encode_batch = settings.encode_batch.clamp(1, capacity.slots.max(1));
    let mut scheduler = Scheduler::new(capacity, encode_batch, settings.interactive_slots);
    if settings.interactive_alone == Some(true) {
        scheduler.preempt();
    }
    let mut device = Device {
        model,
        scheduler,
        stats,
        queue: Queue::new(),
        waiting: None,
        most: Sizes { windows: encode_batch, rows: capacity.lanes },
        coalesce: Duration::from_millis(settings.coalesce_ms),
    };
    stats.fits(device.most);
    loop {
        device.stats.beat();
        let done = match device.refill(&mut orders) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                device.forget_the_gone();
                device.turn()
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            device.stats.failed(&error);
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
    fn refill(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<bool, ModelError> {
        if !self.receive(orders)? {
            return Ok(false);
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
        Ok(true)
    }

    /// Puts what has come into the queue. An idle device sleeps until something comes, and a moment longer for what comes with
    /// it.
    fn receive(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<bool, ModelError> {
        if self.scheduler.is_empty() && self.queue.len() == 0 && self.waiting.is_none() {
            self.stats.idle(true);
            let first = orders.blocking_recv();
            self.stats.idle(false);
            let Some(first) = first else { return Ok(false) };
            self.follow(first)?;
            std::thread::sleep(self.coalesce);
        }
        loop {
            match orders.try_recv() {
                Ok(order) => self.follow(order)?,
                // Closed with windows still running: those are finished first.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(true),
            }
        }
    }

    fn follow(&mut self, order: Order) -> Result<(), ModelError> {
        match order {
            Order::Window(job) => self.queue.push(job.ticket, job),
            Order::Attend(ticket) => self.queue.attend(ticket),
            Order::Leave(ticket) => self.queue.leave(ticket),
            Order::WarmUp(with, reply) => {
                let warmed = self.warm_up(&with);
                let told = warmed.as_ref().map_err(|error| EngineError::Lost(error.to_string()));
                let _ = reply.send(told.copied());
                warmed?;
            }
        }
        Ok(())
    }

    /// Before anybody is served: what is in the slots is overwritten.
    fn warm_up(&mut self, with: &WarmUp) -> Result<Warmed, ModelError> {
        let stats = self.stats;
        let warmed = warm_up::run(&mut *self.model, with, self.most, || stats.beat())?;
        self.model.warmed();
        if warmed.fits != self.most {
            let Sizes { windows, rows } = warmed.fits;
            tracing::warn!(windows, rows, "the device has no room for larger batches than these");
            self.learn(warmed.fits);
        }
        Ok(warmed)
    }

    /// From now on no batch is larger.
    pub fn learn(&mut self, most: Sizes) {
        self.most = most;
        self.scheduler.limit_encode(most.windows);
        self.stats.fits(most);
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
        if !ticket.is_canary {
            metrics::queue_wait(owner.queue);
        }
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
}
