//! Stored segments and words in, a transcript's segments with their words out, checked for order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{follows, span};
use super::shapes::{List, StoredSegment, StoredWord};
use super::speakers::Speakers;
use super::{Reader, StoredError, risks};
use crate::format::align::{align, find};
use crate::format::subtitles::breaks::may_break;
use crate::transcript::{Language, Segment, Word};

/// Words without segments are cut where nobody speaks for so long, and after sentences.
const PAUSE: Duration = Duration::from_secs(1);

impl<F: Fn(&str) -> Option<Language>> Reader<F> {
    pub(super) fn segments(
        &mut self,
        mut stored: Vec<StoredSegment>,
        words: Option<List<StoredWord>>,
        text: &str,
    ) -> Result<Vec<Segment>, StoredError> {
        let speakers = Speakers::of(stored.iter().filter_map(|segment| segment.speaker.as_deref()));
        self.warnings.extend(speakers.warning());
        space(&mut stored, text);
        let nested = stored.iter().any(|segment| segment.words.is_some());
        let mut segments: Vec<Segment> = Vec::with_capacity(stored.len());
        for (index, mut it) in stored.into_iter().enumerate() {
            let words = it.words.take().unwrap_or_default().0;
            let mut segment = self.segment(index, it, &speakers)?;
            let previous = segments.last().map_or(Duration::ZERO, |segment| segment.start);
            follows(segment.start, previous, || format!("segments[{index}]"))?;
            segment.words = words_of(words, &segment, |at| format!("segments[{index}].words[{at}]"))?;
            segments.push(segment);
        }
        if let Some(List(words)) = words.filter(|_| !nested) {
            share_out(words, &mut segments, &speakers)?;
        }
        for segment in &mut segments {
            set_spaces(segment);
        }
        Ok(segments)
    }

    fn segment(
        &mut self,
        index: usize,
        it: StoredSegment,
        speakers: &Speakers,
    ) -> Result<Segment, StoredError> {
        let (start, end) = span(it.start, it.end, || format!("segments[{index}]"))?;
        let text = it.text.ok_or_else(|| StoredError::At {
            place: format!("segments[{index}].text"),
            what: "is missing".to_owned(),
        })?;
        Ok(Segment {
            start,
            end,
            window_start: it.seek.map_or(start, |frames| Duration::from_millis(frames.saturating_mul(10))),
            text,
            tokens: it.tokens.0,
            temperature: it.temperature.unwrap_or(f32::NAN),
            avg_logprob: it.avg_logprob.unwrap_or(f32::NAN),
            compression_ratio: it.compression_ratio.unwrap_or(f32::NAN),
            no_speech_prob: it.no_speech_prob.unwrap_or(f32::NAN),
            language: it.language.and_then(|named| self.language(&named)),
            channel: it.channel.or_else(|| speakers.channel(it.speaker.as_deref()?)),
            risk: risks(&it.risk.0),
            words: Vec::new(),
            uttered: Vec::new(),
        })
    }

    /// A transcript that was asked for words alone: its sentences are the segments.
    pub(super) fn of_words(
        &mut self,
        stored: Vec<StoredWord>,
        text: &str,
    ) -> Result<Vec<Segment>, StoredError> {
        let speakers = Speakers::of(stored.iter().filter_map(|word| word.speaker.as_deref()));
        self.warnings.extend(speakers.warning());
        let channels: Vec<Option<usize>> =
            stored.iter().map(|word| speakers.channel(word.speaker.as_deref()?)).collect();
        let whole = bare(Duration::ZERO, Duration::ZERO, None);
        let words = timed(stored, &whole, |at| format!("words[{at}]"))?;
        check_order(&words, &channels)?;
        let text = match text.trim().is_empty() {
            true => words.iter().map(|word| format!(" {}", word.text.trim())).collect(),
            // As segments are decoded, with a space before them.
            false => format!(" {}", text.trim()),
        };
        let first_to_last = |words: &[Word]| {
            let start = words.iter().map(|word| word.start).min().unwrap_or_default();
            (start, words.iter().map(|word| word.end).max().unwrap_or_default())
        };
        let Some(ranges) = align(&text, words.iter().map(|word| word.text.as_str())) else {
            let (start, end) = first_to_last(&words);
            self.warn("the words are not those of the text, so only the text counts".to_owned());
            let channel = channels.first().copied().flatten();
            return Ok(vec![Segment { text, words, ..bare(start, end, channel) }]);
        };
        let mut segments: Vec<Segment> = Vec::new();
        let mut open = false;
        for ((mut word, range), channel) in words.into_iter().zip(ranges).zip(channels) {
            let place = &text[range];
            word.text = spaced(place, &word.text);
            let ended = place.trim_end().ends_with(['.', '!', '?', '…', '。', '！', '？']);
            let current = segments.last_mut().filter(|segment| {
                open && segment.channel == channel && word.start.saturating_sub(segment.end) < PAUSE
            });
            match current {
                Some(segment) => {
                    segment.text.push_str(place);
                    segment.end = segment.end.max(word.end);
                    segment.words.push(word);
                }
                None => {
                    let text = place.to_owned();
                    let segment = bare(word.start, word.end, channel);
                    segments.push(Segment { text, words: vec![word], ..segment });
                }
            }
            open = !ended;
        }
        Ok(segments)
    }
}

/// Nothing but times.
fn bare(start: Duration, end: Duration, channel: Option<usize>) -> Segment {
    Segment {
        start,
        end,
        window_start: start,
        text: String::new(),
        tokens: Vec::new(),
        temperature: f32::NAN,
        avg_logprob: f32::NAN,
        compression_ratio: f32::NAN,
        no_speech_prob: f32::NAN,
        language: None,
        channel,
        risk: Vec::new(),
        words: Vec::new(),
        uttered: Vec::new(),
    }
}

/// Segments carry the space before them; where they do not and the whole text has one, they get it.
fn space(segments: &mut [StoredSegment], text: &str) {
    let pieces = || segments.iter().filter_map(|segment| segment.text.as_deref());
    if !text.is_empty() && pieces().collect::<String>().trim() == text.trim() {
        return;
    }
    let mut last: Option<char> = None;
    for text in segments.iter_mut().filter_map(|segment| segment.text.as_mut()) {
        let first = text.chars().next();
        let joined = last.zip(first).filter(|(a, b)| !a.is_whitespace() && !b.is_whitespace());
        if joined.is_some_and(|(before, after)| !may_break(before, after)) {
            text.insert(0, ' ');
        }
        last = text.chars().last().or(last);
    }
}

fn words_of(
    stored: Vec<StoredWord>,
    segment: &Segment,
    place: impl Fn(usize) -> String,
) -> Result<Vec<Word>, StoredError> {
    let words = timed(stored, segment, &place)?;
    for (index, pair) in words.windows(2).enumerate() {
        follows(pair[1].start, pair[0].start, || place(index + 1))?;
    }
    Ok(words)
}

/// Times that are missing are those of the neighbours, and at the ends the segment's.
fn timed(
    stored: Vec<StoredWord>,
    segment: &Segment,
    place: impl Fn(usize) -> String,
) -> Result<Vec<Word>, StoredError> {
    let mut words = Vec::with_capacity(stored.len());
    let mut next_start: Vec<Option<f64>> = vec![None; stored.len()];
    let mut known = None;
    for (slot, word) in next_start.iter_mut().zip(&stored).rev() {
        *slot = known;
        known = word.start.or(known);
    }
    let mut last = segment.start.as_secs_f64();
    for ((index, word), next) in stored.into_iter().enumerate().zip(next_start) {
        let start = word.start.unwrap_or(last);
        let end = word.end.unwrap_or_else(|| next.unwrap_or(segment.end.as_secs_f64()).max(start));
        let (from, until) = span(Some(start), Some(end), || place(index))?;
        last = end;
        let Some(text) = word.word.or(word.text) else {
            return Err(StoredError::At {
                place: format!("{}.word", place(index)),
                what: "is missing".to_owned(),
            });
        };
        let probability = word.probability.or(word.score).or(word.confidence).unwrap_or(f32::NAN);
        words.push(Word { start: from, end: until, text, probability });
    }
    Ok(words)
}

/// Words of several speakers stand segment by segment, so each speaker has an order of their own.
fn check_order(words: &[Word], channels: &[Option<usize>]) -> Result<(), StoredError> {
    let mut last: BTreeMap<Option<usize>, Duration> = BTreeMap::new();
    for (index, (word, channel)) in words.iter().zip(channels).enumerate() {
        let previous = last.insert(*channel, word.start).unwrap_or_default();
        follows(word.start, previous, || format!("words[{index}]"))?;
    }
    Ok(())
}

/// Words of the whole file to the segment in whose text they come next, or else in whose time they lie.
fn share_out(
    stored: Vec<StoredWord>,
    segments: &mut [Segment],
    speakers: &Speakers,
) -> Result<(), StoredError> {
    let channels: Vec<Option<usize>> =
        stored.iter().map(|word| speakers.channel(word.speaker.as_deref()?)).collect();
    let whole = bare(Duration::ZERO, Duration::ZERO, None);
    let words = timed(stored, &whole, |at| format!("words[{at}]"))?;
    check_order(&words, &channels)?;
    let (mut current, mut cursor) = (0, 0);
    for word in words {
        let found = loop {
            let Some(segment) = segments.get(current) else { return Ok(()) };
            let rest = &segment.text[cursor..];
            match find(rest, word.text.trim()) {
                Some(said) => break Some(said.end),
                None if current + 1 < segments.len() && !rest.contains(char::is_alphanumeric) => {
                    (current, cursor) = (current + 1, 0);
                }
                None => break None,
            }
        };
        match found {
            Some(length) => cursor += length,
            None => {
                let middle = (word.start + word.end) / 2;
                while segments.get(current + 1).is_some_and(|next| next.start <= middle) {
                    (current, cursor) = (current + 1, 0);
                }
            }
        }
        segments[current].words.push(word);
    }
    Ok(())
}

/// The space before each word, where the text has one. Else words stay as they were stored, without their punctuation too.
fn set_spaces(segment: &mut Segment) {
    if let Some(ranges) = align(&segment.text, segment.words.iter().map(|word| word.text.as_str())) {
        for (word, range) in segment.words.iter_mut().zip(ranges) {
            word.text = spaced(&segment.text[range], &word.text);
        }
    }
}

fn spaced(place: &str, word: &str) -> String {
    let space = &place[..place.len() - place.trim_start().len()];
    format!("{space}{}", word.trim())
}
