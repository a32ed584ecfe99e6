//! The options of a transcription as flags in; what is wanted out, by the table and the rules of a request's fields.

use std::sync::LazyLock;

use clap::builder::ValueHint;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::http::options::{self, Field, Kind, SUBJECTS, Wanted};

/// What was given, as an HTTP client would have written it.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    fields: Vec<(String, String)>,
}

impl Flags {
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    pub fn wanted(&self) -> Result<Wanted, String> {
        let wanted = options::judge(&self.fields).map_err(|error| error.to_string())?;
        // A name that the server would put into a header has nobody to read it here.
        match wanted.ignored.is_empty() {
            true => Ok(wanted),
            false => Err(format!("these mean nothing: {}", wanted.ignored.join(", "))),
        }
    }
}

/// A field that has a flag.
struct Flag {
    subject: &'static str,
    field: &'static Field,
    /// The field's names, as flags are written.
    names: Vec<String>,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let mut flags = Vec::new();
    for (subject, fields) in SUBJECTS {
        for field in fields.iter().filter(|field| field.kind != Kind::HttpAlone) {
            let names = field.names.iter().map(|name| name.replace('_', "-")).collect();
            flags.push(Flag { subject, field, names });
        }
    }
    flags
});

impl Flag {
    fn id(&self) -> &'static str {
        self.field.names[0]
    }

    fn arg(&'static self) -> Arg {
        let (long, aliases) = self.names.split_first().expect("every field has a name");
        let arg = Arg::new(self.id())
            .long(long.as_str())
            .visible_aliases(aliases.iter().map(String::as_str))
            .help(self.field.help)
            .help_heading(self.subject);
        match self.field.kind {
            // Without the equals sign the file's name that follows would be taken for the value.
            Kind::Flag => arg
                .value_name("true|false")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            Kind::Number(value) => arg.value_name(value).allow_hyphen_values(true),
            Kind::Text(value) => arg.value_name(value).value_hint(ValueHint::Other),
            Kind::List(value) => arg.value_name(value).action(ArgAction::Append),
            Kind::HttpAlone => arg.hide(true),
        }
    }

    /// An empty value asks for nothing, as in a form; but `--suppress-tokens ""` is how openai/whisper's command line
    /// asks for no list (transcribe.py at c0d2f624).
    fn value(&self, text: &str) -> String {
        match self.id() {
            "suppress_tokens" if text.trim().is_empty() => "none".to_owned(),
            _ => text.to_owned(),
        }
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().map(Flag::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in FLAGS.iter() {
            for text in matches.get_many::<String>(flag.id()).into_iter().flatten() {
                self.fields.push((flag.id().to_owned(), flag.value(text)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::transcript::{Channels, LongForm, Options, Task};

    #[derive(Parser)]
    struct Line {
        files: Vec<String>,
        #[command(flatten)]
        flags: Flags,
    }

    /// The options, or why clap or the table refuses them; `a.wav` is the last word.
    fn options(line: &[&str]) -> Result<Options, String> {
        let words = ["verbatim"].iter().chain(line).chain(&["a.wav"]);
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        assert_eq!(line.files, ["a.wav"]);
        line.flags.wanted().map(|wanted| wanted.options)
    }

    #[test]
    fn no_flags_are_the_defaults() {
        assert_eq!(options(&[]), Ok(Options::default()));
    }

    #[test]
    fn every_field_but_those_of_http_alone_is_a_flag_under_each_of_its_names() {
        let command = Line::command();
        for field in options::fields() {
            for name in field.names {
                let long = name.replace('_', "-");
                let has = |arg: &Arg| {
                    arg.get_long_and_visible_aliases().is_some_and(|all| all.contains(&long.as_str()))
                };
                assert_eq!(command.get_arguments().any(has), field.kind != Kind::HttpAlone, "--{long}");
            }
        }
    }

    #[test]
    fn flags_stand_alone_or_with_a_value_and_take_no_file_for_one() {
        assert!(options(&["--multilingual"]).unwrap().detection.per_window);
        assert!(!options(&["--multilingual=no"]).unwrap().detection.per_window);
        assert!(!options(&["--vad=false"]).unwrap().speech.detect);
        assert_eq!(options(&["--translate"]).unwrap().task, Task::Translate);
        assert_eq!(options(&["--multichannel"]).unwrap().channels, Channels::Split);
        assert!(options(&["--vad=perhaps"]).unwrap_err().contains("perhaps"));
    }

    #[test]
    fn values_may_begin_with_a_minus_where_they_are_numbers() {
        assert_eq!(options(&["--logprob-threshold", "-0.5"]).unwrap().fallback.logprob_threshold, Some(-0.5));
        assert_eq!(options(&["--suppress-tokens", "-1,50364"]).unwrap().tokens.suppress, [-1, 50364]);
        assert_eq!(options(&["--suppress-tokens", ""]).unwrap().tokens.suppress, [0i64; 0]);
    }

    #[test]
    fn lists_repeat_or_stand_in_one() {
        let keywords =
            options(&["--keyword", "Metformin", "--hotwords", "Dr. Ruiz, Ozempic"]).unwrap().context.keywords;
        assert_eq!(keywords, ["Metformin", "Dr. Ruiz", "Ozempic"]);
    }

    #[test]
    fn the_rules_are_those_of_a_request() {
        let sequential =
            LongForm::Sequential { condition_on_previous_text: true, prompt_reset_on_temperature: 0.5 };
        assert_eq!(options(&["--condition-on-previous-text"]).unwrap().long_form, sequential);
        let longest = Duration::from_secs(10);
        assert_eq!(options(&["--chunk-length", "10"]).unwrap().long_form, LongForm::Independent { longest });
        assert!(options(&["--beam-size", "40"]).unwrap_err().contains("'beam_size' cannot be '40'"));
        assert!(options(&["--vad-parameters", r#"{"onset": 1}"#]).unwrap_err().contains("onset"));
        assert!(options(&["--stream"]).unwrap_err().contains("--stream"));
    }
}
