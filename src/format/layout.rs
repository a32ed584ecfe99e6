//! Fields such as `max_line_width=42` in, how the answer is written (`Layout`) out.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::subtitles::SubtitleRules;
use super::{Format, UnknownFormat};

/// How a transcript is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub format: Format,
    /// OpenAI's `timestamp_granularities`; `None`: nobody said, and that is segments.
    pub granularities: Option<Granularities>,
    /// Words beside whatever the granularities ask for.
    pub word_timestamps: bool,
    pub subtitles: SubtitleRules,
    /// Subtitles show which word is being said.
    pub highlight_words: bool,
    /// `json` lists the log-probability of every token.
    pub logprobs: bool,
    /// What `verbose_json` calls the language by.
    pub language: NamedBy,
}

/// What stands in the field `language`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedBy {
    /// The English name of what was spoken: OpenAI's transcriptions.
    #[default]
    Name,
    /// Its code: openai/whisper itself, and what wraps it.
    Code,
    /// The name of what is written: OpenAI's translations say `english`.
    Written,
}

/// What has times of its own in `verbose_json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granularities {
    pub segments: bool,
    pub words: bool,
}

/// A field with a value that it cannot have; `Display` is the sentence for who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{param}' cannot be '{}': give {allowed}", quoted(value))]
pub struct LayoutError {
    pub param: &'static str,
    /// The part of the value that is wrong.
    pub value: String,
    pub allowed: String,
}

/// What a client wrote, as far as it is worth repeating.
pub fn quoted(value: &str) -> String {
    const MOST: usize = 80;
    let mut quoted: String = value.chars().take(MOST).collect();
    if quoted.len() < value.len() {
        quoted.push_str("...");
    }
    quoted
}

impl Layout {
    /// Every field that `take` knows.
    pub const FIELDS: [&'static str; 13] = [
        "response_format",
        "output",
        "format",
        "timestamp_granularities",
        "word_timestamps",
        "subtitles",
        "max_line_width",
        "max_line_count",
        "max_cue_seconds",
        "min_cue_seconds",
        "max_cps",
        "max_words_per_line",
        "highlight_words",
    ];

    /// The format with what OpenAI's API gives where nothing more is asked.
    pub fn new(format: Format) -> Layout {
        Layout {
            format,
            granularities: None,
            word_timestamps: false,
            subtitles: SubtitleRules::default(),
            highlight_words: false,
            logprobs: false,
            language: NamedBy::default(),
        }
    }

    /// Whether `verbose_json` lists segments.
    pub fn segments(&self) -> bool {
        self.granularities.is_none_or(|asked| asked.segments)
    }

    /// Whether `verbose_json` lists words.
    pub fn words(&self) -> bool {
        self.word_timestamps || self.granularities.is_some_and(|asked| asked.words)
    }

    /// Whether the transcript should know the time of every word: it is in the answer, or subtitles are made from it.
    pub fn wants_words(&self) -> bool {
        let subtitles = match self.format {
            Format::Srt | Format::Vtt => self.highlight_words || self.subtitles.any(),
            Format::Tsv => self.subtitles.any(),
            Format::Json | Format::VerboseJson | Format::DiarizedJson | Format::Text => false,
        };
        self.words() || subtitles
    }

    /// Takes one field, the brackets of a list already off its name. `false`: it is none of `FIELDS`. An empty value is
    /// one that was not given; of several the last counts, but for granularities, which add up.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, LayoutError> {
        let Some(name) = Layout::FIELDS.into_iter().find(|known| *known == name) else { return Ok(false) };
        let value = value.trim();
        if value.is_empty() {
            return Ok(true);
        }
        let rules = &mut self.subtitles;
        match name {
            "timestamp_granularities" => self.take_granularities(value)?,
            "word_timestamps" => self.word_timestamps = flag(name, value)?,
            "highlight_words" => self.highlight_words = flag(name, value)?,
            "subtitles" => rules.tidy = tidy(value)?,
            "max_line_width" => rules.max_line_width = Some(whole(name, value, 1..=1000)?),
            "max_line_count" => rules.max_line_count = Some(whole(name, value, 1..=100)?),
            "max_words_per_line" => rules.max_words_per_line = Some(whole(name, value, 1..=1000)?),
            "max_cue_seconds" => rules.max_cue = Some(seconds(number(name, value, 0.1..=3600.0)?)),
            "min_cue_seconds" => rules.min_cue = Some(seconds(number(name, value, 0.0..=3600.0)?)),
            "max_cps" => rules.max_cps = Some(number(name, value, 1.0..=1000.0)? as f32),
            _ => {
                let parsed: Result<Format, UnknownFormat> = value.parse();
                self.format = parsed.map_err(|_| wrong(name, value, UnknownFormat::KNOWN))?;
            }
        }
        Ok(true)
    }

    /// `word`, `segment,word` and `["word"]`, one after the other.
    fn take_granularities(&mut self, value: &str) -> Result<(), LayoutError> {
        let mut asked = self.granularities;
        for name in value.trim_matches(['[', ']']).split(',') {
            let name = name.trim().trim_matches(['"', '\'']);
            match name.to_ascii_lowercase().as_str() {
                // An empty list asks for nothing in particular.
                "" => {}
                "segment" => asked.get_or_insert_default().segments = true,
                "word" => asked.get_or_insert_default().words = true,
                _ => {
                    return Err(wrong("timestamp_granularities", name, "word, segment or both"));
                }
            }
        }
        self.granularities = asked;
        Ok(())
    }
}

fn wrong(param: &'static str, value: &str, allowed: impl Into<String>) -> LayoutError {
    LayoutError { param, value: value.to_owned(), allowed: allowed.into() }
}

/// `null` is how JSON-minded clients write a flag that is not set.
fn flag(name: &'static str, value: &str) -> Result<bool, LayoutError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" | "null" | "none" => Ok(false),
        _ => Err(wrong(name, value, "true or false")),
    }
}

fn tidy(value: &str) -> Result<bool, LayoutError> {
    match value.to_ascii_lowercase().as_str() {
        "tidy" => Ok(true),
        "plain" => Ok(false),
        _ => Err(wrong("subtitles", value, "tidy or plain")),
    }
}

fn whole(name: &'static str, value: &str, range: RangeInclusive<usize>) -> Result<usize, LayoutError> {
    let parsed = value.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    parsed.ok_or_else(|| wrong(name, value, format!("a whole number from {least} to {most}")))
}

/// What is not finite is in no range.
fn number(name: &'static str, value: &str, range: RangeInclusive<f64>) -> Result<f64, LayoutError> {
    let parsed = value.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    parsed.ok_or_else(|| wrong(name, value, format!("a number from {least} to {most}")))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(fields: &[(&str, &str)]) -> Result<Layout, String> {
        let mut layout = Layout::new(Format::Json);
        for (name, value) in fields {
            assert!(layout.take(name, value).map_err(|error| error.to_string())?, "{name}");
        }
        Ok(layout)
    }

    #[test]
    fn every_field_is_heeded_and_the_last_word_counts() {
        let layout = taken(&[
            ("response_format", "srt"),
            ("output", "VTT"),
            ("max_line_width", "36"),
            ("max_line_width", "40"),
            ("max_line_count", "1"),
            ("max_cue_seconds", "5.5"),
            ("min_cue_seconds", "0.5"),
            ("max_cps", "20"),
            ("max_words_per_line", "6"),
            ("highlight_words", "true"),
            ("subtitles", ""),
        ]);
        let wanted = SubtitleRules {
            max_line_width: Some(40),
            max_line_count: Some(1),
            max_cue: Some(Duration::from_millis(5_500)),
            min_cue: Some(Duration::from_millis(500)),
            max_cps: Some(20.0),
            max_words_per_line: Some(6),
            ..SubtitleRules::default()
        };
        let layout = layout.unwrap();
        assert_eq!((layout.format, layout.highlight_words), (Format::Vtt, true));
        assert_eq!(layout.subtitles, wanted);
    }

    #[test]
    fn the_first_granularity_replaces_the_default_and_others_join_it() {
        let lists = |fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|value| ("timestamp_granularities", *value)).collect();
            let layout = taken(&fields).unwrap();
            (layout.segments(), layout.words())
        };
        assert_eq!(lists(&[]), (true, false));
        assert_eq!(lists(&["[]"]), (true, false));
        assert_eq!(lists(&["word"]), (false, true));
        assert_eq!(lists(&["segment", "word"]), (true, true));
        assert_eq!(lists(&["[\"word\", 'Segment']"]), (true, true));
        let flagged = taken(&[("word_timestamps", "1")]).unwrap();
        assert_eq!((flagged.segments(), flagged.words()), (true, true));
    }

    #[test]
    fn words_are_wanted_where_they_are_listed_and_where_subtitles_are_cut() {
        let wanted = |fields: &[(&str, &str)]| taken(fields).unwrap().wants_words();
        assert!(!wanted(&[("format", "srt")]));
        assert!(!wanted(&[("format", "text"), ("subtitles", "tidy")]));
        assert!(wanted(&[("format", "srt"), ("subtitles", "tidy")]));
        assert!(wanted(&[("format", "vtt"), ("highlight_words", "true")]));
        assert!(wanted(&[("format", "verbose_json"), ("word_timestamps", "true")]));
    }

    #[test]
    fn what_was_asked_for_by_name_counts_beside_tidy_in_any_order() {
        let before = taken(&[("subtitles", "tidy"), ("max_line_width", "30")]).unwrap();
        let after = taken(&[("max_line_width", "30"), ("subtitles", "tidy")]).unwrap();
        assert_eq!(before, after);
        let plain = taken(&[("subtitles", "tidy"), ("subtitles", "plain")]).unwrap();
        assert!(!plain.subtitles.any());
    }

    #[test]
    fn wrong_values_are_named_with_their_field() {
        for (name, value) in [
            ("format", "docx"),
            ("timestamp_granularities", "syllable"),
            ("word_timestamps", "perhaps"),
            ("subtitles", "pretty"),
            ("max_line_width", "0"),
            ("max_line_width", "42.5"),
            ("max_cue_seconds", "NaN"),
            ("max_cue_seconds", "1e300"),
            ("min_cue_seconds", "-1"),
            ("max_cps", "inf"),
        ] {
            let message = taken(&[(name, value)]).unwrap_err();
            assert!(message.contains(value), "{name}={value}: {message}");
        }
        assert_eq!(Layout::new(Format::Srt).take("colour", "red"), Ok(false));
    }
}
