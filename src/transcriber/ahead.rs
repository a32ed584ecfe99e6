//! Recordings that were accepted in; how much of them is still to be transcribed out, whatever becomes of each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Take;
use crate::audio::duration_of;

/// Audio ahead of whoever comes now, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    millis: AtomicU64,
    /// The part of it that is not read yet.
    unread: AtomicU64,
    /// All that ever was.
    entered: AtomicU64,
    /// Of one recording: as long as it is known to be, with its silence.
    length: AtomicU64,
    /// Of which this is a part.
    whole: Option<Arc<Ahead>>,
}

/// How far one recording is, for whoever handed it in.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<OnceLock<Arc<Ahead>>>);

impl Progress {
    /// 0 to 1, by the length that the container announces and what of it is heard.
    pub fn share(&self) -> f64 {
        let Some(ahead) = self.0.get() else { return 0.0 };
        let all = ahead.entered.load(Relaxed) + ahead.unread.load(Relaxed);
        let left = ahead.millis.load(Relaxed);
        if all == 0 { 0.0 } else { all.saturating_sub(left) as f64 / all as f64 }
    }

    /// How long it is, as far as that is known by now: as its container announces, or what was read of it.
    pub fn length(&self) -> Duration {
        self.0.get().map_or(Duration::ZERO, |ahead| Duration::from_millis(ahead.length.load(Relaxed)))
    }
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

    /// A part of it, of one recording.
    pub fn part(self: &Arc<Self>, progress: &Progress) -> Arc<Ahead> {
        let part = || Arc::new(Ahead { whole: Some(self.clone()), ..Ahead::default() });
        progress.0.get_or_init(part).clone()
    }

    fn add(&self, audio: u64) {
        self.millis.fetch_add(audio, Relaxed);
        if let Some(whole) = &self.whole {
            whole.add(audio);
        }
    }

    fn sub(&self, audio: u64) {
        self.millis.fetch_sub(audio, Relaxed);
        if let Some(whole) = &self.whole {
            whole.sub(audio);
        }
    }

    fn count(&self, audio: u64) {
        self.entered.fetch_add(audio, Relaxed);
        if let Some(whole) = &self.whole {
            whole.count(audio);
        }
    }

    /// Of a recording of which nothing is known yet.
    pub fn rest(self: &Arc<Self>) -> Rest {
        Rest { ahead: self.clone(), millis: 0 }
    }

    /// Counts what is to be heard of the takes, until they are dropped.
    pub fn enter(self: &Arc<Self>, takes: &mut [Take]) {
        for take in takes {
            let audio = duration_of(take.timeline.len()).as_millis() as u64;
            self.add(audio);
            self.count(audio);
            take.ahead = Some(Share { ahead: self.clone(), left: AtomicU64::new(audio) });
        }
    }
}

impl Rest {
    /// So much of the recording was read, and so much it has by what its container says.
    pub fn read(&mut self, read: Duration, announced: Option<Duration>) {
        let length = announced.unwrap_or_default().max(read);
        self.ahead.length.fetch_max(length.as_millis() as u64, Relaxed);
        self.set(length.saturating_sub(read));
    }

    pub fn set(&mut self, audio: Duration) {
        let millis = audio.as_millis() as u64;
        self.ahead.add(millis);
        self.ahead.sub(self.millis);
        self.ahead.unread.fetch_add(millis, Relaxed);
        self.ahead.unread.fetch_sub(self.millis, Relaxed);
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
        self.ahead.sub(before.min(audio));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ahead.sub(self.left.load(Relaxed));
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
    #[test]
    fn a_recording_s_progress_is_what_is_heard_of_what_there_is() {
        let all = Arc::new(Ahead::default());
        let progress = Progress::default();
        assert_eq!(progress.share(), 0.0);
        let part = all.part(&progress);
        let mut rest = part.rest();
        rest.read(Duration::from_secs(30), Some(Duration::from_secs(120)));
        assert_eq!(progress.length(), Duration::from_secs(120));
        part.add(10_000);
        part.count(10_000);
        let share = Share { ahead: part.clone(), left: AtomicU64::new(10_000) };
        assert_eq!((progress.share(), all.audio()), (0.0, Duration::from_secs(100)));
        share.done(Duration::from_secs(10));
        assert_eq!((progress.share(), all.audio()), (0.1, Duration::from_secs(90)));
        drop(rest);
        assert_eq!(
            (progress.share(), all.audio(), all.entered()),
            (1.0, Duration::ZERO, Duration::from_secs(10))
        );
    }
}
