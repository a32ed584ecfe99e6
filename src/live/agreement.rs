//! What is heard of a take's open end, again and again as it grows, in; text that stands (`committed`) and text that may still
//! change (`tentative`) out.
//!
//! Local agreement with two hypotheses: the longest beginning on which two in a row agree is committed, and is never taken back
//! (Machacek, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System", IJCNLP-AACL 2023, section 3). The
//! window is cut in pauses between committed words, where nothing is cut through; only where nobody pauses, before a word.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Words further apart have a pause between them.
const PAUSE: Duration = Duration::from_millis(400);
/// Kept of a pause before the next word.
const LEAD: Duration = Duration::from_millis(300);
/// The last second may hold the beginning of a word that nobody can make out yet.
const UNSURE: Duration = Duration::from_secs(1);
/// A window that is longer is cut between words, without a pause.
const LONG: Duration = Duration::from_secs(14);
/// Words before such a cut that stay in the window, so that what follows them is heard in its place.
const CONTEXT: usize = 3;
/// From here on words are committed without agreement: Whisper's window is 30 s, and the next chunk must find room.
const LONGEST: Duration = Duration::from_secs(22);
/// What is then left open.
const OPEN: Duration = Duration::from_secs(6);

/// A word with its leading space and its times in the take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
}

/// The text of a take as far as it was heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    committed: Vec<Said>,
    /// What the last hypothesis says beyond `committed`.
    tentative: Vec<Said>,
    /// Up to where the last hypothesis listened.
    heard: Duration,
    /// What lies before needs no more listening.
    from: Duration,
}

impl Agreement {
    /// Where the window begins that is to be heard next. It ends where the take does.
    pub fn from(&self) -> Duration {
        self.from
    }

    pub fn heard(&self) -> Duration {
        self.heard
    }

    pub fn committed(&self) -> &[Said] {
        &self.committed
    }

    pub fn tentative(&self) -> &[Said] {
        &self.tentative
    }

    /// The words of the window from `from()` to `end`, in order, their times those of the take.
    pub fn update(&mut self, hypothesis: Vec<Said>, end: Duration) {
        let mut fresh = self.beyond(hypothesis);
        let agreed = fresh.iter().zip(&self.tentative).take_while(|(new, old)| is_same(new, old)).count();
        let mut sure = agreed;
        if end.saturating_sub(self.from) > LONGEST {
            let settled = end.saturating_sub(OPEN);
            sure = sure.max(fresh.iter().take_while(|word| word.end <= settled).count());
        }
        // Beyond what is committed, the first word that either hypothesis has.
        let before = self.tentative.get(agreed).filter(|_| sure == agreed).map(|word| word.start);
        let earlier = self.heard;
        let rest = fresh.split_off(sure);
        self.committed.extend(fresh);
        let next = rest.first().map(|word| word.start).into_iter().chain(before).min();
        self.tentative = rest;
        self.heard = end;
        self.cut(next, earlier);
    }

    /// Moves the window's beginning. `next`: the first word that is not committed; `earlier`: how far the hypothesis before
    /// this one listened.
    fn cut(&mut self, next: Option<Duration>, earlier: Duration) {
        let spoken = self.committed.last().map_or(Duration::ZERO, |word| word.end);
        // Where both have listened and neither heard a word.
        let quiet = next.unwrap_or(Duration::MAX).min(earlier.saturating_sub(UNSURE));
        if quiet > spoken + PAUSE {
            self.from = self.from.max(quiet.saturating_sub(LEAD).max(spoken));
        } else if let Some(pause) = self.last_pause() {
            self.from = self.from.max(pause);
        }
        if self.heard.saturating_sub(self.from) > LONG {
            let kept = self.committed.len().saturating_sub(CONTEXT);
            let word = self.committed.get(kept).map_or(Duration::ZERO, |word| word.start);
            self.from = self.from.max(word);
        }
        // Nobody can be kept waiting for words that are never agreed on.
        self.from = self.from.max(self.heard.saturating_sub(LONGEST + OPEN));
    }

    /// Where the words after the last pause among the committed ones begin.
    fn last_pause(&self) -> Option<Duration> {
        let pairs = self.committed.windows(2).rev().take_while(|pair| pair[1].start > self.from);
        let mut pauses = pairs.filter(|pair| pair[1].start.saturating_sub(pair[0].end) > PAUSE);
        pauses.next().map(|pair| pair[1].start.saturating_sub(LEAD).max(pair[0].end))
    }

    /// The words that are not committed yet. Where the hypothesis begins with those of the window that are, exactly these
    /// go, else whatever lies before their end.
    fn beyond(&self, mut hypothesis: Vec<Said>) -> Vec<Said> {
        let inside = self.committed.iter().rev().take_while(|word| word.start >= self.from).count();
        let inside = &self.committed[self.committed.len() - inside..];
        let repeats = hypothesis.len() >= inside.len()
            && hypothesis.iter().zip(inside).all(|(new, old)| is_same(new, old));
        if repeats {
            return hypothesis.split_off(inside.len());
        }
        let spoken = self.committed.last().map_or(Duration::ZERO, |word| word.end);
        let known = hypothesis.iter().take_while(|word| (word.start + word.end) / 2 <= spoken).count();
        hypothesis.split_off(known)
    }
}

/// As text: each word brings its own space.
pub fn text(words: &[Said]) -> String {
    let joined: String = words.iter().map(|word| word.text.as_str()).collect();
    joined.trim().to_owned()
}

/// The end of a window makes full stops and capitals out of nothing: they are no disagreement.
fn is_same(one: &Said, other: &Said) -> bool {
    let plain = |word: &Said| -> String {
        word.text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    plain(one) == plain(other)
}
