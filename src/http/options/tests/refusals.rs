//! Values that no field can have and fields that cannot go together in, the sentence about them out.

use super::{judge_pairs, options, refusal};
use crate::transcript::Options;

#[test]
fn keywords_are_counted_and_measured_in_characters() {
    let long = "ü".repeat(100);
    assert_eq!(options(&[("keyword", &long)]).context.keywords, [long.as_str()]);
    let (param, message) = refusal(&[("hotwords", &format!("{long}ü"))]);
    assert!(param == "hotwords" && message.contains("at most 100 characters"), "{message}");
    let many = |count: usize| (0..count).map(|n| format!("word{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(options(&[("keywords", &many(500))]).context.keywords.len(), 500);
    assert!(refusal(&[("keywords", &many(501))]).1.contains("at most 500"));
}

#[test]
fn wrong_values_are_named_with_their_field_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("language", "klingon", "a code (en)"),
        ("languages[]", "klingon", "a code (en)"),
        ("language_detection_segments", "0", "a whole number from 1 to 100"),
        ("language_detection_segments", "101", "a whole number from 1 to 100"),
        ("language_detection_threshold", "1.5", "a number from 0 to 1"),
        ("multilingual", "perhaps", "true or false"),
        ("task", "summarise", "transcribe or translate"),
        ("translate", "German", "true or false"),
        ("temperature", "warm", "a number from 0 to 1"),
        ("temperature", "1.1", "a number from 0 to 1"),
        ("temperature", "-0.1", "a number from 0 to 1"),
        ("temperature", "NaN", "a number from 0 to 1"),
        ("temperature", "inf", "a number from 0 to 1"),
        ("temperature_inc", "0.01", "a number from 0.1 to 1, or 0"),
        ("best_of", "0", "a whole number from 1 to 16, or fewer where the setting model.lanes is less"),
        ("best_of", "17", "a whole number from 1 to 16"),
        ("beam_size", "17", "a whole number from 0 to 16, or fewer where the setting model.lanes is less"),
        ("beam_size", "-1", "a whole number from 0 to 16"),
        ("patience", "0", "a number above 0 and at most 10"),
        ("patience", "NaN", "a number above 0 and at most 10"),
        ("length_penalty", "1.1", "a number from 0 to 1, or none"),
        ("seed", "-1", "a whole number from 0 to 18446744073709551615"),
        ("compression_ratio_threshold", "-1", "a number from 0 to 100, or none"),
        ("logprob_threshold", "0.1", "a number from -100 to 0, or none"),
        ("no_speech_threshold", "2", "a number from 0 to 1, or none"),
        ("timestamp_granularities[]", "character", "word, segment or both"),
        ("suppress_tokens", "-2", "a whole number from -1 to 1000000"),
        ("suppress_blank", "2", "true or false"),
        ("max_initial_timestamp", "31", "seconds, from 0 to 30"),
        ("long_form", "chunked", "independent or sequential"),
        ("prompt_reset_on_temperature", "2", "a number from 0 to 1"),
        ("chunk_length", "1", "seconds, from 2 to 30"),
        ("vad", "perhaps", "true or false"),
        ("vad_threshold", "-1", "a number from 0 to 1"),
        ("min_silence_ms", "30001", "milliseconds, from 0 to 30000"),
        ("vad_parameters", "threshold=1", "a JSON object"),
        ("chunking_strategy", "whole", "auto, or an object"),
        ("chunking_strategy[type]", "client_vad", "auto or server_vad"),
        ("keywords", "[Musik]", "values with commas between them, or a JSON list"),
        ("channels", "left", "mix or split"),
        ("stream", "perhaps", "true or false"),
    ] {
        let (param, message) = refusal(&[(name, value)]);
        assert_eq!(param, name.split('[').next().unwrap());
        assert!(message.starts_with(&format!("'{name}' cannot be '{value}': give {allowed}")), "{message}");
    }
}

#[test]
fn a_wrong_entry_of_an_object_or_a_list_is_named_itself() {
    let (param, message) = refusal(&[("vad_parameters", r#"{"threshold": 7}"#)]);
    assert_eq!(param, "vad_parameters");
    assert!(message.starts_with("'vad_parameters[threshold]' cannot be '7'"), "{message}");
    assert!(refusal(&[("languages", "en,klingon")]).1.contains("'klingon'"));
    let long = refusal(&[("vad", &"x".repeat(10_000))]).1;
    assert!(long.len() < 200 && long.contains("xxx...'"), "{long}");
}

#[test]
fn a_format_that_there_is_not_is_named() {
    for name in ["response_format", "output", "format"] {
        let (param, message) = refusal(&[(name, "docx")]);
        assert!(param == name && message.contains("docx"), "{message}");
    }
}

#[test]
fn what_cannot_both_be_had_is_refused() {
    for (fields, param) in [
        (&[("language", "fr"), ("languages[]", "en"), ("languages[]", "de")][..], "language"),
        (&[("temperature", "0,0.5"), ("temperature_inc", "0.1")], "temperature_increment_on_fallback"),
        (&[("patience", "2")], "patience"),
        (&[("patience", "2"), ("beam_size", "1")], "patience"),
        (&[("long_form", "sequential"), ("chunk_length", "20")], "chunk_length"),
        (&[("condition_on_previous_text", "true"), ("max_window_seconds", "9")], "max_window_seconds"),
        (&[("long_form", "independent"), ("condition_on_previous_text", "1")], "condition_on_previous_text"),
        (&[("chunking_strategy[type]", "server_vad"), ("vad", "false")], "chunking_strategy"),
    ] {
        assert_eq!(refusal(fields).0, param);
        let backwards: Vec<_> = fields.iter().copied().rev().collect();
        assert_eq!(refusal(&backwards).0, param, "{backwards:?}");
    }
}

#[test]
fn what_we_do_not_have_is_refused_and_never_ignored() {
    for (name, value) in [
        ("response_format", "diarized_json"),
        ("diarize", "1"),
        ("min_speakers", "2"),
        ("max_speakers", "2"),
        ("known_speaker_names[]", "Ann"),
        ("known_speaker_references[]", "data:,"),
    ] {
        let message = judge_pairs(&[(name, value)]).unwrap_err().to_string();
        assert!(message.contains("not offer") && message.contains(name), "{name}={value}: {message}");
    }
    for asks_for_nothing in
        [("stream", "false"), ("diarize", "null"), ("include", "[]"), ("min_speakers", "null")]
    {
        assert_eq!(options(&[asks_for_nothing]), Options::default());
    }
}
