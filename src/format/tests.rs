//! Formats held to examples read by eye, and to properties of any transcript.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::samples::{self, ENGLISH, GERMAN, segment, spoken};
use super::{Format, Granularities, Layout, render};
use crate::transcript::{DropReason, Dropped, Incomplete, Retried, Risk, Segment, Span, Transcript};

/// Of one length, whatever is said in it.
fn transcript(segments: Vec<Segment>) -> Transcript {
    Transcript { duration: Duration::from_millis(8_470), ..samples::transcript(segments) }
}

fn body(transcript: &Transcript, format: Format) -> String {
    render(transcript, &Layout::new(format)).body
}

fn example() -> Transcript {
    transcript(vec![segment(0, 3_320, " The beach."), segment(3_320, 8_470, " A & B --> <c>.")])
}

#[test]
fn json_is_the_text_and_the_usage() {
    insta::assert_snapshot!(body(&example(), Format::Json), @r#"{"text":"The beach. A & B --> <c>.","usage":{"type":"duration","seconds":9}}"#);
}

#[test]
fn verbose_json_has_every_field_of_the_schema_and_our_receipt() {
    let mut transcript = transcript(vec![segment(0, 3_320, " The beach.")]);
    transcript.dropped.push(Dropped {
        start: Duration::from_secs(30),
        end: Duration::from_secs(60),
        channel: None,
        text: " Thanks for watching.".to_owned(),
        reason: DropReason::NoSpeech,
    });
    transcript.incomplete = Some(Incomplete {
        at: Duration::from_millis(8_470),
        expected: Some(Duration::from_secs(9)),
        reason: "the file ends early".to_owned(),
    });
    let value: Value = serde_json::from_str(&body(&transcript, Format::VerboseJson)).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap(), @r#"
    {
      "batch_size_seen": 1,
      "device": "cpu",
      "dropped": [
        {
          "end": 60.0,
          "reason": "no_speech",
          "start": 30.0,
          "text": " Thanks for watching."
        }
      ],
      "dtype": "f32",
      "duration": 8.47,
      "fallbacks": [],
      "incomplete": {
        "at": 8.47,
        "expected": 9.0,
        "reason": "the file ends early"
      },
      "language": "english",
      "language_code": "en",
      "language_probability": 0.98,
      "languages": [],
      "model": "demo",
      "no_speech": false,
      "rtf": 0.1,
      "segments": [
        {
          "avg_logprob": -0.25,
          "compression_ratio": 1.5,
          "end": 3.32,
          "id": 0,
          "no_speech_prob": 0.01,
          "risk": [],
          "seek": 0,
          "start": 0.0,
          "temperature": 0.2,
          "text": " The beach.",
          "tokens": [
            50364,
            440,
            50530
          ]
        }
      ],
      "task": "transcribe",
      "text": "The beach.",
      "timing": {
        "align_ms": 0.0,
        "decode_ms": 1.234,
        "encode_ms": 0.0,
        "generate_ms": 0.0,
        "mel_ms": 0.0,
        "queue_ms": 0.0,
        "total_ms": 847.0,
        "vad_ms": 0.0
      },
      "usage": {
        "seconds": 9,
        "type": "duration"
      },
      "warnings": [],
      "windows": 1,
      "windows_at": [
        {
          "end": 0.0,
          "start": 0.0
        }
      ]
    }
    "#);
}

/// Everything that is only there when it is asked for or has happened.
fn eventful() -> Transcript {
    let span = Span { start: Duration::ZERO, end: Duration::from_millis(3_320) };
    let said = Segment {
        channel: Some(1),
        language: Some(GERMAN),
        risk: vec![Risk::Silence, Risk::LanguageSwitch],
        ..spoken(0, "The beach.")
    };
    Transcript {
        languages: vec![(ENGLISH, 0.75), (GERMAN, 0.2), (ENGLISH, 0.001)],
        fallbacks: vec![Retried { span, channel: Some(1), temperature: 0.5, reasons: vec![Risk::Loop] }],
        windows: vec![span],
        warnings: vec!["beams were too many".to_owned()],
        ..transcript(vec![said])
    }
}

fn verbose(transcript: &Transcript, granularities: Granularities) -> Value {
    let layout = Layout { granularities: Some(granularities), ..Layout::new(Format::VerboseJson) };
    serde_json::from_str(&render(transcript, &layout).body).unwrap()
}

#[test]
fn what_happened_is_told_where_it_happened() {
    let mut value = verbose(&eventful(), Granularities { segments: true, words: true });
    for known in ["timing", "usage", "duration", "text", "task", "model", "device", "dtype", "rtf"] {
        value.as_object_mut().unwrap().remove(known);
    }
    insta::assert_snapshot!(serde_json::to_string(&value).unwrap(), @r#"{"batch_size_seen":1,"dropped":[],"fallbacks":[{"channel":1,"end":3.32,"reasons":["loop"],"start":0.0,"temperature":0.5}],"incomplete":null,"language":"english","language_code":"en","language_probability":0.98,"languages":[{"code":"en","name":"english","probability":0.75},{"code":"de","name":"german","probability":0.2}],"no_speech":false,"segments":[{"avg_logprob":-0.25,"channel":1,"compression_ratio":1.5,"end":0.62,"id":0,"language":"de","no_speech_prob":0.01,"risk":["silence","language_switch"],"seek":0,"speaker":"B","start":0.0,"temperature":0.2,"text":" The beach.","tokens":[50364,440,50530],"words":[{"end":0.24,"probability":0.9,"start":0.0,"word":"The"},{"end":0.62,"probability":0.9,"start":0.26,"word":"beach."}]}],"warnings":["beams were too many"],"windows":1,"windows_at":[{"end":3.32,"start":0.0}],"words":[{"end":0.24,"probability":0.9,"speaker":"B","start":0.0,"word":"The"},{"end":0.62,"probability":0.9,"speaker":"B","start":0.26,"word":"beach."}]}"#);
}

#[test]
fn granularities_decide_which_lists_there_are() {
    let both = verbose(&eventful(), Granularities { segments: true, words: true });
    let words = verbose(&eventful(), Granularities { segments: false, words: true });
    let segments = verbose(&eventful(), Granularities { segments: true, words: false });
    assert!(both["segments"][0]["words"].is_array() && both["words"].is_array());
    assert!(words.get("segments").is_none() && words["words"].is_array());
    assert!(segments.get("words").is_none() && segments["segments"][0].get("words").is_none());
}

#[test]
fn the_short_form_says_what_went_wrong_and_nothing_else() {
    let mut silence = transcript(Vec::new());
    silence.warnings.push("no beams".to_owned());
    insta::assert_snapshot!(body(&silence, Format::Json), @r#"{"text":"","usage":{"type":"duration","seconds":9},"no_speech":true,"warnings":["no beams"]}"#);
}

#[test]
fn srt_counts_from_one_and_uses_commas() {
    insta::assert_snapshot!(body(&example(), Format::Srt), @r#"
    1
    00:00:00,000 --> 00:00:03,320
    The beach.

    2
    00:00:03,320 --> 00:00:08,470
    A & B -> <c>.
    "#);
}

#[test]
fn vtt_escapes_markup_and_uses_points() {
    insta::assert_snapshot!(body(&example(), Format::Vtt), @r#"
    WEBVTT

    00:00:00.000 --> 00:00:03.320
    The beach.

    00:00:03.320 --> 00:00:08.470
    A &amp; B --&gt; &lt;c&gt;.
    "#);
}

#[test]
fn tsv_has_a_header_and_milliseconds() {
    insta::assert_snapshot!(body(&example(), Format::Tsv), @r#"
    start	end	text
    0	3320	The beach.
    3320	8470	A & B --> <c>.
    "#);
}

#[test]
fn silence_still_gives_a_valid_file_in_every_format() {
    let silence = transcript(Vec::new());
    assert_eq!(body(&silence, Format::Vtt), "WEBVTT\n\n");
    assert_eq!(body(&silence, Format::Srt), "");
    assert_eq!(body(&silence, Format::Text), "\n");
    assert_eq!(body(&silence, Format::Tsv), "start\tend\ttext\n");
}

#[test]
fn times_round_to_the_nearest_millisecond_and_carry() {
    let mut late = segment(0, 0, "a");
    late.start = Duration::from_micros(3_599_999_500);
    late.end = Duration::from_secs(360_000);
    let srt = body(&transcript(vec![late]), Format::Srt);
    assert!(srt.contains("01:00:00,000 --> 100:00:00,000"), "{srt}");
}

#[test]
fn names_are_found_in_any_case_and_unknown_ones_list_the_choice() {
    for format in Format::ALL {
        assert_eq!(format.name().to_uppercase().parse(), Ok(format));
    }
    assert_eq!("txt".parse(), Ok(Format::Text));
    let error = "docx".parse::<Format>().unwrap_err().to_string();
    assert!(error.contains("docx") && error.contains("verbose_json"), "{error}");
}

fn any_transcript() -> impl Strategy<Value = Transcript> {
    let piece = (0..7_200_000_000u64, 0..30_000_000u64, ".{0,24}");
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut at = Duration::ZERO;
        let segments = pieces.into_iter().map(|(gap, length, text)| {
            let start = at + Duration::from_micros(gap);
            at = start + Duration::from_micros(length);
            Segment { start, end: at, ..segment(0, 0, &text) }
        });
        samples::transcript(segments.collect())
    })
}

/// `HH:MM:SS,mmm` back to milliseconds.
fn parse_clock(text: &str) -> u64 {
    let (clock, millis) = text.split_once(',').unwrap();
    let fields = clock.split(':').map(|field| field.parse::<u64>().unwrap());
    fields.fold(0, |sum, field| sum * 60 + field) * 1000 + millis.parse::<u64>().unwrap()
}

proptest! {
    #[test]
    fn json_keeps_every_segment_within_the_audio(transcript in any_transcript()) {
        let value: Value = serde_json::from_str(&body(&transcript, Format::VerboseJson)).unwrap();
        let duration = value["duration"].as_f64().unwrap();
        let segments = value["segments"].as_array().unwrap();
        prop_assert_eq!(segments.len(), transcript.segments.len());
        for (given, wanted) in segments.iter().zip(&transcript.segments) {
            let (start, end) = (given["start"].as_f64().unwrap(), given["end"].as_f64().unwrap());
            prop_assert!(start <= end && end <= duration);
            prop_assert!((start - wanted.start.as_secs_f64()).abs() < 0.000_501);
            prop_assert_eq!(given["text"].as_str().unwrap(), &wanted.text);
            // No float drift: at most three decimals are ever printed.
            let printed = given["start"].to_string();
            prop_assert!(printed.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 3), "{}", printed);
        }
    }

    #[test]
    fn srt_is_blocks_of_number_times_and_one_line(transcript in any_transcript()) {
        let srt = body(&transcript, Format::Srt);
        let spoken = transcript.segments.iter().filter(|segment| !segment.text.trim().is_empty()).count();
        let blocks: Vec<&str> = srt.split("\n\n").filter(|block| !block.is_empty()).collect();
        prop_assert_eq!(blocks.len(), spoken);
        let mut last = 0;
        for (index, block) in blocks.into_iter().enumerate() {
            let lines: Vec<&str> = block.split('\n').collect();
            prop_assert_eq!(lines.len(), 3);
            prop_assert_eq!(lines[0], (index + 1).to_string());
            let (start, end) = lines[1].split_once(" --> ").unwrap();
            prop_assert!(last <= parse_clock(start) && parse_clock(start) < parse_clock(end));
            prop_assert!(!lines[2].contains("-->"));
            last = parse_clock(start);
        }
    }

    #[test]
    fn vtt_text_holds_no_markup(transcript in any_transcript()) {
        let vtt = body(&transcript, Format::Vtt);
        prop_assert!(vtt.starts_with("WEBVTT\n\n"));
        let text = vtt.lines().skip(1).filter(|line| !line.contains(" --> "));
        prop_assert!(text.into_iter().all(|line| !line.contains(['<', '>'])));
    }

    #[test]
    fn tsv_has_three_columns_in_every_row(transcript in any_transcript()) {
        let tsv = body(&transcript, Format::Tsv);
        for row in tsv.trim_end_matches('\n').split('\n') {
            prop_assert_eq!(row.split('\t').count(), 3, "{:?}", row);
        }
    }
}
