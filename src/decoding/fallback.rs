//! A text and its figures in; out: whether to believe it, to decode again, or to call it silence.

use std::io::Write;

use crate::transcript::{Fallback, Risk};

use super::Stop;

/// Above this nobody spoke, unless the text is as likely as real speech's is. The reference has no such rule, and lets
/// through what the model makes up fluently over silence: on the demo model silence, noise and tones all lie above 0.999
/// with texts of -0.5 to -1, speech below 0.000001 with texts above -0.4.
const SURE_NO_SPEECH_PROBABILITY: f32 = 0.98;
const SPEECH_AVG_LOGPROB: f32 = -0.4;

/// What a text is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub avg_logprob: f32,
    pub no_speech_prob: f32,
    pub compression_ratio: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    Accept,
    /// Nobody speaks here; whatever text there is was made up.
    NoSpeech,
}

impl Figures {
    /// Follows openai/whisper transcribe.py at c0d2f624, lines 292-303; windows on their own go further where the model is
    /// sure.
    pub fn verdict(&self, asked: &Fallback, stop: Stop) -> Verdict {
        let Some(no_speech) = asked.no_speech_threshold else { return Verdict::Accept };
        let likely = asked.logprob_threshold.is_some_and(|least| self.avg_logprob > least);
        let silent = self.no_speech_prob > no_speech && !likely;
        match silent || stop != Stop::AtLastSegment && self.surely_silent() {
            true => Verdict::NoSpeech,
            false => Verdict::Accept,
        }
    }

    /// Why it should be decoded again; `None`: it may stand. Follows `decode_with_fallback` of the same file, lines 174-224.
    pub fn objection(&self, asked: &Fallback, stop: Stop) -> Option<Risk> {
        let is_loop = asked.compression_ratio_threshold.is_some_and(|most| self.compression_ratio > most);
        let unlikely = asked.logprob_threshold.is_some_and(|least| self.avg_logprob < least);
        let silent = unlikely && asked.no_speech_threshold.is_some_and(|most| self.no_speech_prob > most);
        // Another temperature makes no speech of silence.
        if silent || stop != Stop::AtLastSegment && self.verdict(asked, stop) == Verdict::NoSpeech {
            return None;
        }
        match (is_loop, unlikely) {
            (true, _) => Some(Risk::Loop),
            (false, true) => Some(Risk::LowLogprob),
            (false, false) => None,
        }
    }

    fn surely_silent(&self) -> bool {
        self.no_speech_prob > SURE_NO_SPEECH_PROBABILITY && self.avg_logprob < SPEECH_AVG_LOGPROB
    }
}

/// How well zlib packs the text: ordinary speech stays below 2.4, loops go far above. Empty text has ratio 0, as nothing
/// divided by zlib's header in the reference.
pub fn compression_ratio(text: &str) -> f32 {
    let bytes = text.as_bytes();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory cannot fail.
    let packed =
        encoder.write_all(bytes).and_then(|()| encoder.finish()).map_or(bytes.len(), |packed| packed.len());
    bytes.len() as f32 / packed.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(no_speech_prob: f32, avg_logprob: f32, compression_ratio: f32) -> Figures {
        Figures { no_speech_prob, avg_logprob, compression_ratio }
    }

    #[test]
    fn a_loop_packs_better_than_speech() {
        assert!(compression_ratio(&"thank you ".repeat(30)) > 2.4);
        assert!(compression_ratio("please take two tablets in the morning after breakfast") < 2.4);
        assert_eq!(compression_ratio(""), 0.0);
    }

    #[test]
    fn silence_is_called_only_where_the_text_is_unlikely_too() {
        let judge =
            |no_speech, logprob| figures(no_speech, logprob, 1.0).verdict(&Fallback::default(), Stop::Whole);
        assert_eq!(judge(0.9, -1.5), Verdict::NoSpeech);
        assert_eq!(judge(0.9, -0.2), Verdict::Accept);
        assert_eq!(judge(0.1, -1.5), Verdict::Accept);
        assert_eq!(judge(0.999, -0.6), Verdict::NoSpeech);
        assert_eq!(judge(0.999, -0.2), Verdict::Accept);
        assert_eq!(judge(0.9, -0.6), Verdict::Accept);
    }

    #[test]
    fn the_reference_alone_judges_its_own_mode_and_a_threshold_may_be_off() {
        let asked = Fallback::default();
        assert_eq!(figures(0.999, -0.6, 1.0).verdict(&asked, Stop::AtLastSegment), Verdict::Accept);
        let off = Fallback { no_speech_threshold: None, ..asked.clone() };
        assert_eq!(figures(0.999, -3.0, 1.0).verdict(&off, Stop::Whole), Verdict::Accept);
        let likelihood_off = Fallback { logprob_threshold: None, ..asked };
        assert_eq!(figures(0.7, -0.1, 1.0).verdict(&likelihood_off, Stop::AtLastSegment), Verdict::NoSpeech);
    }

    #[test]
    fn loops_and_unlikely_texts_are_decoded_again_but_silence_is_not() {
        let asked = Fallback::default();
        let objection = |figures: Figures| figures.objection(&asked, Stop::Whole);
        assert_eq!(objection(figures(0.0, -0.2, 2.5)), Some(Risk::Loop));
        assert_eq!(objection(figures(0.0, -1.2, 2.0)), Some(Risk::LowLogprob));
        assert_eq!(objection(figures(0.0, -1.0, 2.4)), None);
        assert_eq!(objection(figures(0.7, -1.2, 9.0)), None);
        assert_eq!(objection(figures(0.99, -0.6, 9.0)), None);
        let off = Fallback { compression_ratio_threshold: None, logprob_threshold: None, ..asked.clone() };
        assert_eq!(figures(0.0, -9.0, 9.0).objection(&off, Stop::Whole), None);
    }
}
