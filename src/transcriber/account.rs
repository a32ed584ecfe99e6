//! What was heard in; a transcript out that answers for every word it holds or withholds.

use std::time::Duration;

use crate::decoding::{Verdict, Withheld, words};
use crate::text::{Token, language};
use crate::timing::{Placed, segments};
use crate::transcript::{
    DropReason, Dropped, Language, Receipt, Retried, Risk, Segment, Span, Timing, Transcript,
};

use super::asked::Asked;
use super::{Heard, Listened, Opened, Take, Transcriber};

impl Transcriber {
    pub(super) fn account(&self, asked: &Asked, opened: &Opened, heard: &[Heard]) -> Transcript {
        let first = &opened.takes[0].pcm;
        let main = self.main(asked, heard);
        let mut transcript = Transcript {
            task: asked.task,
            language: main.0,
            language_probability: main.1,
            languages: heard
                .iter()
                .find(|one| !one.languages.is_empty())
                .map_or_else(Vec::new, |one| self.named(&one.languages)),
            duration: first.duration(),
            segments: Vec::new(),
            dropped: Vec::new(),
            fallbacks: Vec::new(),
            windows: Vec::new(),
            warnings: asked.warnings.clone(),
            words: asked.words,
            incomplete: opened.incomplete.clone(),
            receipt: self.receipt(opened, heard),
        };
        for (take, heard) in opened.takes.iter().zip(heard) {
            for listened in &heard.windows {
                self.add(&mut transcript, asked, take, listened);
            }
        }
        merge(&mut transcript);
        transcript
    }

    /// One window's part of the answer.
    fn add(&self, transcript: &mut Transcript, asked: &Asked, take: &Take, listened: &Listened) {
        let (hypothesis, window) = (&listened.outcome.hypothesis, &listened.window);
        let (span, channel) = (Span { start: window.start(), end: window.end() }, take.channel);
        transcript.windows.push(span);
        if !hypothesis.given_up.is_empty() {
            let (temperature, reasons) = (hypothesis.temperature, hypothesis.given_up.clone());
            transcript.fallbacks.push(Retried { span, channel, temperature, reasons });
        }
        let mut placed = self.place(listened);
        if hypothesis.verdict == Verdict::NoSpeech {
            let text: String = placed.iter().map(|segment| segment.text.as_str()).collect();
            // Nothing is said of silence that nothing was made up over.
            transcript.dropped.extend(dropped(span, take, text.trim(), DropReason::NoSpeech));
            return;
        }
        if let Some(aligned) = &hypothesis.alignment {
            let language = hypothesis.language.and_then(|token| self.rules.specials().language_of(token));
            let words = super::pending::words(aligned, self.tokenizer(), language);
            super::pending::give(&mut placed, words, window, take.speech.as_deref().unwrap_or_default());
        }
        let main = transcript.language;
        for segment in &mut placed {
            segment.channel = channel;
            segment.risk = self.risks(asked, take, segment, main);
        }
        // Times after the last closed segment are not known; from its start on, text may be missing.
        let from = placed.last().map_or(span.start, |segment| segment.start);
        let behind = placed.last().map_or(span.start, |segment| segment.end);
        for Withheld { text, reason, .. } in &hypothesis.withheld {
            let (start, reason) = match reason {
                Risk::PromptEcho => (span.start, DropReason::PromptEcho),
                _ => (behind, DropReason::Loop),
            };
            transcript.dropped.extend(dropped(Span { start, end: span.end }, take, text, reason));
        }
        if hypothesis.cut_short {
            let (start, end) = (from, span.end);
            let (text, reason) = (String::new(), DropReason::TokenLimit);
            transcript.dropped.push(Dropped { start, end, channel, text, reason });
        }
        transcript.segments.extend(placed);
    }

    pub(super) fn place(&self, listened: &Listened) -> Vec<Segment> {
        let hypothesis = &listened.outcome.hypothesis;
        let language = hypothesis.language.and_then(|token| self.rules.specials().language_of(token));
        let mut placed = segments(Placed { hypothesis, window: &listened.window }, self.tokenizer());
        placed.iter_mut().for_each(|segment| segment.language = language);
        placed
    }

    fn risks(&self, asked: &Asked, take: &Take, segment: &Segment, main: Language) -> Vec<Risk> {
        let thresholds = &asked.request.fallback;
        let defaults = crate::transcript::Fallback::default();
        let or = |set: Option<f32>, default: Option<f32>| set.or(default).unwrap_or_default();
        let no_speech = or(thresholds.no_speech_threshold, defaults.no_speech_threshold);
        let ratio = or(thresholds.compression_ratio_threshold, defaults.compression_ratio_threshold);
        let logprob = or(thresholds.logprob_threshold, defaults.logprob_threshold);
        let unheard = take.speech.as_ref().is_some_and(|spans| {
            let samples = super::pending::samples_in(segment.start)..super::pending::samples_in(segment.end);
            !spans.iter().any(|span| span.start < samples.end && samples.start < span.end)
        });
        let said = words(&segment.text);
        let checks = [
            (Risk::Silence, segment.no_speech_prob > no_speech || unheard),
            (Risk::Loop, segment.compression_ratio > ratio),
            (Risk::LowLogprob, segment.avg_logprob < logprob),
            (Risk::PromptEcho, crate::decoding::echo(&asked.request.prompt_words, &said).is_some()),
            (Risk::LanguageSwitch, segment.language.is_some_and(|language| language != main)),
        ];
        checks.into_iter().filter_map(|(risk, holds)| holds.then_some(risk)).collect()
    }

    /// The language of the answer, and how sure its detection was.
    fn main(&self, asked: &Asked, heard: &[Heard]) -> (Language, Option<f32>) {
        if let Some(language) = asked.language {
            return (language, None);
        }
        let named = |token: Token| self.rules.specials().language_of(token);
        let detected = heard.iter().find_map(|one| {
            let (token, probability) = one.languages.first()?;
            Some((named(*token)?, Some(*probability)))
        });
        let known = || heard.iter().find_map(|one| Some((named(one.language?)?, None)));
        // English-only models are never asked, and silence has no language.
        detected.or_else(known).unwrap_or((language::ENGLISH, None))
    }

    fn named(&self, languages: &[(Token, f32)]) -> Vec<(Language, f32)> {
        let known =
            |(token, share): &(Token, f32)| Some((self.rules.specials().language_of(*token)?, *share));
        languages.iter().filter_map(known).collect()
    }

    fn receipt(&self, opened: &Opened, heard: &[Heard]) -> Receipt {
        let windows = || heard.iter().flat_map(|one| &one.windows);
        let sum = |part: fn(&Listened) -> Duration| windows().map(part).sum();
        Receipt {
            model: self.model.name.clone(),
            device: self.model.device.clone(),
            dtype: self.model.dtype.clone(),
            timing: Timing {
                decode: opened.decode_time,
                vad: opened.vad_time,
                mel: sum(|listened| listened.mel_time),
                queue: sum(|listened| listened.outcome.queue),
                encode: sum(|listened| listened.outcome.encode),
                generate: sum(|listened| listened.outcome.generate),
                align: sum(|listened| listened.outcome.align),
                total: Duration::ZERO,
            },
            batch_size_seen: windows().map(|listened| listened.outcome.batch_size).max().unwrap_or(0),
        }
    }
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
