//! Recordings that were accepted in; how much of them is still to be transcribed out, whatever becomes of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Take;
use crate::audio::duration_of;

/// Audio ahead of whoever comes now, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    millis: AtomicU64,
    /// All that ever was.
    entered: AtomicU64,
}

/// What is left of one take. Dropping it takes the rest away: the request is done, or its caller has left.
#[derive(Debug)]
pub(super) struct Share {
    ahead: Arc<Ahead>,
    left: AtomicU64,
}

/// Audio of one recording that is not read yet, as far as its container tells.
#[derive(Debug)]
pub(super) struct Rest {
    ahead: Arc<Ahead>,
    millis: u64,
}

impl Ahead {
    pub fn audio(&self) -> Duration {
        Duration::from_millis(self.millis.load(Relaxed))
    }

    /// Since the start.
    pub fn entered(&self) -> Duration {
        Duration::from_millis(self.entered.load(Relaxed))
    }

    /// Of a recording of which nothing is known yet.
    pub fn rest(self: &Arc<Self>) -> Rest {
        Rest { ahead: self.clone(), millis: 0 }
    }

    /// Counts what is to be heard of the takes, until they are dropped.
    pub fn enter(self: &Arc<Self>, takes: &mut [Take]) {
        for take in takes {
            let audio = duration_of(take.timeline.len()).as_millis() as u64;
            self.millis.fetch_add(audio, Relaxed);
            self.entered.fetch_add(audio, Relaxed);
            take.ahead = Some(Share { ahead: self.clone(), left: AtomicU64::new(audio) });
        }
    }
}

impl Rest {
    pub fn set(&mut self, audio: Duration) {
        let millis = audio.as_millis() as u64;
        self.ahead.millis.fetch_add(millis, Relaxed);
        self.ahead.millis.fetch_sub(self.millis, Relaxed);
        self.millis = millis;
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.set(Duration::ZERO);
    }
}

impl Share {
    pub fn done(&self, audio: Duration) {
        let audio = audio.as_millis() as u64;
        let before = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(audio)));
        let before = before.unwrap_or_default();
        self.ahead.millis.fetch_sub(before.min(audio), Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ahead.millis.fetch_sub(self.left.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard_and_what_is_given_up_is_no_longer_ahead() {
        let ahead = Arc::new(Ahead { millis: AtomicU64::new(70_000), ..Ahead::default() });
        let share = Share { ahead: ahead.clone(), left: AtomicU64::new(60_000) };
        share.done(Duration::from_secs(25));
        assert_eq!(ahead.audio(), Duration::from_secs(45));
        // More than there was, where some of it was heard twice.
        share.done(Duration::from_secs(50));
        assert_eq!(ahead.audio(), Duration::from_secs(10));
        let given_up = Share { ahead: ahead.clone(), left: AtomicU64::new(4_000) };
        drop((share, given_up));
        assert_eq!(ahead.audio(), Duration::from_secs(6));
        let mut rest = ahead.rest();
        rest.set(Duration::from_secs(100));
        rest.set(Duration::from_secs(70));
        assert_eq!(ahead.audio(), Duration::from_secs(76));
        drop(rest);
        assert_eq!(ahead.audio(), Duration::from_secs(6));
    }
}
