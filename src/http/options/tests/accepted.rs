//! Every field in every spelling in, the one change that it makes out.

use std::time::Duration;

use super::{each_means, fields, judge_pairs, millis, options};
use crate::format::Format;
use crate::text::language::by_code;
use crate::transcript::{Channels, LongForm, Task};

use super::super::Wanted;

#[test]
fn nothing_given_is_verbose_json_in_whatever_language() {
    assert_eq!(judge_pairs(&[]).unwrap(), Wanted::default());
    for name in fields().flat_map(|field| field.names) {
        for empty in ["", " \n"] {
            assert_eq!(judge_pairs(&[(name, empty)]).unwrap(), Wanted::default(), "{name}");
        }
    }
}

#[test]
fn the_last_word_counts() {
    let wanted = judge_pairs(&[("language", "de"), ("language", "en-US"), ("prompt", " Dr. Ruiz ")]).unwrap();
    assert_eq!(wanted.options.language, by_code("en"));
    assert_eq!(wanted.options.context.prompt.as_deref(), Some("Dr. Ruiz"));
    assert_eq!(options(&[("language", "de"), ("language", "auto")]).language, None);
}

#[test]
fn the_answer_has_a_model_and_a_format() {
    for name in ["response_format", "output", "format"] {
        let wanted = judge_pairs(&[(name, "SRT"), ("model", "whisper-1")]).unwrap();
        assert_eq!((wanted.layout.format, wanted.model.as_deref()), (Format::Srt, Some("whisper-1")));
    }
}

#[test]
fn languages_and_tasks() {
    let english = by_code("en");
    each_means(
        &[("language", "en"), ("language", "English"), ("language", "en-US"), ("languages[]", "en")],
        |options| options.language = english,
    );
    each_means(&[("language", "auto"), ("language", "Auto"), ("languages", "[]")], |_| {});
    let both = [by_code("de").unwrap(), by_code("es").unwrap()];
    each_means(
        &[("languages", "de,es"), ("languages[]", "german, es-MX, de"), ("languages", r#"["de", "es"]"#)],
        |options| options.detection.among = both.to_vec(),
    );
    assert_eq!(options(&[("languages[]", "de"), ("languages[]", "es")]).detection.among, both);
    assert_eq!(options(&[("languages", "de,es"), ("language", "es")]).language, by_code("es"));
    each_means(&[("language_detection_segments", "100")], |options| options.detection.windows = 100);
    each_means(&[("language_detection_threshold", "0.9")], |options| options.detection.threshold = 0.9);
    each_means(&[("multilingual", "true"), ("per_window_language", "1")], |options| {
        options.detection.per_window = true;
    });
    each_means(&[("task", "Translate"), ("translate", "yes")], |options| options.task = Task::Translate);
    each_means(&[("task", "transcribe"), ("translate", "false")], |_| {});
}

#[test]
fn what_the_decoder_is_told() {
    each_means(&[("prompt", "Dr. Ruiz"), ("initial_prompt", " Dr. Ruiz\n")], |options| {
        options.context.prompt = Some("Dr. Ruiz".to_owned());
    });
    each_means(&[("prefix", "Well,")], |options| options.context.prefix = Some("Well,".to_owned()));
    let drugs = ["Metformin", "St. John"].map(str::to_owned);
    each_means(
        &[
            ("keywords", "Metformin,St. John"),
            ("keyword", "Metformin, St. John, Metformin,"),
            ("keywords[]", r#"["Metformin", "St. John"]"#),
            ("hotwords", "Metformin\r\nSt. John"),
        ],
        |options| options.context.keywords = drugs.to_vec(),
    );
    assert_eq!(options(&[("keywords[]", "Metformin"), ("keyword", "St. John")]).context.keywords, drugs);
    assert_eq!(options(&[("keywords", r#"["Smith, John"]"#)]).context.keywords, ["Smith, John"]);
}

#[test]
fn zero_is_the_ladder_and_anything_else_is_that_temperature() {
    each_means(
        &[
            ("temperature", "0"),
            ("temperature", "0.0"),
            ("temperature", "0,0.2,0.4,0.6,0.8,1"),
            ("temperatures", "[0, 0.2, 0.4, 0.6, 0.8, 1.0]"),
            ("temperature_inc", "0.2"),
            ("temperature_increment_on_fallback", "0.2"),
        ],
        |_| {},
    );
    for (fields, temperatures) in [
        (&[("temperature", "0.4")][..], &[0.4f32][..]),
        (&[("temperature[]", "0"), ("temperature[]", "0.4")], &[0.0, 0.4]),
        (&[("temperature", "0.3"), ("temperature[]", "0"), ("temperature[]", "1")], &[0.0, 1.0]),
        (&[("temperature[]", "0"), ("temperature", "0.3")], &[0.3]),
        (&[("temperature_inc", "0")], &[0.0]),
        (&[("temperature", "0"), ("temperature_increment_on_fallback", "None")], &[0.0]),
        (&[("temperature", "0.4"), ("temperature_increment_on_fallback", "0.3")], &[0.4, 0.7, 1.0]),
        (&[("temperature", "0.6"), ("temperature_inc", "0")], &[0.6]),
    ] {
        assert_eq!(options(fields).fallback.temperatures, temperatures, "{fields:?}");
    }
}

#[test]
fn how_the_text_is_searched() {
    each_means(&[("best_of", "16")], |options| options.search.best_of = 16);
    each_means(&[("beam_size", "5")], |options| options.search.beam_size = 5);
    each_means(&[("beam_size", "0"), ("beam_size", "1"), ("best_of", "1"), ("patience", "1.0")], |_| {});
    assert_eq!(options(&[("patience", "2"), ("beam_size", "5")]).search.patience, 2.0);
    each_means(&[("length_penalty", "0.6")], |options| options.search.length_penalty = Some(0.6));
    each_means(&[("length_penalty", "none")], |_| {});
    each_means(&[("seed", "18446744073709551615")], |options| options.search.seed = u64::MAX);
    each_means(&[("compression_ratio_threshold", "3")], |options| {
        options.fallback.compression_ratio_threshold = Some(3.0);
    });
    each_means(
        &[("logprob_threshold", "-0.5"), ("log_prob_threshold", "-0.5"), ("logprob_thold", "-.5")],
        |options| options.fallback.logprob_threshold = Some(-0.5),
    );
    each_means(&[("no_speech_threshold", "1"), ("no_speech_thold", "1")], |options| {
        options.fallback.no_speech_threshold = Some(1.0);
    });
    for off in ["none", "None", "null", "off"] {
        let fallback = options(&[
            ("compression_ratio_threshold", off),
            ("logprob_threshold", off),
            ("no_speech_threshold", off),
        ])
        .fallback;
        assert_eq!(fallback.compression_ratio_threshold, None);
        assert_eq!((fallback.logprob_threshold, fallback.no_speech_threshold), (None, None));
    }
}

#[test]
fn tokens_and_times() {
    each_means(
        &[
            ("word_timestamps", "true"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities", "segment,word"),
            ("timestamp_granularities", r#"["word"]"#),
        ],
        |options| options.words = true,
    );
    each_means(&[("timestamp_granularities[]", "segment"), ("word_timestamps", "off")], |_| {});
    assert!(
        options(&[("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")]).words
    );
    for (fields, suppress) in [
        (&[("suppress_tokens", "-1")][..], &[-1i64][..]),
        (&[("suppress_tokens", "-1,50364")], &[-1, 50364]),
        (&[("suppress_tokens", "[7, 8]")], &[7, 8]),
        (&[("suppress_tokens[]", "-1"), ("suppress_tokens[]", "7")], &[-1, 7]),
        (&[("suppress_tokens", "none")], &[]),
        (&[("suppress_tokens", "[]")], &[]),
    ] {
        assert_eq!(options(fields).tokens.suppress, suppress, "{fields:?}");
    }
    each_means(&[("suppress_blank", "false")], |options| options.tokens.suppress_blank = false);
    each_means(&[("without_timestamps", "1")], |options| options.tokens.without_timestamps = true);
    each_means(&[("max_initial_timestamp", "0.5")], |options| {
        options.tokens.max_initial_timestamp = Some(millis(500));
    });
}

#[test]
fn long_audio_goes_at_once_or_one_window_after_the_other() {
    let sequential = |condition_on_previous_text, prompt_reset_on_temperature| LongForm::Sequential {
        condition_on_previous_text,
        prompt_reset_on_temperature,
    };
    each_means(&[("condition_on_previous_text", "true"), ("long_form", "Sequential")], |options| {
        options.long_form = sequential(true, 0.5);
    });
    each_means(&[("long_form", "independent"), ("condition_on_previous_text", "no")], |_| {});
    for (fields, long_form) in [
        ([("long_form", "sequential"), ("condition_on_previous_text", "false")], sequential(false, 0.5)),
        ([("long_form", "sequential"), ("prompt_reset_on_temperature", "0.2")], sequential(true, 0.2)),
    ] {
        assert_eq!(options(&fields).long_form, long_form, "{fields:?}");
    }
    each_means(
        &[("chunk_length", "20"), ("max_window_seconds", "20.0"), ("vad_max_speech_duration_s", "20")],
        |options| options.long_form = LongForm::Independent { longest: millis(20_000) },
    );
}

#[test]
fn speech_and_channels() {
    each_means(&[("vad", "false"), ("vad_filter", "0")], |options| options.speech.detect = false);
    each_means(
        &[
            ("vad_threshold", "0.25"),
            ("vad_parameters", r#"{"threshold": 0.25, "speech_pad_ms": null, "max_speech_duration_s": ""}"#),
            ("vad_parameters[threshold]", "0.25"),
            ("chunking_strategy[threshold]", "0.25"),
            ("chunking_strategy", r#"{"type": "server_vad", "threshold": 0.25}"#),
        ],
        |options| options.speech.threshold = 0.25,
    );
    each_means(
        &[
            ("min_silence_ms", "200"),
            ("vad_min_silence_ms", "200"),
            ("min_silence_duration_ms", "200.0"),
            ("vad_min_silence_duration_ms", "200"),
            ("vad_parameters", r#"{"min_silence_duration_ms": 200}"#),
            ("chunking_strategy[silence_duration_ms]", "200"),
        ],
        |options| options.speech.min_silence = millis(200),
    );
    each_means(
        &[
            ("min_speech_ms", "0"),
            ("vad_min_speech_ms", "0"),
            ("min_speech_duration_ms", "0"),
            ("vad_min_speech_duration_ms", "0"),
            ("vad_parameters", r#"{"min_speech_duration_ms": "0"}"#),
        ],
        |options| options.speech.shortest = Duration::ZERO,
    );
    each_means(
        &[
            ("speech_pad_ms", "30000"),
            ("vad_speech_pad_ms", "30000"),
            ("vad_parameters", r#"{"speech_pad_ms": 30000}"#),
            ("chunking_strategy", r#"{"type": "server_vad", "prefix_padding_ms": 30000}"#),
        ],
        |options| options.speech.padding = millis(30_000),
    );
    each_means(&[("keep_steady", "true"), ("vad_keep_steady", "1")], |options| {
        options.speech.keep_steady = true;
    });
    each_means(&[("vad_parameters", r#"{"max_speech_duration_s": 15}"#)], |options| {
        options.long_form = LongForm::Independent { longest: millis(15_000) };
    });
    each_means(
        &[
            ("chunking_strategy", "auto"),
            ("chunking_strategy", "\"auto\""),
            ("chunking_strategy", "null"),
            ("chunking_strategy", "server_vad"),
            ("chunking_strategy[type]", "server_vad"),
            ("vad_parameters", "null"),
            ("vad", "on"),
            ("channels", "mix"),
            ("multichannel", "false"),
        ],
        |_| {},
    );
    each_means(&[("channels", "Split"), ("channel_split", "true"), ("multichannel", "1")], |options| {
        options.channels = Channels::Split;
    });
}
