//! A `Transcript` in, SRT, WebVTT or openai/whisper's TSV out.
//!
//! ```text
//! segments --units--> words --cues--> cues --lines--> lines --times--> shown from, until --writers--> text
//! ```

pub(super) mod breaks;
mod cues;
mod lines;
mod rules;
mod times;
mod units;
mod writers;

use self::rules::Room;
pub use self::rules::SubtitleRules;
use self::times::Ends;
use self::units::Unit;
pub(super) use self::writers::{srt, tsv, vtt};
use super::{Layout, millis, speaker};
use crate::transcript::Transcript;

/// What is on the screen at one time; never empty. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
struct Cue {
    start: u64,
    end: u64,
    channel: Option<usize>,
    lines: Vec<Vec<Unit>>,
}

impl Cue {
    /// What there is to read, in columns; a line's end counts as a space.
    fn width(&self) -> usize {
        let units = self.lines.iter().flatten().enumerate();
        units.map(|(index, unit)| unit.width + usize::from(unit.spaced && index > 0)).sum()
    }

    /// `[A]: ` where channels are speakers.
    fn prefix(&self) -> String {
        prefix(self.channel)
    }
}

fn prefix(channel: Option<usize>) -> String {
    channel.map(|channel| format!("[{}]: ", speaker(channel))).unwrap_or_default()
}

/// Where the speaker's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speakers {
    /// Before the text, where it takes room.
    InText,
    /// In the markup.
    Aside,
}

/// In the order in which they begin.
fn cues(transcript: &Transcript, layout: &Layout, speakers: Speakers) -> Vec<Cue> {
    let rules = layout.subtitles.settled();
    let mut channels: Vec<Vec<Cue>> = units::by_channel(transcript)
        .into_iter()
        .map(|(channel, units)| {
            let indent = if speakers == Speakers::InText { prefix(channel).len() } else { 0 };
            let room = rules.room(indent);
            let ranges = cues::cut(&units, &rules, &room);
            let mut units = units.into_iter();
            ranges.into_iter().map(|range| cue(channel, units.by_ref().take(range.len()), &room)).collect()
        })
        .collect();
    if !rules.any() {
        return whole_segments(transcript, channels.into_iter().flatten().collect());
    }
    show(&mut channels, &rules, millis(transcript.duration));
    let mut cues: Vec<Cue> = channels.into_iter().flatten().collect();
    // Stable: two that begin together stay in the order of their channels.
    cues.sort_by_key(|cue| cue.start);
    cues
}

/// Without rules a cue is a segment, shown for as long as the segment says, whatever is known of its words.
fn whole_segments(transcript: &Transcript, mut cues: Vec<Cue>) -> Vec<Cue> {
    let segment = |cue: &Cue| cue.lines.iter().flatten().next().map_or(0, |unit| unit.segment);
    cues.sort_by_key(segment);
    for cue in &mut cues {
        let segment = &transcript.segments[segment(cue)];
        cue.start = millis(segment.start);
        cue.end = millis(segment.end).max(cue.start + 1);
    }
    cues
}

fn cue(channel: Option<usize>, units: impl Iterator<Item = Unit>, room: &Room) -> Cue {
    let units: Vec<Unit> = units.collect();
    let start = units.first().map_or(0, |unit| unit.start);
    // Players drop a cue that does not end after its start.
    let end = units.iter().map(|unit| unit.end).max().unwrap_or(0).max(start + 1);
    let ranges = lines::lay(&units, room);
    let mut units = units.into_iter();
    let lines = ranges.into_iter().map(|range| units.by_ref().take(range.len()).collect()).collect();
    Cue { start, end, channel, lines }
}

fn show(channels: &mut [Vec<Cue>], rules: &SubtitleRules, duration: u64) {
    for cues in channels.iter_mut() {
        times::set_starts(cues);
    }
    let mut starts: Vec<u64> = channels.iter().flatten().map(|cue| cue.start).collect();
    starts.sort_unstable();
    let ends = Ends { rules, starts: &starts, duration };
    for cues in channels {
        ends.set(cues);
    }
}

#[cfg(test)]
mod tests;
