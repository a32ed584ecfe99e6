//! Stored transcripts come back as they were; those of others come as far as they go; wrong ones are named.

use proptest::prelude::*;

use super::{StoredError, parse};
use crate::format::samples::{any_transcript, language, spoken, transcript};
use crate::format::{Format, Granularities, Layout, SubtitleRules, render};
use crate::transcript::{Transcript, Word};

fn parsed(json: &str) -> Transcript {
    parse(json.as_bytes(), language).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn refused(json: &str) -> String {
    parse(json.as_bytes(), language).unwrap_err().to_string()
}

fn words(transcript: &Transcript) -> Vec<&str> {
    transcript
        .segments
        .iter()
        .flat_map(|segment| &segment.words)
        .map(|word: &Word| word.text.as_str())
        .collect()
}

#[test]
fn segments_with_times_and_text_are_enough() {
    let found = parsed(
        r#"{"segments":[{"start":0,"end":1.5,"text":" Hello"},{"start":1.5,"end":2,"text":" you.","new":[{}]}]}"#,
    );
    assert_eq!(found.text(), "Hello you.");
    assert_eq!((found.duration.as_millis(), found.language.code, found.words), (2_000, "und", false));
    let listed = parsed(r#" [{"start":0,"end":1.5,"text":" Hello"}]"#);
    assert_eq!(listed.text(), "Hello");
    assert!(parsed(r#"{"text":"","segments":[]}"#).no_speech());
}

#[test]
fn openai_s_words_find_their_segments_and_their_spaces() {
    let json = r#"{"task":"transcribe","language":"english","duration":8.470000267028809,
        "text":"The beach, at last. Volleyball!",
        "segments":[{"id":0,"seek":0,"start":0.0,"end":2.0,"text":" The beach, at last.","tokens":[1]},
                    {"id":1,"seek":0,"start":2.0,"end":3.0,"text":" Volleyball!"}],
        "words":[{"word":"The","start":0.0,"end":0.2},{"word":"beach","start":0.2,"end":0.5},{"word":"at","start":0.5,"end":0.7},
                 {"word":"last","start":0.7,"end":1.9},{"word":"Volleyball","start":1.95,"end":3.0}]}"#;
    let found = parsed(json);
    assert_eq!(words(&found), [" The", " beach", " at", " last", " Volleyball"]);
    assert_eq!((found.segments[1].words.len(), found.duration.as_millis()), (1, 8_470));
    let layout = Layout { highlight_words: true, ..Layout::new(Format::Vtt) };
    assert!(render(&found, &layout).body.contains("<c>beach,</c> <00:00:00.500><c>at</c>"));
}

#[test]
fn words_alone_become_sentences() {
    let json = r#"{"text":"Yes. I know. Two","words":[{"word":"Yes","start":0,"end":0.4},{"word":"I","start":0.5,"end":0.6},
        {"word":"know","start":0.6,"end":0.9},{"word":"Two","start":0.9,"end":1}]}"#;
    let found = parsed(json);
    let texts: Vec<&str> = found.segments.iter().map(|segment| segment.text.as_str()).collect();
    assert_eq!(texts, [" Yes.", " I know.", " Two"]);
    assert_eq!(found.text(), "Yes. I know. Two");
}

#[test]
fn whisperx_has_speakers_words_without_times_and_texts_without_spaces() {
    let json = r#"{"segments":[
        {"start":0,"end":2,"text":"In 1990 then.","speaker":"SPEAKER_01","words":[
            {"word":"In","start":0.1,"end":0.3,"score":0.5},{"word":"1990"},{"word":"then.","start":1.2,"end":2}]},
        {"start":2,"end":3,"text":"Yes","speaker":"SPEAKER_00","words":null}]}"#;
    let found = parsed(json);
    assert_eq!(found.text(), "In 1990 then. Yes");
    assert_eq!((found.segments[0].channel, found.segments[1].channel), (Some(0), Some(1)));
    let missing = &found.segments[0].words[1];
    assert_eq!((missing.start.as_millis(), missing.end.as_millis()), (300, 1_200));
    assert!(found.warnings[0].contains("A is 'SPEAKER_01'"), "{:?}", found.warnings);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let in_segment =
        |fields: &str| format!(r#"{{"segments":[{{"start":0,"end":1,"text":"a"}},{{{fields}}}]}}"#);
    for (json, wanted) in [
        (in_segment(r#""start":-1,"end":1,"text":"b""#), "segments[1].start is -1"),
        (in_segment(r#""start":2,"end":1,"text":"b""#), "segments[1].end is 1, before its start at 2"),
        (in_segment(r#""start":2,"text":"b""#), "segments[1].end is missing"),
        (in_segment(r#""start":2,"end":3"#), "segments[1].text is missing"),
        (in_segment(r#""start":2,"end":1e300,"text":"b""#), "segments[1].end is 1"),
        (in_segment(r#""start":NaN,"end":1,"text":"b""#), "column"),
        (in_segment(r#""start":"2","end":3,"text":"b""#), "column"),
        (
            in_segment(
                r#""start":1,"end":3,"text":"b c","words":[{"word":"b","start":2,"end":3},{"word":"c","start":1,"end":3}]"#,
            ),
            "segments[1].words[1].start is 1, but",
        ),
        (
            r#"{"segments":[{"start":5,"end":6,"text":"a"},{"start":4,"end":6,"text":"b"}]}"#.to_owned(),
            "segments[1].start is 4",
        ),
        (r#"{"text":"only this"}"#.to_owned(), "neither segments nor words"),
        (r#"{"text":"only this","segments":[]}"#.to_owned(), "empty"),
        (r#"{"segments":[],"duration":-3}"#.to_owned(), "duration is -3"),
        (
            r#"{"segments":[],"dropped":[{"start":0,"end":1,"reason":"boring"}]}"#.to_owned(),
            "dropped[0].reason is 'boring'",
        ),
        ("verbatim".to_owned(), "column 1"),
        (String::new(), "EOF"),
    ] {
        let message = refused(&json);
        assert!(message.contains(wanted), "{json}: {message}");
    }
}

#[test]
fn documents_have_an_end() {
    let objects = format!(r#"{{"segments":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    assert_eq!(parse(objects.as_bytes(), language), Err(StoredError::TooLarge));
    let deep = "[".repeat(100_000);
    assert!(refused(&deep).contains("column"));
    assert_eq!(parse("[".repeat(1_000_001).as_bytes(), language), Err(StoredError::TooLarge));
}

#[test]
fn fields_of_ours_that_are_something_else_elsewhere_are_passed_over() {
    let found = parsed(
        r#"{"segments":[{"start":0,"end":1,"text":"a","risk":0.5}],"fallbacks":3,"languages":{},"language":"klingon"}"#,
    );
    assert_eq!((found.fallbacks.len(), found.language.code), (0, "und"));
    assert!(found.warnings[0].contains("klingon"));
}

#[test]
fn words_alone_keep_text_and_words_on_the_way_through_a_file() {
    let said = transcript(vec![spoken(0, "We need eggs."), spoken(3_000, "And fish, too.")]);
    let granularities = Some(Granularities { segments: false, words: true });
    let layout = Layout { granularities, ..Layout::new(Format::VerboseJson) };
    let found = parsed(&render(&said, &layout).body);
    assert_eq!(found.text(), said.text());
    assert_eq!(words(&found), words(&said));
}

fn any_layout() -> impl Strategy<Value = Layout> {
    (0..Format::ALL.len(), any::<bool>(), any::<bool>(), prop::option::of(10..50usize)).prop_map(
        |(format, tidy, highlight_words, max_line_width)| Layout {
            word_timestamps: true,
            subtitles: SubtitleRules { tidy, max_line_width, ..SubtitleRules::default() },
            highlight_words,
            ..Layout::new(Format::ALL[format])
        },
    )
}

proptest! {
    #[test]
    fn what_was_stored_renders_as_it_did_before(transcript in any_transcript(), layout in any_layout()) {
        let verbose = Layout { word_timestamps: true, ..Layout::new(Format::VerboseJson) };
        let stored = render(&transcript, &verbose).body;
        let found = parsed(&stored);
        prop_assert_eq!(render(&found, &verbose).body, stored);
        prop_assert_eq!(render(&found, &layout), render(&transcript, &layout));
    }

    #[test]
    fn nothing_makes_it_panic(json in r#"(\{"segments":\[)?(\{("(start|end|text|words|speaker)":(-?[0-9]{1,3}|"[a-z é]*"|null|\[\]),?){0,5}\},?){0,3}\]?\}?"#) {
        let _ = parse(json.as_bytes(), language);
    }
}
