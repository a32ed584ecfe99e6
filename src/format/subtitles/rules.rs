//! What was asked of subtitles in, what their lines and cues must obey out.

use std::time::Duration;

/// The rules for cues; `None`: nobody asked. Without any rule a segment is a cue and its text one line, as OpenAI's API
/// and openai/whisper give it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubtitleRules {
    /// Every rule that is not given has the value that subtitlers use.
    pub tidy: bool,
    /// Characters of a line; full-width ones count twice. A single word that is longer stands alone.
    pub max_line_width: Option<usize>,
    /// Lines of a cue. Only together with a width is there a second line; then cues also reach across segments.
    pub max_line_count: Option<usize>,
    /// As in openai/whisper: without `max_line_count` a cue is one such line.
    pub max_words_per_line: Option<usize>,
    pub max_cue: Option<Duration>,
    /// Shorter cues stay longer, where nothing follows.
    pub min_cue: Option<Duration>,
    /// Characters a second, counted as in a line: denser cues stay longer, where nothing follows.
    pub max_cps: Option<f32>,
    /// Between two cues, where there is room.
    pub gap: Option<Duration>,
}

impl SubtitleRules {
    /// Whether anything was asked.
    pub fn any(&self) -> bool {
        *self != SubtitleRules::default()
    }

    /// The rules as they count: what tidy subtitles have where nothing else was asked.
    pub(super) fn settled(&self) -> SubtitleRules {
        if !self.tidy {
            return self.clone();
        }
        SubtitleRules {
            tidy: true,
            max_line_width: self.max_line_width.or(Some(42)),
            max_line_count: self.max_line_count.or(Some(2)),
            max_words_per_line: self.max_words_per_line,
            max_cue: self.max_cue.or(Some(Duration::from_secs(7))),
            min_cue: self.min_cue.or(Some(Duration::from_secs(1))),
            max_cps: self.max_cps.or(Some(17.0)),
            // Two frames of film: the eye sees that the text has changed.
            gap: self.gap.or(Some(Duration::from_millis(80))),
        }
    }

    /// Cues begin and end with the segments, as in openai/whisper (utils.py at c0d2f624, `preserve_segments`).
    pub(super) fn keeps_segments(&self) -> bool {
        self.max_line_count.is_none() || self.max_line_width.is_none()
    }

    /// Whether a segment may become several cues.
    pub(super) fn splits(&self) -> bool {
        !self.keeps_segments() || self.max_words_per_line.is_some() || self.max_cue.is_some()
    }

    /// What a line may hold. `indent`: what stands before the first word of a cue.
    pub(super) fn room(&self, indent: usize) -> Room {
        let lines = match (self.max_line_count, self.max_words_per_line) {
            (Some(count), _) => count,
            (None, Some(_)) => 1,
            (None, None) => usize::MAX,
        };
        Room {
            indent,
            width: self.max_line_width.unwrap_or(usize::MAX),
            words: self.max_words_per_line.unwrap_or(usize::MAX),
            lines,
        }
    }
}

/// What fits into a line and a cue; `usize::MAX`: anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub indent: usize,
    pub width: usize,
    pub words: usize,
    pub lines: usize,
}

impl Room {
    /// Whether lines never end but with their cue.
    pub fn is_endless(&self) -> bool {
        self.width == usize::MAX && self.words == usize::MAX
    }
}
