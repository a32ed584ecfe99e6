//! Sequences walked through by hand: every answer of the model is written out, and what is asked next is looked at.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audio::LogMel;
use crate::model::{AlignRow, Alignment, Choice, Lane, Probe, Sample, Slot, Step};
use crate::text::Token;
use crate::transcript::{Fallback, Risk, Search, Tokens};

const LANES: [Lane; 3] = [Lane(3), Lane(5), Lane(6)];
const END: Token = 100;

fn seat() -> Seat<'static> {
    Seat { slot: Slot(3), lanes: &LANES }
}

fn english() -> Request {
    Request { language: Spoken::Known(Some(102)), policy: policy(), ..Request::default() }
}

fn policy() -> Policy {
    for_tests::rules().policy(&Tokens::default()).unwrap()
}

fn sequence(request: Request) -> Sequence {
    sequence_by(for_tests::rules(), request)
}

fn sequence_by(rules: Arc<Rules>, request: Request) -> Sequence {
    let mel = Arc::new(LogMel::new(80, Vec::new()));
    Sequence::new(rules, request, mel, Duration::from_secs(3))
}

fn sample(token: Token, logprob: f32) -> Sample {
    Sample { choices: vec![Choice { token, logprob }], probe: None }
}

fn steps(sequence: &Sequence) -> Vec<Step> {
    match sequence.next(seat()) {
        Work::Step(_, steps) => steps,
        other => panic!("a step was expected, not {other:?}"),
    }
}

fn step(sequence: &Sequence) -> Step {
    steps(sequence).remove(0)
}

/// One attempt of a single row, from its first token to the end of text.
fn say(sequence: &mut Sequence, tokens: &[Token], logprob: f32) {
    for token in tokens.iter().chain([&END]) {
        sequence.sampled(&[sample(*token, logprob)]);
    }
}

#[test]
fn a_window_is_encoded_its_language_found_its_text_read_and_ended() {
    let detect = Spoken::Detect { among: Arc::default(), otherwise: None, threshold: 0.5 };
    let mut sequence = sequence(Request { language: detect, ..english() });
    assert!(matches!(sequence.next(seat()), Work::Encode(_)));
    sequence.encoded();
    assert_eq!(step(&sequence).tokens, [101]);
    let choice = |(token, share): (Token, f32)| Choice { token, logprob: share.ln() };
    let choices = [(104, 0.8), (102, 0.15), (103, 0.05)].map(choice).to_vec();
    sequence.sampled(&[Sample { choices, probe: Some(0.1) }]);
    let first = step(&sequence);
    assert_eq!((first.position, first.tokens.as_slice()), (0, &[101, 104, 106][..]));
    assert_eq!((first.lane, first.probe), (Lane(3), Some(Probe { index: 0, token: 109 })));
    sequence.sampled(&[Sample { probe: Some(0.25), ..sample(111, -0.5) }]);
    let second = step(&sequence);
    assert_eq!((second.position, second.tokens.as_slice(), second.probe), (3, &[111][..], None));
    say(&mut sequence, &[1, 115], -0.5);
    assert_eq!(sequence.next(seat()), Work::Done);
    let hypothesis = sequence.finish();
    assert_eq!(hypothesis.tokens, [111, 1, 115]);
    assert_eq!((hypothesis.language, hypothesis.no_speech_prob), (Some(104), 0.25));
    assert!((hypothesis.avg_logprob + 0.5).abs() < 1e-6);
    assert_eq!(hypothesis.languages.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [104, 102, 103]);
    assert!((hypothesis.languages[0].1 - 0.8).abs() < 1e-6);
    assert!(!hypothesis.cut_short && hypothesis.given_up.is_empty());
}

#[test]
fn a_detection_that_is_not_sure_gives_way_to_the_files_language() {
    let detect = |otherwise| Spoken::Detect { among: Arc::default(), otherwise, threshold: 0.6 };
    for (otherwise, share, wanted) in [(Some(102), 0.5f32, 102), (Some(102), 0.7, 104), (None, 0.5, 104)] {
        let mut sequence = sequence(Request { language: detect(otherwise), ..english() });
        sequence.encoded();
        sequence.sampled(&[sample(104, share.ln())]);
        assert_eq!(step(&sequence).tokens, [101, wanted, 106]);
    }
}

#[test]
fn a_window_that_is_only_asked_for_its_language_says_nothing() {
    let detect = Spoken::Detect { among: [103, 104].into(), otherwise: None, threshold: 0.5 };
    let mut sequence = sequence(Request { language: detect, stop: Stop::AtLanguage, ..english() });
    sequence.encoded();
    assert!(step(&sequence).constraint.forbid.iter().any(|range| range.contains(&102)));
    sequence.sampled(&[sample(103, -0.1)]);
    assert_eq!(sequence.next(seat()), Work::Done);
    assert_eq!(sequence.finish().language, Some(103));
}

#[test]
fn a_window_that_never_ends_is_ended_at_half_the_context() {
    let fallback = Fallback { temperatures: vec![0.0], ..Fallback::default() };
    let mut sequence = sequence(Request { fallback, ..english() });
    sequence.encoded();
    for token in 0..20 {
        assert!(matches!(sequence.next(seat()), Work::Step(..)));
        sequence.sampled(&[sample(token, -1.0)]);
    }
    assert_eq!(sequence.next(seat()), Work::Done);
    let hypothesis = sequence.finish();
    assert!(hypothesis.cut_short);
    assert_eq!(hypothesis.tokens.len(), 20);
}

#[test]
fn a_step_never_stands_beyond_the_context() {
    let fallback = Fallback { temperatures: vec![0.0], ..Fallback::default() };
    let mut sequence = sequence(Request { previous: (0..90).collect(), fallback, ..english() });
    sequence.encoded();
    let mut count = 0;
    while let Work::Step(_, steps) = sequence.next(seat()) {
        assert!(steps[0].position + steps[0].tokens.len() <= 40);
        sequence.sampled(&[sample(count, -1.0)]);
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn an_unlikely_text_is_decoded_again_hotter_from_the_same_encoding() {
    let mut sequence = sequence(english());
    sequence.encoded();
    say(&mut sequence, &[111, 1, 115], -2.0);
    let again = step(&sequence);
    assert_eq!((again.position, again.tokens.len()), (0, 3));
    assert!(matches!(again.pick, crate::model::Pick::Drawn { temperature, .. } if temperature == 0.2));
    say(&mut sequence, &[111, 2, 115], -0.5);
    let hypothesis = sequence.finish();
    assert_eq!((hypothesis.tokens, hypothesis.temperature), (vec![111, 2, 115], 0.2));
    assert_eq!(hypothesis.given_up, [Risk::LowLogprob]);
}

#[test]
fn where_no_attempt_may_stand_the_likeliest_is_taken() {
    let fallback = Fallback { temperatures: vec![0.0, 0.5, 1.0], ..Fallback::default() };
    let mut sequence = sequence(Request { fallback, ..english() });
    sequence.encoded();
    for (token, logprob) in [(1, -3.0), (2, -1.5), (3, -4.0)] {
        say(&mut sequence, &[111, token, 115], logprob);
    }
    let hypothesis = sequence.finish();
    assert_eq!((hypothesis.tokens, hypothesis.temperature), (vec![111, 2, 115], 0.5));
    assert_eq!(hypothesis.given_up, [Risk::LowLogprob, Risk::LowLogprob]);
}

#[test]
fn silence_is_not_decoded_again() {
    let mut sequence = sequence(english());
    sequence.encoded();
    sequence.sampled(&[Sample { probe: Some(0.9), ..sample(111, -2.0) }]);
    say(&mut sequence, &[1, 115], -2.0);
    assert_eq!(sequence.next(seat()), Work::Done);
    assert_eq!(sequence.finish().verdict, Verdict::NoSpeech);
}

#[test]
fn a_loop_is_stopped_while_it_is_made_and_what_it_repeats_is_withheld() {
    let fallback = Fallback { temperatures: vec![0.0], ..Fallback::default() };
    let rules = for_tests::with_context(400);
    let mut sequence = sequence_by(rules.clone(), Request { fallback, ..english() });
    sequence.encoded();
    sequence.sampled(&[sample(111, -0.1)]);
    let word = rules.tokenizer().encode("e")[0];
    let mut said = 1;
    while let Work::Step(..) = sequence.next(seat()) {
        sequence.sampled(&[sample(word, -0.1)]);
        said += 1;
    }
    assert!(said < 50, "it was stopped after {said} of 200 tokens");
    let hypothesis = sequence.finish();
    assert_eq!(hypothesis.tokens, [111, word]);
    assert_eq!(hypothesis.withheld.len(), 1);
    assert_eq!(hypothesis.withheld[0].reason, Risk::Loop);
    assert!(hypothesis.withheld[0].text.starts_with("eee"));
}

#[test]
fn draws_are_made_side_by_side_and_the_likeliest_is_taken() {
    let fallback = Fallback { temperatures: vec![0.7], ..Fallback::default() };
    let search = Search { best_of: 3, ..Search::default() };
    let mut sequence = sequence(Request { fallback, search, ..english() });
    assert_eq!(sequence.width(), 3);
    sequence.encoded();
    let rows = steps(&sequence);
    assert_eq!(rows.iter().map(|step| step.lane).collect::<Vec<_>>(), LANES);
    assert_eq!(rows.iter().filter(|step| step.probe.is_some()).count(), 1);
    assert!(rows[0].pick != rows[1].pick && rows[1].pick != rows[2].pick);
    sequence.sampled(&[sample(111, -0.5), sample(112, -0.1), sample(113, -0.2)]);
    // The first is the shortest; the others go on without it.
    sequence.sampled(&[sample(END, -0.5), sample(1, -0.1), sample(2, -0.9)]);
    assert_eq!(steps(&sequence).len(), 2);
    sequence.sampled(&[sample(END, -0.1), sample(END, -0.9)]);
    assert_eq!(sequence.finish().tokens, [112, 1]);
}

/// Words of one letter, between commas: each is one token below the end of text of these rules.
fn prompted() -> Request {
    let rules = for_tests::rules();
    let previous: Arc<[Token]> = rules.tokenizer().encode("a,b,c,d").into();
    assert!(previous.iter().all(|token| *token < END), "{previous:?}");
    Request { prompt_words: words("a,b,c,d").into(), previous, ..english() }
}

#[test]
fn a_text_that_repeats_the_prompt_is_heard_again_without_it() {
    let request = prompted();
    let echoed: Vec<Token> = [&[111], &request.previous[..], &[115]].concat();
    // Not heard without the prompt: it was read, and what was heard takes its place.
    let mut read = sequence(request.clone());
    read.encoded();
    say(&mut read, &echoed, -0.1);
    assert_eq!(step(&read).tokens, [101, 102, 106]);
    say(&mut read, &[111, 66, 115], -0.1);
    let hypothesis = read.finish();
    assert_eq!(hypothesis.tokens, [111, 66, 115]);
    assert_eq!(hypothesis.given_up, [Risk::PromptEcho]);
    assert_eq!(
        (hypothesis.withheld[0].text.as_str(), hypothesis.withheld[0].reason),
        ("a b c d", Risk::PromptEcho)
    );
    // Heard without it as well: it was said.
    let mut said = sequence(request);
    said.encoded();
    say(&mut said, &echoed, -0.1);
    say(&mut said, &echoed, -0.2);
    let hypothesis = said.finish();
    assert_eq!((hypothesis.tokens, hypothesis.withheld.len()), (echoed, 0));
    assert!((hypothesis.avg_logprob + 0.1).abs() < 1e-6);
}

#[test]
fn the_sequential_mode_keeps_closed_segments_and_says_where_to_go_on() {
    let mut sequence = sequence(Request { stop: Stop::AtLastSegment, ..english() });
    sequence.encoded();
    say(&mut sequence, &[111, 1, 115, 115, 2], -0.1);
    let hypothesis = sequence.finish();
    assert_eq!((hypothesis.tokens, hypothesis.next), (vec![111, 1, 115], Some(4)));
}

#[test]
fn words_are_aligned_over_the_text_alone_in_the_same_slot() {
    let mut sequence = sequence(Request { words: true, ..english() });
    sequence.encoded();
    say(&mut sequence, &[111, 1, 2, 115, 115, 3, 118], -0.1);
    let Work::Align(AlignRow { slot, lane, tokens, frames, text_below }) = sequence.next(seat()) else {
        panic!("an alignment was expected")
    };
    assert_eq!((slot, lane, frames, text_below), (Slot(3), Lane(3), 150, END));
    assert_eq!(tokens, [101, 102, 106, 110, 1, 2, 3, END]);
    let alignment =
        Alignment { heads: 0, tokens: 8, frames: 150, scores: Vec::new(), probabilities: vec![0.5; 7] };
    sequence.aligned(alignment.clone());
    assert_eq!(sequence.next(seat()), Work::Done);
    let mut aligned = sequence.finish().alignment.unwrap();
    assert_eq!(aligned, Aligned { alignment, start: 3, text: vec![1, 2, 3] });
    aligned.shorten(1);
    assert_eq!((aligned.text.as_slice(), aligned.alignment.tokens), (&[1][..], 6));
    assert_eq!(aligned.alignment.probabilities.len(), 5);
}
