//! What the engine is doing, counted by its thread and read by anyone.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::warm_up::Sizes;
use super::{Fault, Load};

/// Counters need no order among each other: each is read for itself.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    slots: usize,
    slots_busy: AtomicUsize,
    queued: AtomicUsize,
    windows: AtomicU64,
    audio_ms: AtomicU64,
    busy_us: AtomicU64,
    steps: AtomicU64,
    tokens: AtomicU64,
    /// Milliseconds after `started` at which the thread last came round.
    beat_ms: AtomicU64,
    idle: AtomicBool,
    most_windows: AtomicUsize,
    most_rows: AtomicUsize,
    fault: Mutex<Option<Fault>>,
}

impl Stats {
    pub fn new(slots: usize) -> Self {
        Stats {
            started: Instant::now(),
            slots,
            slots_busy: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            windows: AtomicU64::new(0),
            audio_ms: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            beat_ms: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            most_windows: AtomicUsize::new(0),
            most_rows: AtomicUsize::new(0),
            fault: Mutex::new(None),
        }
    }

    pub fn queued(&self) {
        self.queued.fetch_add(1, Relaxed);
    }

    pub fn dequeued(&self) {
        self.queued.fetch_sub(1, Relaxed);
    }

    pub fn slots_busy(&self, busy: usize) {
        self.slots_busy.store(busy, Relaxed);
    }

    pub fn worked(&self, took: Duration) {
        self.busy_us.fetch_add(took.as_micros() as u64, Relaxed);
    }

    pub fn stepped(&self, rows: usize) {
        self.steps.fetch_add(1, Relaxed);
        self.tokens.fetch_add(rows as u64, Relaxed);
    }

    pub fn finished(&self, audio: Duration) {
        self.windows.fetch_add(1, Relaxed);
        self.audio_ms.fetch_add(audio.as_millis() as u64, Relaxed);
    }

    /// The largest batches there is room for.
    pub fn fits(&self, most: Sizes) {
        self.most_windows.store(most.windows, Relaxed);
        self.most_rows.store(most.rows, Relaxed);
    }

    pub fn failed(&self, what: &impl Display) {
        let fault = Fault { what: what.to_string(), at: Instant::now() };
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The thread is alive and about to look for work.
    pub fn beat(&self) {
        self.beat_ms.store(self.started.elapsed().as_millis() as u64, Relaxed);
    }

    /// Between `true` and `false` the thread waits for work, which is not being stuck.
    pub fn idle(&self, idle: bool) {
        if idle {
            self.slots_busy(0);
        }
        self.beat();
        self.idle.store(idle, Relaxed);
    }

    pub fn load(&self) -> Load {
        let since_beat =
            self.started.elapsed().saturating_sub(Duration::from_millis(self.beat_ms.load(Relaxed)));
        let is_idle = self.idle.load(Relaxed);
        let (idle_seconds, heartbeat_age_seconds) = match is_idle {
            true => (since_beat.as_secs_f64(), 0.0),
            false => (0.0, since_beat.as_secs_f64()),
        };
        Load {
            slots: self.slots,
            slots_busy: self.slots_busy.load(Relaxed),
            queued_windows: self.queued.load(Relaxed),
            audio_seconds_ahead: 0.0,
            audio_seconds_in: 0.0,
            windows_done: self.windows.load(Relaxed),
            audio_seconds_done: self.audio_ms.load(Relaxed) as f64 / 1e3,
            busy_seconds: self.busy_us.load(Relaxed) as f64 / 1e6,
            steps_done: self.steps.load(Relaxed),
            tokens_done: self.tokens.load(Relaxed),
            most_windows: self.most_windows.load(Relaxed),
            most_rows: self.most_rows.load(Relaxed),
            idle_seconds,
            heartbeat_age_seconds,
            is_lost: false,
        }
    }
}
