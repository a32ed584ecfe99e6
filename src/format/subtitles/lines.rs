//! The units of a cue in, its lines out: as few as hold them, broken where it reads well, and about equally long.

use std::ops::Range;

use super::rules::Room;
use super::units::Unit;

/// How far a line is filled, as units are put into it one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub width: usize,
    words: usize,
}

impl Line {
    /// Before the first unit.
    pub fn new(indent: usize) -> Line {
        Line { width: indent, words: 0 }
    }

    /// The line with the unit; `None`: it is full. The first unit always fits: a word that is too long stands alone.
    pub fn with(self, unit: &Unit, room: &Room) -> Option<Line> {
        let space = usize::from(unit.spaced && self.words > 0);
        let line = Line { width: self.width + space + unit.width, words: self.words + 1 };
        let fits = line.width <= room.width && line.words <= room.words;
        (fits || self.words == 0).then_some(line)
    }
}

/// Where each line begins and ends among `units`.
pub(super) fn lay(units: &[Unit], room: &Room) -> Vec<Range<usize>> {
    if room.is_endless() || units.is_empty() {
        return std::iter::once(0..units.len()).collect();
    }
    // The best way to set the units up to each place: how many lines, at which cost, and where the last of them begins.
    let mut best: Vec<Option<(usize, f64, usize)>> = vec![None; units.len() + 1];
    best[0] = Some((0, 0.0, 0));
    let scale = match room.width {
        usize::MAX => units.iter().map(|unit| unit.width + 1).sum::<usize>(),
        width => width,
    };
    for begin in 0..units.len() {
        let Some((lines, cost, _)) = best[begin] else { continue };
        let mut line = Line::new(if begin == 0 { room.indent } else { 0 });
        for (at, unit) in units.iter().enumerate().skip(begin) {
            let Some(longer) = line.with(unit, room) else { break };
            line = longer;
            // Squares: of lines that hold the same text, equal ones cost least.
            let fill = line.width as f64 / scale as f64;
            let ending = if at + 1 == units.len() { 0.0 } else { unit.after.cost() };
            let here = (lines + 1, cost + 40.0 * fill * fill + ending, begin);
            if best[at + 1].is_none_or(|known| (here.0, here.1) < (known.0, known.1)) {
                best[at + 1] = Some(here);
            }
        }
    }
    let mut ranges = Vec::new();
    let mut end = units.len();
    while end > 0 {
        let begin = best[end].map_or(0, |(_, _, begin)| begin);
        ranges.push(begin..end);
        end = begin;
    }
    ranges.reverse();
    ranges
}
