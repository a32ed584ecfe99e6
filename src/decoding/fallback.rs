//! A hypothesis in, the verdict on it out: believe it, or call it silence.

use std::io::Write;

use super::Hypothesis;

/// Above this, and only where the text is also unlikely, nobody spoke. The reference's `no_speech_threshold`.
const NO_SPEECH_PROBABILITY: f32 = 0.6;
/// Below this, text is unlikely. The reference's `logprob_threshold`.
const AVG_LOGPROB: f32 = -1.0;

/// Above this nobody spoke, unless the text is as likely as real speech's is. The reference has no such rule, and lets
/// through what the model makes up fluently over silence: on the demo model silence, noise and tones all lie above 0.999
/// with texts of -0.5 to -1, speech below 0.000001 with texts above -0.4.
const SURE_NO_SPEECH_PROBABILITY: f32 = 0.98;
const SPEECH_AVG_LOGPROB: f32 = -0.4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    /// Nobody speaks here; whatever text there is was made up.
    NoSpeech,
}

/// Follows openai/whisper transcribe.py at c0d2f624, lines 292-303, and goes further where the model is sure.
pub fn judge(hypothesis: &Hypothesis) -> Verdict {
    let below =
        |no_speech, logprob| hypothesis.no_speech_prob > no_speech && hypothesis.avg_logprob < logprob;
    match below(NO_SPEECH_PROBABILITY, AVG_LOGPROB) || below(SURE_NO_SPEECH_PROBABILITY, SPEECH_AVG_LOGPROB) {
        true => Verdict::NoSpeech,
        false => Verdict::Accept,
    }
}

/// How well zlib packs the text: ordinary speech stays below 2.4, loops go far above. Empty text has ratio 1.
pub fn compression_ratio(text: &str) -> f32 {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return 1.0;
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory cannot fail.
    let packed =
        encoder.write_all(bytes).and_then(|()| encoder.finish()).map_or(bytes.len(), |packed| packed.len());
    bytes.len() as f32 / packed as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_packs_better_than_speech() {
        assert!(compression_ratio(&"thank you ".repeat(30)) > 2.4);
        assert!(compression_ratio("please take two tablets in the morning after breakfast") < 2.4);
        assert_eq!(compression_ratio(""), 1.0);
    }

    #[test]
    fn silence_is_called_only_where_the_text_is_unlikely_too() {
        let hypothesis =
            |no_speech_prob, avg_logprob| Hypothesis { no_speech_prob, avg_logprob, ..Default::default() };
        assert_eq!(judge(&hypothesis(0.9, -1.5)), Verdict::NoSpeech);
        assert_eq!(judge(&hypothesis(0.9, -0.2)), Verdict::Accept);
        assert_eq!(judge(&hypothesis(0.1, -1.5)), Verdict::Accept);
        assert_eq!(judge(&hypothesis(0.999, -0.6)), Verdict::NoSpeech);
        assert_eq!(judge(&hypothesis(0.999, -0.2)), Verdict::Accept);
        assert_eq!(judge(&hypothesis(0.9, -0.6)), Verdict::Accept);
    }
}
