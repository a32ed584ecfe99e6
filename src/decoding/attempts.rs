//! The ladder of one window: what was tried so far, what is tried next, and which text is taken in the end.

use crate::text::Token;
use crate::transcript::Risk;

use super::fallback::{Figures, Verdict, compression_ratio};
use super::repetition::{circle, echo, says, words};
use super::search::Found;
use super::seek::closed;
use super::{Request, Rules, Stop};

/// Everything that was tried, hotter and hotter; and once more from the start without the prompt where the text that was
/// taken repeats it.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    tried: Vec<Tried>,
    /// What was taken with the prompt, where it stands under the suspicion of repeating it.
    suspect: Option<Suspect>,
    /// Attempts of the suspect's ladder.
    before: usize,
}

#[derive(Clone, Debug)]
struct Tried {
    found: Found,
    text: String,
    figures: Figures,
    temperature: f32,
    objection: Option<Risk>,
}

#[derive(Clone, Debug)]
struct Suspect {
    judged: Judged,
    run: Vec<String>,
}

/// The text that is taken, and what became of the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    pub tokens: Vec<Token>,
    /// Of `tokens`, and maybe of more that were said after them.
    pub logprobs: Vec<f32>,
    pub figures: Figures,
    pub temperature: f32,
    pub verdict: Verdict,
    pub given_up: Vec<Risk>,
    pub withheld: Vec<Withheld>,
    pub cut_short: bool,
    /// Where the sequential mode goes on, in steps of 0.02 s; `None`: behind this window.
    pub next: Option<u32>,
}

/// Text of a window that is not in the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Withheld {
    pub text: String,
    pub reason: Risk,
}

impl Attempts {
    /// Whether the prompt is left out now.
    pub fn is_bare(&self) -> bool {
        self.suspect.is_some()
    }

    /// The temperature of the next attempt, and its number among all.
    pub fn temperature(&self, request: &Request) -> (f32, usize) {
        let temperatures = &request.fallback.temperatures;
        let next = temperatures.get(self.tried.len()).or(temperatures.last()).copied();
        (next.unwrap_or_default(), self.before + self.tried.len())
    }

    /// Whether a text that is still being made goes round in circles, and so much that its ladder would object. Only an open
    /// segment counts: where time goes on between the rounds, somebody may really say it again and again.
    pub fn is_hopeless(&self, rules: &Rules, request: &Request, tokens: &[Token]) -> bool {
        let Some(most) = request.fallback.compression_ratio_threshold else { return false };
        let open = &tokens[open_from(rules, tokens)..];
        circle(open).is_some() && compression_ratio(rules.tokenizer().decode(open).trim()) > most
    }

    /// Takes in what an attempt found. `None`: there is one more to make.
    pub fn judge(
        &mut self,
        rules: &Rules,
        request: &Request,
        found: Found,
        no_speech_prob: f32,
    ) -> Option<Judged> {
        let (temperature, _) = self.temperature(request);
        let text = rules.tokenizer().decode(&found.tokens).trim().to_owned();
        let figures = Figures {
            avg_logprob: found.avg_logprob(),
            no_speech_prob,
            compression_ratio: compression_ratio(&text),
        };
        let objection = figures.objection(&request.fallback, request.stop);
        self.tried.push(Tried { found, text, figures, temperature, objection });
        if objection.is_some() && self.tried.len() < request.fallback.temperatures.len() {
            return None;
        }
        let (judged, text) = self.take(rules, request);
        self.hear_again(request, judged, &words(&text))
    }

    /// The last attempt where it may stand. Where none may, the likeliest of those that are no loop, as faster-whisper has it
    /// (transcribe.py at 65882eee, lines 1489-1497); the reference takes the last and hottest.
    fn take(&mut self, rules: &Rules, request: &Request) -> (Judged, String) {
        let tried = std::mem::take(&mut self.tried);
        self.before += tried.len();
        let last = tried.len() - 1;
        let rank = |index: &usize| {
            let one: &Tried = &tried[*index];
            (one.objection.is_none(), one.objection != Some(Risk::Loop), one.figures.avg_logprob)
        };
        let better = |a: &usize, b: &usize| {
            let ((a_stands, a_straight, a), (b_stands, b_straight, b)) = (rank(a), rank(b));
            (a_stands, a_straight).cmp(&(b_stands, b_straight)).then(a.total_cmp(&b))
        };
        let taken = (0..tried.len()).max_by(better).unwrap_or(last);
        let given_up = tried.iter().enumerate().filter(|(index, _)| *index != taken);
        let given_up = given_up.filter_map(|(_, one)| one.objection).collect();
        let Tried { found, text, figures, temperature, objection } =
            tried.into_iter().nth(taken).expect("it was tried");
        let cut_short = !found.ended;
        let mut judged = Judged {
            tokens: found.tokens,
            logprobs: found.logprobs,
            figures,
            temperature,
            verdict: figures.verdict(&request.fallback, request.stop),
            given_up,
            withheld: Vec::new(),
            cut_short,
            next: None,
        };
        if objection == Some(Risk::Loop) {
            judged.straighten(rules);
        }
        if request.stop == Stop::AtLastSegment {
            let closed = closed(&judged.tokens, rules.specials().timestamp_begin);
            judged.tokens.truncate(closed.kept);
            judged.next = closed.next;
        }
        (judged, text)
    }

    /// A text that repeats the caller's prompt must be heard without it, too; else it was read and not heard.
    fn hear_again(&mut self, request: &Request, mut judged: Judged, said: &[String]) -> Option<Judged> {
        let Some(suspect) = self.suspect.take() else {
            let prompted = !request.previous.is_empty() || !request.keywords.is_empty();
            let run = echo(&request.prompt_words, said).filter(|_| prompted);
            return match (run, judged.verdict) {
                (Some(run), Verdict::Accept) => {
                    self.suspect = Some(Suspect { judged, run: run.to_vec() });
                    None
                }
                _ => Some(judged),
            };
        };
        if judged.verdict == Verdict::Accept && says(said, &suspect.run) {
            return Some(suspect.judged);
        }
        let mut given_up = suspect.judged.given_up;
        given_up.push(Risk::PromptEcho);
        given_up.append(&mut judged.given_up);
        let echoed = Withheld { text: suspect.run.join(" "), reason: Risk::PromptEcho };
        judged.withheld.push(echoed);
        Some(Judged { given_up, ..judged })
    }
}

impl Judged {
    /// Leaves out what the last segment says again and again, but for the first time.
    fn straighten(&mut self, rules: &Rules) {
        let from = open_from(rules, &self.tokens);
        let Some(kept) = circle(&self.tokens[from..]) else { return };
        let repeated = self.tokens.split_off(from + kept);
        let text = rules.tokenizer().decode(&repeated).trim().to_owned();
        self.withheld.push(Withheld { text, reason: Risk::Loop });
        self.cut_short = false;
    }
}

/// Where the text begins that no timestamp has closed yet.
fn open_from(rules: &Rules, tokens: &[Token]) -> usize {
    tokens.iter().rposition(|token| rules.specials().is_timestamp(*token)).map_or(0, |at| at + 1)
}
