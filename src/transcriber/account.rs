//! What was heard in; a transcript out that answers for every word it holds or withholds.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use crate::decoding::{Rules, Verdict, Withheld, echo, words};
use crate::model::ModelInfo;
use crate::text::{Token, language};
use crate::timing::{self, Place, Placed, hold_together, quiet, segments};
use crate::transcript::{
    DropReason, Dropped, Fallback, Language, Receipt, Retried, Risk, Segment, Span, Task, Timing, Transcript,
};

use super::asked::Asked;
use super::chapters::Recording;
use super::{Heard, Listened, Take};

/// What all windows of a request are accounted by.
#[derive(Debug)]
pub(super) struct Account {
    pub rules: Arc<Rules>,
    pub model: ModelInfo,
    pub asked: Asked,
}

/// One window's part of the answer.
#[derive(Debug, Default)]
struct Part {
    segments: Vec<Segment>,
    dropped: Vec<Dropped>,
    retried: Option<Retried>,
    span: Span,
}

/// One chapter's part of it.
#[derive(Debug)]
pub(super) struct Piece {
    parts: Vec<Part>,
    /// The chapter's language, and how sure its detection was; `None`: nobody spoke.
    language: Option<(Language, Option<f32>)>,
    languages: Vec<(Language, f32)>,
    /// Without decoding and the detection of speech, which are the recording's.
    timing: Timing,
    batch_size: usize,
}

impl Account {
    /// CPU-bound where words are asked for: their alignments are followed on all cores.
    pub fn piece(&self, takes: &[Take], heard: &[Heard]) -> Piece {
        let language = self.main(heard);
        let main = language.map_or(language::ENGLISH, |(language, _)| language);
        let windows: Vec<(&Take, &Listened)> = takes
            .iter()
            .zip(heard)
            .flat_map(|(take, heard)| heard.windows.iter().map(move |listened| (take, listened)))
            .collect();
        let parts: Vec<Part> =
            windows.into_par_iter().map(|(take, listened)| self.part(take, listened, main)).collect();
        let languages = heard.iter().find(|one| !one.languages.is_empty());
        let windows = || heard.iter().flat_map(|one| &one.windows);
        let sum = |part: fn(&Listened) -> Duration| windows().map(part).sum();
        Piece {
            parts,
            language,
            languages: languages.map_or_else(Vec::new, |one| self.named(&one.languages)),
            timing: Timing {
                mel: sum(|listened| listened.mel_time),
                queue: sum(|listened| listened.outcome.queue),
                encode: sum(|listened| listened.outcome.encode),
                generate: sum(|listened| listened.outcome.generate),
                align: sum(|listened| listened.outcome.align),
                ..Timing::default()
            },
            batch_size: windows().map(|listened| listened.outcome.batch_size).max().unwrap_or(0),
        }
    }

    /// All chapters of a recording, in their order.
    pub fn transcript(&self, recording: &Recording, pieces: Vec<Piece>) -> Transcript {
        // A detection tells more than what was taken over from the chapter before.
        let found = pieces.iter().filter_map(|piece| piece.language);
        let detected = found.clone().find(|(_, probability)| probability.is_some());
        // Silence has no language.
        let (language, language_probability) =
            detected.or_else(|| found.clone().next()).unwrap_or((language::ENGLISH, None));
        let mut transcript = Transcript {
            task: self.asked.task,
            language,
            language_probability,
            languages: Vec::new(),
            duration: recording.length,
            segments: Vec::new(),
            dropped: Vec::new(),
            fallbacks: Vec::new(),
            windows: Vec::new(),
            warnings: self.asked.warnings.clone(),
            words: self.asked.request.words,
            incomplete: recording.incomplete.clone(),
            receipt: self.receipt(recording, &pieces),
        };
        for piece in pieces {
            if transcript.languages.is_empty() {
                transcript.languages = piece.languages;
            }
            for part in piece.parts {
                transcript.segments.extend(part.segments);
                transcript.dropped.extend(part.dropped);
                transcript.fallbacks.extend(part.retried);
                transcript.windows.push(part.span);
            }
        }
        merge(&mut transcript);
        transcript
    }

    /// What of the answer stands in one window, whatever the others hold.
    pub fn segments(&self, take: &Take, listened: &Listened) -> Vec<Segment> {
        let language = self.asked.language.unwrap_or(language::ENGLISH);
        self.part(take, listened, language).segments
    }

    fn part(&self, take: &Take, listened: &Listened, main: Language) -> Part {
        let mut part = self.part_of_take(take, listened, main);
        part.shift(take.start);
        part
    }

    /// In the take's own time.
    fn part_of_take(&self, take: &Take, listened: &Listened, main: Language) -> Part {
        let (hypothesis, window) = (&listened.outcome.hypothesis, &listened.window);
        let (span, channel) = (Span { start: window.start(), end: window.end() }, take.channel);
        let retried = (!hypothesis.given_up.is_empty()).then(|| Retried {
            span,
            channel,
            temperature: hypothesis.temperature,
            reasons: hypothesis.given_up.clone(),
        });
        let mut part = Part { span, retried, ..Part::default() };
        let mut placed = place(&self.rules, listened);
        if hypothesis.verdict == Verdict::NoSpeech {
            let text: String = placed.iter().map(|segment| segment.text.as_str()).collect();
            // Nothing is said of silence that nothing was made up over.
            part.dropped.extend(dropped(span, take, text.trim(), DropReason::NoSpeech));
            return part;
        }
        if let Some(speech) = &take.speech {
            hold_together(&mut placed, window, speech);
        }
        self.give_words(&mut placed, take, listened);
        for segment in &mut placed {
            segment.channel = channel;
            segment.risk = self.risks(take, segment, main);
        }
        // Times after the last closed segment are not known; from its start on, text may be missing.
        let from = placed.last().map_or(span.start, |segment| segment.start);
        let behind = placed.last().map_or(span.start, |segment| segment.end);
        for Withheld { text, reason } in &hypothesis.withheld {
            let (start, reason) = match reason {
                Risk::PromptEcho => (span.start, DropReason::PromptEcho),
                _ => (behind, DropReason::Loop),
            };
            part.dropped.extend(dropped(Span { start, end: span.end }, take, text, reason));
        }
        if hypothesis.cut_short {
            let (text, reason) = (String::new(), DropReason::TokenLimit);
            part.dropped.push(Dropped { start: from, end: span.end, channel, text, reason });
        }
        part.segments = placed;
        part
    }

    /// Where words were asked for; where their alignment could not be had, they are spread over their segments.
    fn give_words(&self, placed: &mut [Segment], take: &Take, listened: &Listened) {
        if !self.asked.request.words || placed.is_empty() {
            return;
        }
        let (hypothesis, window) = (&listened.outcome.hypothesis, &listened.window);
        // A translation's words are English.
        let language = match self.asked.task {
            Task::Translate => Some(language::ENGLISH),
            Task::Transcribe => {
                hypothesis.language.and_then(|token| self.rules.specials().language_of(token))
            }
        };
        let aligned = timing::Aligned {
            segments: placed,
            alignment: hypothesis.alignment.as_ref().map(|aligned| &aligned.alignment),
            // The start sequence and `<|notimestamps|>`.
            prompt: hypothesis.alignment.as_ref().map_or(0, |aligned| aligned.start + 1),
        };
        let spoken = timing::words(aligned, self.rules.tokenizer(), language);
        let speech = take.speech.as_deref().unwrap_or_default();
        let quiet = quiet(&window.samples(&take.pcm));
        timing::give(placed, spoken, Place { window, speech, quiet: &quiet });
    }

    fn risks(&self, take: &Take, segment: &Segment, main: Language) -> Vec<Risk> {
        let thresholds = &self.asked.request.fallback;
        let defaults = Fallback::default();
        let or = |set: Option<f32>, default: Option<f32>| set.or(default).unwrap_or_default();
        let no_speech = or(thresholds.no_speech_threshold, defaults.no_speech_threshold);
        let ratio = or(thresholds.compression_ratio_threshold, defaults.compression_ratio_threshold);
        let logprob = or(thresholds.logprob_threshold, defaults.logprob_threshold);
        let unheard = take.speech.as_ref().is_some_and(|spans| {
            let samples = crate::audio::samples_in(segment.start)..crate::audio::samples_in(segment.end);
            !spans.iter().any(|span| span.start < samples.end && samples.start < span.end)
        });
        let said = words(&segment.text);
        let checks = [
            (Risk::Silence, segment.no_speech_prob > no_speech || unheard),
            (Risk::Loop, segment.compression_ratio > ratio),
            (Risk::LowLogprob, segment.avg_logprob < logprob),
            (Risk::PromptEcho, echo(&self.asked.request.prompt_words, &said).is_some()),
            (Risk::LanguageSwitch, segment.language.is_some_and(|language| language != main)),
        ];
        checks.into_iter().filter_map(|(risk, holds)| holds.then_some(risk)).collect()
    }

    /// The language that was heard, and how sure its detection was.
    fn main(&self, heard: &[Heard]) -> Option<(Language, Option<f32>)> {
        if let Some(language) = self.asked.language {
            return Some((language, None));
        }
        let named = |token: Token| self.rules.specials().language_of(token);
        let detected = heard.iter().find_map(|one| {
            let (token, probability) = one.languages.first()?;
            Some((named(*token)?, Some(*probability)))
        });
        // English-only models are never asked.
        detected.or_else(|| heard.iter().find_map(|one| Some((named(one.language?)?, None))))
    }

    fn named(&self, languages: &[(Token, f32)]) -> Vec<(Language, f32)> {
        let known =
            |(token, share): &(Token, f32)| Some((self.rules.specials().language_of(*token)?, *share));
        languages.iter().filter_map(known).collect()
    }

    fn receipt(&self, recording: &Recording, pieces: &[Piece]) -> Receipt {
        let sum = |part: fn(&Timing) -> Duration| pieces.iter().map(|piece| part(&piece.timing)).sum();
        Receipt {
            model: self.model.name.clone(),
            device: self.model.device.clone(),
            dtype: self.model.dtype.clone(),
            timing: Timing {
                decode: recording.decode_time,
                vad: recording.vad_time,
                mel: sum(|timing| timing.mel),
                queue: sum(|timing| timing.queue),
                encode: sum(|timing| timing.encode),
                generate: sum(|timing| timing.generate),
                align: sum(|timing| timing.align),
                total: Duration::ZERO,
            },
            prompt_tokens: self.asked.request.previous.len() + self.asked.request.keywords.len(),
            batch_size_seen: pieces.iter().map(|piece| piece.batch_size).max().unwrap_or(0),
        }
    }
}

impl Part {
    /// From a chapter's time to the recording's.
    fn shift(&mut self, by: Duration) {
        let shift = |span: &mut Span| {
            span.start += by;
            span.end += by;
        };
        shift(&mut self.span);
        if let Some(retried) = &mut self.retried {
            shift(&mut retried.span);
        }
        for dropped in &mut self.dropped {
            dropped.start += by;
            dropped.end += by;
        }
        for segment in &mut self.segments {
            segment.start += by;
            segment.end += by;
            segment.window_start += by;
            for word in &mut segment.words {
                word.start += by;
                word.end += by;
            }
        }
    }
}

/// A window's segments in its take's time, without words.
pub(super) fn place(rules: &Rules, listened: &Listened) -> Vec<Segment> {
    let hypothesis = &listened.outcome.hypothesis;
    let language = hypothesis.language.and_then(|token| rules.specials().language_of(token));
    let mut placed = segments(Placed { hypothesis, window: &listened.window }, rules.tokenizer());
    placed.iter_mut().for_each(|segment| segment.language = language);
    placed
}

/// What is said in the answer about text that is withheld; nothing where there was none.
fn dropped(span: Span, take: &Take, text: &str, reason: DropReason) -> Option<Dropped> {
    let Span { start, end } = span;
    let (channel, text) = (take.channel, text.to_owned());
    (!text.is_empty()).then_some(Dropped { start, end, channel, text, reason })
}

/// Several channels by time; what begins together stays in the order of the channels.
fn merge(transcript: &mut Transcript) {
    transcript.segments.sort_by_key(|segment| segment.start);
    transcript.dropped.sort_by_key(|dropped| dropped.start);
    transcript.fallbacks.sort_by_key(|retried| retried.span.start);
    transcript.windows.sort_by_key(|window| window.start);
}
