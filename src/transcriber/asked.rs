//! A request's options in; what is asked of each of its windows out, or why the loaded model cannot do it.

use std::sync::Arc;
use std::time::Duration;

use crate::decoding::{Request, Spoken, Stop, words};
use crate::text::Token;
use crate::transcript::{Detection, Fallback, Language, LongForm, Options, Task};

use super::{TranscribeError, Transcriber};

/// The options in the model's own tokens.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Of every window, but that the prefix is the first one's alone.
    pub request: Request,
    pub task: Task,
    /// `None`: it is to be found.
    pub language: Option<Language>,
    pub detection: Detection,
    pub long_form: LongForm,
    pub warnings: Vec<String>,
}

impl Asked {
    /// Whether the language must be found.
    pub fn is_open(&self) -> bool {
        matches!(self.request.language, Spoken::Detect { .. })
    }

    /// The language where it need not be found; English-only models have none.
    pub fn known(&self) -> Option<Token> {
        match self.request.language {
            Spoken::Known(language) => language,
            Spoken::Detect { .. } => None,
        }
    }

    /// What windows are asked once the take's language is known.
    pub fn among(&self, language: Option<Token>) -> Spoken {
        match &self.request.language {
            Spoken::Detect { among, threshold, .. } if self.detection.per_window => {
                Spoken::Detect { among: among.clone(), otherwise: language, threshold: *threshold }
            }
            Spoken::Detect { .. } => Spoken::Known(language),
            known => known.clone(),
        }
    }
}

impl Transcriber {
    pub(super) fn asked(&self, options: &Options) -> Result<Asked, TranscribeError> {
        let mut warnings = Vec::new();
        if options.task == Task::Translate && !self.rules.multilingual() {
            return Err(self.cannot("task", "cannot translate: it understands English only"));
        }
        let stop = match options.long_form {
            LongForm::Independent { .. } => Stop::Whole,
            LongForm::Sequential { .. } => Stop::AtLastSegment,
        };
        let policy = self.rules.policy(&options.tokens).map_err(|id| {
            self.cannot(
                "suppress_tokens",
                &format!("has no token {id}; its tokens are 0 to {}", self.model.vocab - 1),
            )
        })?;
        let search = options.search.clone();
        let width = search.beam_size.max(search.best_of);
        if width > self.model.lanes {
            let message = format!(
                "beam_size and best_of may be {} at most here (model.lanes sets this), not {width}",
                self.model.lanes
            );
            return Err(TranscribeError::Options { param: "beam_size", message });
        }
        let context = &options.context;
        let previous = self.encode(context.prompt.as_deref());
        let (keywords, left_out) = self.keywords(&context.keywords, previous.len());
        if !left_out.is_empty() {
            warnings.push(format!(
                "{} of {} keywords found no room in the prompt and were not used: {}",
                left_out.len(),
                context.keywords.len(),
                left_out.join(", ")
            ));
        }
        let told = context.prompt.iter().chain(&context.keywords);
        Ok(Asked {
            request: Request {
                task: options.task,
                language: self.spoken(options)?,
                previous: previous.into(),
                keywords: keywords.into(),
                prefix: self.encode(context.prefix.as_deref()).into(),
                prompt_words: told.flat_map(|text| words(text)).collect(),
                search,
                fallback: sound(&options.fallback),
                policy,
                stop,
                words: options.words,
            },
            task: options.task,
            language: options.language,
            detection: options.detection.clone(),
            long_form: match options.long_form {
                // A window of no length would never end.
                LongForm::Independent { longest } => {
                    LongForm::Independent { longest: longest.max(Duration::from_secs(1)) }
                }
                sequential => sequential,
            },
            warnings,
        })
    }

    fn spoken(&self, options: &Options) -> Result<Spoken, TranscribeError> {
        let known = |language: Language, param| {
            let token = self.rules.specials().language_token(language);
            token.ok_or_else(|| {
                let codes: Vec<&str> =
                    self.rules.specials().languages.iter().map(|(known, _)| known.code).collect();
                self.cannot(param, &format!("does not know {}; it knows {}", language.name, codes.join(", ")))
            })
        };
        if !self.rules.multilingual() {
            let among = options.detection.among.iter().map(|language| ("languages", *language));
            let mut asked = options.language.map(|language| ("language", language)).into_iter().chain(among);
            return match asked.find(|(_, language)| language.code != "en") {
                Some((param, _)) => Err(self.cannot(param, "understands English only")),
                None => Ok(Spoken::Known(None)),
            };
        }
        if let Some(language) = options.language {
            return Ok(Spoken::Known(Some(known(language, "language")?)));
        }
        let among = options.detection.among.iter().map(|language| known(*language, "languages"));
        let among: Arc<[Token]> = among.collect::<Result<Vec<Token>, _>>()?.into();
        Ok(match among[..] {
            [only] => Spoken::Known(Some(only)),
            _ => Spoken::Detect { among, otherwise: None, threshold: options.detection.threshold },
        })
    }

    /// As `tokenizer.encode(" " + text.strip())` of the reference.
    fn encode(&self, text: Option<&str>) -> Vec<Token> {
        match text.map(str::trim) {
            Some(text) if !text.is_empty() => self.tokenizer().encode(&format!(" {text}")),
            _ => Vec::new(),
        }
    }

    /// As many keywords as find room: all of it where there is no other text, half of it beside one. And those that do not.
    fn keywords<'a>(&self, keywords: &'a [String], beside: usize) -> (Vec<Token>, Vec<&'a str>) {
        let room = self.rules.previous_room();
        let room = room.saturating_sub(beside).max(room / 2);
        let keywords: Vec<&str> =
            keywords.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).collect();
        let mut used = keywords.len();
        loop {
            let tokens = self.encode(Some(&keywords[..used].join(", ")));
            if tokens.len() <= room {
                return (tokens, keywords[used..].to_vec());
            }
            // Tokens are one a word at least, so this skips most of what cannot fit at once.
            used = (used * room / tokens.len()).min(used - 1);
        }
    }

    fn cannot(&self, param: &'static str, what: &str) -> TranscribeError {
        TranscribeError::Options { param, message: format!("the model {} {what}", self.model.name) }
    }
}

/// A ladder has at least one rung.
fn sound(fallback: &Fallback) -> Fallback {
    let mut fallback = fallback.clone();
    if fallback.temperatures.is_empty() {
        fallback.temperatures.push(0.0);
    }
    fallback
}
