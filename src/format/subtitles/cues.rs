//! The units of one speaker in, the cues they are shown in out: each within the rules, together broken where it reads best.

use std::ops::Range;

use super::breaks::Break;
use super::lines::Line;
use super::rules::{Room, SubtitleRules};
use super::units::Unit;
use crate::format::millis;

/// In milliseconds: nobody waits for the end of a sentence so long, and its cue would give away what is not yet said.
const PAUSE: u64 = 1_000;
/// Words of a cue at most, whatever the rules allow: beyond that the search would cost more than it finds.
const MOST_UNITS: usize = 256;

/// What one more cue costs, and what badly filled and badly ended ones do; see `Break::cost` for the scale.
const CUE: f64 = 10.0;
const FILL: f64 = 8.0;
const TOO_SHORT: f64 = 15.0;
const NEW_SENTENCE_CUT: f64 = 6.0;
const SEGMENT_END: f64 = 3.0;

/// Where each cue begins and ends among `units`, which are in order.
pub(super) fn cut(units: &[Unit], rules: &SubtitleRules, room: &Room) -> Vec<Range<usize>> {
    let mut cues = Vec::new();
    for stretch in stretches(units, rules) {
        match rules.splits() {
            true => {
                let found = best(&units[stretch.clone()], rules, room);
                cues.extend(found.into_iter().map(|cue| stretch.start + cue.start..stretch.start + cue.end));
            }
            false => cues.push(stretch),
        }
    }
    cues
}

/// What no cue reaches across.
fn stretches(units: &[Unit], rules: &SubtitleRules) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin = 0;
    for at in 1..=units.len() {
        let ends = at == units.len() || {
            let (before, after) = (&units[at - 1], &units[at]);
            let pause = rules.splits() && after.start.saturating_sub(before.end) >= PAUSE;
            pause || (rules.keeps_segments() && before.segment != after.segment)
        };
        if ends {
            found.push(begin..at);
            begin = at;
        }
    }
    found
}

/// The cheapest way to cut: at each place, the cheapest way to have come there.
fn best(units: &[Unit], rules: &SubtitleRules, room: &Room) -> Vec<Range<usize>> {
    let mut best: Vec<(f64, usize)> = vec![(f64::INFINITY, 0); units.len() + 1];
    best[0] = (0.0, 0);
    for begin in 0..units.len() {
        let so_far = best[begin].0;
        let mut cue = Growing::new(room);
        for end in begin + 1..=units.len().min(begin + MOST_UNITS) {
            if !cue.take(&units[begin..end], rules, room) {
                break;
            }
            let cost = so_far + cue.cost(&units[begin..end], units.get(end), rules, room);
            if cost < best[end].0 {
                best[end] = (cost, begin);
            }
        }
    }
    let mut cues = Vec::new();
    let mut end = units.len();
    while end > 0 {
        let begin = best[end].1;
        cues.push(begin..end);
        end = begin;
    }
    cues.reverse();
    cues
}

/// A cue as it takes one unit after the other.
struct Growing {
    line: Line,
    lines: usize,
    width: usize,
    end: u64,
    /// Whether a sentence ended before its last unit.
    sentence_inside: bool,
}

impl Growing {
    fn new(room: &Room) -> Growing {
        Growing { line: Line::new(room.indent), lines: 1, width: 0, end: 0, sentence_inside: false }
    }

    /// Takes the last of `units`; `false`: it does not fit any more.
    fn take(&mut self, units: &[Unit], rules: &SubtitleRules, room: &Room) -> bool {
        let [first, .., last] = units else {
            let Some(only) = units.first() else { return false };
            self.line = self.line.with(only, room).unwrap_or(self.line);
            self.end = only.end;
            self.width = only.width;
            return true;
        };
        self.sentence_inside |= units[units.len() - 2].after == Break::Sentence;
        match self.line.with(last, room) {
            Some(line) => self.line = line,
            None if self.lines < room.lines => {
                self.lines += 1;
                self.line = Line::new(0).with(last, room).unwrap_or(self.line);
            }
            None => return false,
        }
        self.width += last.width + usize::from(last.spaced);
        self.end = self.end.max(last.end);
        let length = self.end - first.start;
        rules.max_cue.is_none_or(|most| length <= millis(most))
    }

    fn cost(&self, units: &[Unit], next: Option<&Unit>, rules: &SubtitleRules, room: &Room) -> f64 {
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return 0.0 };
        let fill = self.fill(units, rules, room);
        let mut cost = CUE + FILL * fill * fill;
        let Some(next) = next else { return cost };
        let ends_segment = last.segment != next.segment;
        cost += if ends_segment { last.after.cost().min(SEGMENT_END) } else { last.after.cost() };
        if self.sentence_inside && last.after != Break::Sentence {
            cost += NEW_SENTENCE_CUT;
        }
        if let Some(least) = rules.min_cue.map(millis).filter(|least| *least > 0) {
            let shown = next.start.saturating_sub(first.start).min(least);
            cost += TOO_SHORT * (1.0 - shown as f64 / least as f64);
        }
        cost
    }

    /// How much of what a cue may hold it holds, 0 to 1.
    fn fill(&self, units: &[Unit], rules: &SubtitleRules, room: &Room) -> f64 {
        let share = |held: usize, most: usize| match most {
            usize::MAX => 0.0,
            most => held as f64 / most as f64,
        };
        let start = units.first().map_or(0, |first| first.start);
        let time = rules.max_cue.map_or(0.0, |most| (self.end - start) as f64 / millis(most).max(1) as f64);
        let width = share(self.width, room.width.saturating_mul(room.lines));
        time.max(width).max(share(units.len(), room.words.saturating_mul(room.lines))).min(1.0)
    }
}
