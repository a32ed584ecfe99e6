//! Cues with the times of what is said in; cues with the times at which they are shown out.

use super::Cue;
use super::rules::SubtitleRules;
use crate::format::millis;

/// One channel's cues at a time: each begins after the one before it has begun.
pub(super) fn set_starts(cues: &mut [Cue]) {
    let mut floor = 0;
    for cue in cues {
        cue.start = cue.start.max(floor);
        cue.end = cue.end.max(cue.start + 1);
        floor = cue.start + 1;
    }
}

/// What ends are held to.
pub(super) struct Ends<'a> {
    pub rules: &'a SubtitleRules,
    /// When the cues of all channels begin, in order.
    pub starts: &'a [u64],
    /// Of the audio, in milliseconds.
    pub duration: u64,
}

impl Ends<'_> {
    /// One channel's cues, once their starts are set: they stay long enough to be read, where nothing follows, and never
    /// into the next.
    pub fn set(&self, cues: &mut [Cue]) {
        let own: Vec<u64> = cues.iter().map(|cue| cue.start).collect();
        for (index, cue) in cues.iter_mut().enumerate() {
            let following = self.starts.partition_point(|start| *start <= cue.start);
            let free = self.starts.get(following).map_or(u64::MAX, |next| self.before(cue.start, *next));
            let free = free.min(self.duration.max(cue.end));
            let read = self.reading(cue).min(free);
            let mut end = cue.end.max(read);
            if let Some(most) = self.rules.max_cue {
                end = end.min(cue.start.saturating_add(millis(most)));
            }
            if let Some(next) = own.get(index + 1) {
                end = end.min(self.before(cue.start, *next));
            }
            cue.end = end.max(cue.start + 1);
        }
    }

    /// When the cue could go, as far as its reader is concerned.
    fn reading(&self, cue: &Cue) -> u64 {
        let least = self.rules.min_cue.map_or(0, millis);
        let read =
            self.rules.max_cps.map_or(0, |cps| (cue.width() as f64 * 1e3 / f64::from(cps)).ceil() as u64);
        cue.start.saturating_add(least.max(read))
    }

    /// The latest end before a cue that follows: the gap is kept, unless it were more than half of what there is.
    fn before(&self, start: u64, next: u64) -> u64 {
        let gap = self.rules.gap.map_or(0, millis);
        next - gap.min((next - start) / 2)
    }
}
