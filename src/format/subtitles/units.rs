//! Segments in, the smallest pieces that a subtitle never breaks (`Unit`) out, each with its time.

use std::collections::BTreeMap;
use std::ops::Range;

use super::breaks::{Break, char_width, may_break, width};
use crate::format::align::align;
use crate::format::millis;
use crate::transcript::{Segment, Transcript, Word};

/// In scripts without spaces a word longer than half a line may be broken: it is hardly one word.
const LONG_WORD: usize = 20;

/// A word with its punctuation; in scripts without spaces a word or a character.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    pub text: String,
    /// Whether a space stands before it, unless it begins a line.
    pub spaced: bool,
    /// In milliseconds.
    pub start: u64,
    pub end: u64,
    /// Whether its times are a word's own, and not worked out from the segment's.
    pub timed: bool,
    /// Columns, at least one.
    pub width: usize,
    /// How good it is to break after it.
    pub after: Break,
    /// Index of the segment that it is from.
    pub segment: usize,
}

/// The units of each channel, in the order of their text. Within a channel no unit begins before the one ahead of it.
pub fn by_channel(transcript: &Transcript) -> BTreeMap<Option<usize>, Vec<Unit>> {
    let mut channels: BTreeMap<Option<usize>, Vec<Unit>> = BTreeMap::new();
    for (index, segment) in transcript.segments.iter().enumerate() {
        let units = channels.entry(segment.channel).or_default();
        let language = segment.language.unwrap_or(transcript.language).code;
        let first = units.len();
        split(segment, index, units);
        for at in first.max(1)..units.len() {
            units[at - 1].after = Break::between(&units[at - 1].text, &units[at].text, language);
        }
    }
    for units in channels.values_mut() {
        let mut floor = 0;
        for unit in units {
            unit.start = unit.start.max(floor);
            unit.end = unit.end.max(unit.start);
            floor = unit.start;
        }
    }
    channels
}

/// A segment's text decides where words begin and end; its words only give the times, and only where they are its text.
fn split(segment: &Segment, index: usize, units: &mut Vec<Unit>) {
    let first = units.len();
    let mut times = Times::of(segment);
    let mut previous: Option<char> = None;
    let mut spaced = false;
    for c in segment.text.chars() {
        if c.is_whitespace() {
            spaced = true;
            continue;
        }
        let (start, end) = times.next(c);
        let begins = match previous {
            None => true,
            Some(_) if spaced => true,
            Some(before) => times.may_split() && may_break(before, c),
        };
        match units.last_mut() {
            Some(unit) if !begins => {
                unit.text.push(c);
                unit.end = unit.end.max(end);
            }
            _ => units.push(Unit {
                text: c.to_string(),
                // A segment may begin without a space where the one before it ended with one, or in such a script.
                spaced,
                start,
                end,
                timed: times.timed,
                width: 1,
                after: Break::Sentence,
                segment: index,
            }),
        }
        previous = Some(c);
        spaced = false;
    }
    for unit in &mut units[first..] {
        unit.width = width(&unit.text).max(1);
    }
}

/// The time of each character that is not white space, a word's or the segment's time shared out by width.
struct Times {
    /// What is left, the next last.
    spans: Vec<Span>,
    timed: bool,
    /// How much of the current span's width is behind us.
    done: u64,
    left: usize,
    at_start: bool,
}

#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
    chars: usize,
    width: u64,
}

impl Span {
    fn new(start: u64, end: u64, text: &str) -> Span {
        let spoken = text.chars().filter(|c| !c.is_whitespace());
        let (chars, width) = spoken.fold((0, 0), |(chars, width), c| (chars + 1, width + weight(c)));
        Span { start, end: end.max(start), chars, width }
    }

    fn at(&self, done: u64) -> u64 {
        let length = u128::from(self.end - self.start);
        let share = length * u128::from(done) / u128::from(self.width.max(1));
        self.start + u64::try_from(share).unwrap_or(0)
    }
}

fn weight(c: char) -> u64 {
    char_width(c).max(1) as u64
}

impl Times {
    fn of(segment: &Segment) -> Times {
        let aligned = align(&segment.text, segment.words.iter().map(|word| word.text.as_str()));
        let timed = aligned.is_some();
        let mut spans: Vec<Span> = match aligned {
            Some(ranges) => {
                let words = segment.words.iter().zip(ranges);
                let span = |(word, range): (&Word, Range<usize>)| {
                    Span::new(millis(word.start), millis(word.end), &segment.text[range])
                };
                words.map(span).filter(|span| span.chars > 0).collect()
            }
            None => vec![Span::new(millis(segment.start), millis(segment.end), &segment.text)],
        };
        spans.reverse();
        let left = spans.last().map_or(0, |span| span.chars);
        Times { spans, timed, done: 0, left, at_start: true }
    }

    /// From when to when `c` is said.
    fn next(&mut self, c: char) -> (u64, u64) {
        self.at_start = self.done == 0;
        if self.left == 0 {
            self.spans.pop();
            self.done = 0;
            self.left = self.spans.last().map_or(usize::MAX, |span| span.chars);
            self.at_start = true;
        }
        let Some(span) = self.spans.last() else { return (0, 0) };
        let start = span.at(self.done);
        self.done += weight(c);
        self.left -= 1;
        (start, span.at(self.done))
    }

    /// Whether a unit may begin at the character just given, as far as words are concerned.
    fn may_split(&self) -> bool {
        let long = self.spans.last().is_some_and(|span| span.width as usize > LONG_WORD);
        !self.timed || self.at_start || long
    }
}
