//! Cues in, the text of a subtitle file out.

use std::fmt::{Arguments, Write};

use super::{Cue, Speakers, cues};
use crate::format::subtitles::units::Unit;
use crate::format::{Layout, speaker};
use crate::transcript::Transcript;

pub fn srt(transcript: &Transcript, layout: &Layout) -> String {
    let mut out = String::new();
    let mut number = 0;
    let mut block = |start: u64, end: u64, text: String| {
        number += 1;
        write_lines(&mut out, format_args!("{number}"));
        write_lines(&mut out, format_args!("{} --> {}", clock(start, ','), clock(end, ',')));
        write_lines(&mut out, format_args!("{}\n", without_arrows(&text)));
    };
    for cue in cues(transcript, layout, Speakers::InText) {
        match layout.highlight_words && is_timed(&cue) {
            true => underlined(&cue).into_iter().for_each(|(start, end, text)| block(start, end, text)),
            false => block(cue.start, cue.end, cue.prefix() + &plain(&cue, "\n", None)),
        }
    }
    out
}

pub fn vtt(transcript: &Transcript, layout: &Layout) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for cue in cues(transcript, layout, Speakers::Aside) {
        let voice =
            cue.channel.map(|channel| format!("<v Speaker {}>", speaker(channel))).unwrap_or_default();
        let text = match layout.highlight_words && is_timed(&cue) {
            true => stamped(&cue),
            false => escaped(&plain(&cue, "\n", None)),
        };
        write_lines(&mut out, format_args!("{} --> {}", clock(cue.start, '.'), clock(cue.end, '.')));
        write_lines(&mut out, format_args!("{voice}{text}\n"));
    }
    out
}

pub fn tsv(transcript: &Transcript, layout: &Layout) -> String {
    let mut out = String::from("start\tend\ttext\n");
    for cue in cues(transcript, layout, Speakers::InText) {
        let text = cue.prefix() + &plain(&cue, "", None);
        write_lines(&mut out, format_args!("{}\t{}\t{text}", cue.start, cue.end));
    }
    out
}

/// Whether every word has times of its own to be highlighted by.
fn is_timed(cue: &Cue) -> bool {
    cue.lines.iter().flatten().all(|unit| unit.timed)
}

/// The text, its lines joined by `joint`, or, where that is empty, as they were before they were broken. The unit that
/// `mark` counts to is underlined.
fn plain(cue: &Cue, joint: &str, mark: Option<usize>) -> String {
    let mut out = String::new();
    let mut count = 0;
    for (number, line) in cue.lines.iter().enumerate() {
        for (index, unit) in line.iter().enumerate() {
            match (number, index) {
                (0, 0) => {}
                (_, 0) if !joint.is_empty() => out.push_str(joint),
                _ => out.push_str(if unit.spaced { " " } else { "" }),
            }
            match mark == Some(count) {
                true => out.extend(["<u>", &unit.text, "</u>"]),
                false => out.push_str(&unit.text),
            }
            count += 1;
        }
    }
    out
}

/// The cue once for each of its words, the word underlined, and without a mark in between; follows `iterate_result` in
/// openai/whisper utils.py at c0d2f624, but shows the whole cue to its end.
fn underlined(cue: &Cue) -> Vec<(u64, u64, String)> {
    let mut shown = Vec::new();
    let mut show = |start: u64, end: u64, mark: Option<usize>| {
        if start < end {
            shown.push((start, end, cue.prefix() + &plain(cue, "\n", mark)));
        }
    };
    let mut last = cue.start;
    for (index, (_, start, end)) in clamped(cue).enumerate() {
        let (start, end) = (start.max(last), end.max(last));
        show(last, start, None);
        show(start, end, Some(index));
        last = end;
    }
    show(last, cue.end, None);
    shown
}

/// Words with the time at which each begins. A stamp must lie within its cue and after the stamp before it (WebVTT, 3.4),
/// so a word that begins with the cue or with the word before it has none.
fn stamped(cue: &Cue) -> String {
    let mut out = String::new();
    let mut last = cue.start;
    let mut times = clamped(cue);
    for (number, line) in cue.lines.iter().enumerate() {
        out.push_str(if number > 0 { "\n" } else { "" });
        for (index, unit) in line.iter().enumerate() {
            let start = times.next().map_or(last, |(_, start, _)| start);
            out.push_str(if unit.spaced && index > 0 { " " } else { "" });
            if start > last && start < cue.end {
                let _ = write!(out, "<{}>", clock(start, '.'));
                last = start;
            }
            let _ = write!(out, "<c>{}</c>", escaped(&unit.text));
        }
    }
    out
}

/// The cue's words with their times, held inside the cue.
fn clamped(cue: &Cue) -> impl Iterator<Item = (&Unit, u64, u64)> {
    let hold = |time: u64| time.clamp(cue.start, cue.end);
    cue.lines.iter().flatten().map(move |unit| (unit, hold(unit.start), hold(unit.end)))
}

/// WebVTT text is markup: `&` and `<` must be escaped, and escaping `>` keeps arrows out.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line that looks like a cue's times would end the cue, so arrows lose their dashes but one, as in openai/whisper.
fn without_arrows(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '>' && out.ends_with("--") {
            out.truncate(out.trim_end_matches('-').len() + 1);
        }
        out.push(c);
    }
    out
}

/// `00:00:03,320`; hours grow past two digits where they must.
fn clock(millis: u64, separator: char) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{separator}{millis:03}")
}

fn write_lines(out: &mut String, lines: Arguments) {
    writeln!(out, "{lines}").expect("a String takes every write");
}
