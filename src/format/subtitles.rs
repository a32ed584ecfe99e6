//! A `Transcript` in, SRT, WebVTT or openai/whisper's TSV out.

use std::fmt::Write;

use super::millis;
use crate::transcript::Transcript;

pub(super) fn srt(transcript: &Transcript) -> String {
    let mut out = String::new();
    for (index, cue) in cues(transcript).enumerate() {
        // A line that looks like a cue's times would end the cue, so the arrow loses a dash, as in openai/whisper.
        let text = cue.text.replace("-->", "->");
        write_lines(&mut out, format_args!("{}", index + 1));
        write_lines(&mut out, format_args!("{} --> {}", clock(cue.start, ','), clock(cue.end, ',')));
        write_lines(&mut out, format_args!("{text}\n"));
    }
    out
}

pub(super) fn vtt(transcript: &Transcript) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues(transcript) {
        // WebVTT text is markup: `&` and `<` must be escaped, and escaping `>` keeps arrows out.
        let text = cue.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        write_lines(&mut out, format_args!("{} --> {}", clock(cue.start, '.'), clock(cue.end, '.')));
        write_lines(&mut out, format_args!("{text}\n"));
    }
    out
}

pub(super) fn tsv(transcript: &Transcript) -> String {
    let mut out = String::from("start\tend\ttext\n");
    for cue in cues(transcript) {
        write_lines(&mut out, format_args!("{}\t{}\t{}", cue.start, cue.end, cue.text));
    }
    out
}

/// One segment as a subtitle: times in milliseconds, text on one line, never empty.
struct Cue {
    start: u64,
    end: u64,
    text: String,
}

fn cues(transcript: &Transcript) -> impl Iterator<Item = Cue> {
    transcript.segments.iter().filter_map(|segment| {
        // An empty line would end the cue and a tab the column, so all white space is one space.
        let text = segment.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let start = millis(segment.start);
        // Players drop a cue that does not end after its start.
        let end = millis(segment.end).max(start + 1);
        (!text.is_empty()).then_some(Cue { start, end, text })
    })
}

/// `00:00:03,320`; hours grow past two digits where they must.
fn clock(millis: u64, separator: char) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{separator}{millis:03}")
}

fn write_lines(out: &mut String, lines: std::fmt::Arguments) {
    writeln!(out, "{lines}").expect("a String takes every write");
}
