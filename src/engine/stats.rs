//! What the engine is doing, counted by its thread and read by anyone.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Load;

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
        Load {
            slots: self.slots,
            slots_busy: self.slots_busy.load(Relaxed),
            queued_windows: self.queued.load(Relaxed),
            audio_seconds_ahead: 0.0,
            windows_done: self.windows.load(Relaxed),
            audio_seconds_done: self.audio_ms.load(Relaxed) as f64 / 1e3,
            busy_seconds: self.busy_us.load(Relaxed) as f64 / 1e6,
            steps_done: self.steps.load(Relaxed),
            tokens_done: self.tokens.load(Relaxed),
            heartbeat_age_seconds: if self.idle.load(Relaxed) { 0.0 } else { since_beat.as_secs_f64() },
        }
    }
}
