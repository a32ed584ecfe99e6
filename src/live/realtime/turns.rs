//! The session's samples in; where somebody begins and stops speaking, and what is said in between, out.
//!
//! Without detection everything waits for a commit. With it, what nobody speaks in is let go but for the padding before a turn, and
//! a turn that grows as long as Whisper's window is cut in its longest pause: what follows is the next turn, to the sample.

use std::collections::VecDeque;
use std::ops::Range;

use crate::audio::{FRAME, HYSTERESIS, LATENCY, LiveSpeech, SAMPLE_RATE, WINDOW_SAMPLES, WITHIN, quietest};

use super::config::Vad;

/// Shorter sounds are no speech: 0.1 s, as for files.
const SHORTEST: usize = SAMPLE_RATE / 10;
/// A long turn is cut no earlier than after this much of it.
const EARLIEST_CUT: usize = WINDOW_SAMPLES / 3;
/// Where nobody pauses, it is cut in the quietest place after this much.
const LATE_CUT: usize = WINDOW_SAMPLES * 2 / 3;

/// Places are samples from the session's start.
#[derive(Debug, PartialEq)]
pub enum Change {
    Started(usize),
    Stopped(usize),
    Turn { start: usize, samples: Vec<f32> },
}

pub struct Turns {
    buffer: Buffer,
    ear: Option<Ear>,
}

/// What is part of no turn yet.
#[derive(Default)]
struct Buffer {
    start: usize,
    samples: VecDeque<f32>,
}

/// Who listens where the client does not say when a turn ends.
struct Ear {
    how: Vad,
    speech: LiveSpeech,
    /// The next frame to be judged.
    next: usize,
    /// Where a sound began that may be speech.
    since: Option<usize>,
    /// Where it was last heard.
    last: usize,
    /// Where the turn begins in which somebody speaks.
    turn: Option<usize>,
    /// Where nobody spoke in it.
    pauses: Vec<Range<usize>>,
    /// Where the client took or forgot what was being said: the network hears that for a moment still.
    forgotten: Option<usize>,
}

impl Turns {
    pub fn new(how: Option<Vad>) -> Self {
        Turns { buffer: Buffer::default(), ear: how.map(|how| Ear::new(how, 0)) }
    }

    /// What waits so far is heard from its start.
    pub fn detect(&mut self, how: Option<Vad>) {
        match (&mut self.ear, how) {
            (Some(ear), Some(how)) => ear.how = how,
            (ear, how) => *ear = how.map(|how| Ear::new(how, self.buffer.start)),
        }
    }

    pub fn hear(&mut self, samples: &[f32]) -> Vec<Change> {
        self.buffer.samples.extend(samples);
        let mut changes = Vec::new();
        let Some(ear) = &mut self.ear else { return changes };
        while ear.next + FRAME <= self.buffer.end() {
            let at = ear.next;
            let frame: Vec<f32> = self.buffer.range(at..at + FRAME).collect();
            let probability = ear.speech.hear(&frame);
            ear.next += FRAME;
            ear.judge(at, probability, &mut self.buffer, &mut changes);
        }
        changes
    }

    /// Samples that are part of no turn yet.
    pub fn waiting(&self) -> usize {
        self.buffer.samples.len()
    }

    pub fn is_speaking(&self) -> bool {
        self.ear.as_ref().is_some_and(|ear| ear.turn.is_some())
    }

    pub fn commit(&mut self) -> Vec<Change> {
        let end = self.buffer.end();
        let was_speaking = self.is_speaking();
        if let Some(ear) = &mut self.ear {
            ear.forget(end);
        }
        let turn = self.buffer.take(end);
        was_speaking.then_some(Change::Stopped(end)).into_iter().chain([turn]).collect()
    }

    pub fn clear(&mut self) {
        let end = self.buffer.end();
        self.buffer.let_go(end);
        if let Some(ear) = &mut self.ear {
            ear.forget(end);
        }
    }
}

impl Ear {
    fn new(how: Vad, next: usize) -> Self {
        let speech = LiveSpeech::default();
        Ear { how, speech, next, since: None, last: next, turn: None, pauses: Vec::new(), forgotten: None }
    }

    /// `at`: where the frame begins of which the network thinks so.
    fn judge(&mut self, at: usize, probability: f32, buffer: &mut Buffer, changes: &mut Vec<Change>) {
        let end = at + FRAME;
        let on = self.how.threshold;
        let off = (on - HYSTERESIS).max(0.01);
        let within = self.since.is_some() || self.turn.is_some();
        if probability >= on || (within && probability >= off) {
            self.sound(at, buffer, changes);
        } else if self.turn.is_none() && end >= self.last + WITHIN {
            self.since = None;
        }
        match self.turn {
            Some(_) if end >= self.last + self.how.silence => {
                (self.turn, self.since) = (None, None);
                self.pauses.clear();
                changes.extend([Change::Stopped(end), buffer.take(end)]);
            }
            Some(start) if end - start >= WINDOW_SAMPLES => {
                let cut = self.cut(start..end, buffer);
                self.turn = Some(cut);
                self.pauses.retain(|pause| pause.start >= cut);
                changes.extend([Change::Stopped(cut), buffer.take(cut), Change::Started(cut)]);
            }
            Some(_) => {}
            None => buffer.let_go(self.since.unwrap_or(end).saturating_sub(LATENCY + self.how.prefix)),
        }
    }

    fn sound(&mut self, at: usize, buffer: &Buffer, changes: &mut Vec<Change>) {
        if self.turn.is_some() && at > self.last {
            self.pauses.push(self.last.saturating_sub(LATENCY)..at.saturating_sub(LATENCY));
        }
        let since = *self.since.get_or_insert(at);
        self.last = at + FRAME;
        if self.turn.is_none() && self.last - since >= self.shortest(since) {
            let start = since.saturating_sub(LATENCY + self.how.prefix).max(buffer.start);
            self.turn = Some(start);
            changes.push(Change::Started(start));
        }
    }

    /// What still sounds of the speech before is no new one.
    fn shortest(&self, since: usize) -> usize {
        let echoes = self.forgotten.is_some_and(|at| since < at + WITHIN);
        if echoes { SHORTEST + WITHIN } else { SHORTEST }
    }

    /// In the longest pause of the later part; where there is none, wherever it is quietest.
    fn cut(&self, turn: Range<usize>, buffer: &Buffer) -> usize {
        let ongoing = (self.last < turn.end).then(|| self.last.saturating_sub(LATENCY)..turn.end);
        let pauses = self.pauses.iter().cloned().chain(ongoing);
        let late = pauses.filter(|pause| pause.start >= turn.start + EARLIEST_CUT);
        // A plosive's closure is no pause.
        let long = late.filter(|pause| pause.len() >= SHORTEST);
        let place = long.max_by_key(Range::len).unwrap_or(turn.start + LATE_CUT..turn.end);
        let samples: Vec<f32> = buffer.range(place.clone()).collect();
        place.start + quietest(&(0..samples.len()), &samples)
    }

    /// Nothing before `at` is of interest any more.
    fn forget(&mut self, at: usize) {
        (self.turn, self.since, self.next) = (None, None, at);
        self.forgotten = Some(at);
        self.pauses.clear();
    }
}

impl Buffer {
    fn end(&self) -> usize {
        self.start + self.samples.len()
    }

    fn range(&self, range: Range<usize>) -> impl Iterator<Item = f32> + '_ {
        self.samples.range(range.start - self.start..range.end - self.start).copied()
    }

    /// Everything before `at`, as a turn.
    fn take(&mut self, at: usize) -> Change {
        let start = self.start;
        self.start = at;
        Change::Turn { start, samples: self.samples.drain(..at - start).collect() }
    }

    fn let_go(&mut self, at: usize) {
        if at > self.start {
            self.samples.drain(..at - self.start);
            self.start = at;
        }
    }
}
