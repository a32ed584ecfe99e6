//! The flags that cut subtitles in, the layout they ask for out; verbs that write subtitles share them.

use crate::format::{Layout, LayoutError, quoted};

use super::Failure;

/// Their values are judged where those of HTTP requests are.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Subtitles")]
pub struct SubtitleFlags {
    /// `tidy` cuts cues and lines for reading (42 columns, 2 lines, 1 to 7 s); `plain` is one cue a segment.
    #[arg(long, value_name = "HOW")]
    subtitles: Option<String>,
    /// Columns of a line at most; full-width characters have two.
    #[arg(long, value_name = "N")]
    max_line_width: Option<String>,
    /// Lines of a cue at most; together with --max-line-width, cues reach across segments.
    #[arg(long, value_name = "N")]
    max_line_count: Option<String>,
    /// Longest cue.
    #[arg(long, value_name = "SECONDS")]
    max_cue_seconds: Option<String>,
    /// Shorter cues stay longer, where nothing follows.
    #[arg(long, value_name = "SECONDS")]
    min_cue_seconds: Option<String>,
    /// Characters a second: denser cues stay longer, where nothing follows.
    #[arg(long, value_name = "N")]
    max_cps: Option<String>,
    /// Words of a line at most; without --max-line-count a cue is one line.
    #[arg(long, value_name = "N")]
    max_words_per_line: Option<String>,
    /// Show which word is being said (srt, vtt).
    #[arg(long)]
    highlight_words: bool,
}

impl SubtitleFlags {
    /// A value that cannot be is a usage error that names its flag.
    pub fn set(&self, layout: &mut Layout) -> Result<(), Failure> {
        let highlight = self.highlight_words.then(|| "true".to_owned());
        for (field, value) in [
            ("subtitles", &self.subtitles),
            ("max_line_width", &self.max_line_width),
            ("max_line_count", &self.max_line_count),
            ("max_cue_seconds", &self.max_cue_seconds),
            ("min_cue_seconds", &self.min_cue_seconds),
            ("max_cps", &self.max_cps),
            ("max_words_per_line", &self.max_words_per_line),
            ("highlight_words", &highlight),
        ] {
            if let Some(value) = value {
                layout.take(field, value).map_err(|error| wrong(field, &error))?;
            }
        }
        Ok(())
    }
}

fn wrong(field: &str, error: &LayoutError) -> Failure {
    let flag = field.replace('_', "-");
    Failure::usage(format!("--{flag} cannot be '{}': give {}", quoted(&error.value), error.allowed))
}
