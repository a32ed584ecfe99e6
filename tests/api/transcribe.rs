//! `POST /transcribe` where all goes well.

use futures::future::join_all;
use reqwest::multipart::Form;
use serde_json::Value;

use crate::fake_model::Behaviour;
use crate::server::{file, start, wav};

async fn json(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_file_becomes_its_text_with_times_and_a_receipt() {
    let server = start(Behaviour::default()).await;
    let mut answer = json(server.transcribe(&[])).await;
    // What a clock decides is checked for being there, and then taken out.
    for time in answer["timing"].as_object_mut().unwrap().values_mut() {
        assert!(time.as_f64().unwrap() >= 0.0);
        *time = Value::Null;
    }
    assert!(answer["rtf"].take().as_f64().unwrap() > 0.0);
    assert!(answer["language_probability"].take().as_f64().unwrap() > 0.9);
    assert!(answer["languages"][0]["probability"].take().as_f64().unwrap() > 0.9);
    for segment in answer["segments"].as_array_mut().unwrap() {
        assert!(!segment["tokens"].as_array().unwrap().is_empty());
        for name in ["tokens", "avg_logprob", "compression_ratio"] {
            assert!(!segment[name].take().is_null(), "{name}");
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r#"
    {
      "batch_size_seen": 1,
      "device": "cpu",
      "dropped": [],
      "dtype": "f32",
      "duration": 1.0,
      "fallbacks": [],
      "incomplete": null,
      "language": "english",
      "language_code": "en",
      "language_probability": null,
      "languages": [
        {
          "code": "en",
          "name": "english",
          "probability": null
        }
      ],
      "model": "fake",
      "no_speech": false,
      "rtf": null,
      "segments": [
        {
          "avg_logprob": null,
          "compression_ratio": null,
          "end": 1.0,
          "id": 0,
          "language": "en",
          "no_speech_prob": 0.01,
          "risk": [],
          "seek": 0,
          "start": 0.0,
          "temperature": 0.0,
          "text": " hello there",
          "tokens": null
        }
      ],
      "task": "transcribe",
      "text": "hello there",
      "timing": {
        "align_ms": null,
        "decode_ms": null,
        "encode_ms": null,
        "generate_ms": null,
        "mel_ms": null,
        "queue_ms": null,
        "total_ms": null,
        "vad_ms": null
      },
      "usage": {
        "seconds": 1,
        "type": "duration"
      },
      "warnings": [],
      "windows": 1,
      "windows_at": [
        {
          "end": 1.0,
          "start": 0.0
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn every_format_has_its_body_and_content_type() {
    let server = start(Behaviour::default()).await;
    for (format, content_type, body) in [
        (
            "json",
            "application/json",
            "{\"text\":\"hello there\",\"usage\":{\"type\":\"duration\",\"seconds\":1}}\n",
        ),
        ("text", "text/plain; charset=utf-8", "hello there\n"),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> 00:00:01,000\nhello there\n\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nhello there\n\n"),
        ("tsv", "text/tab-separated-values; charset=utf-8", "start\tend\ttext\n0\t1000\thello there\n"),
    ] {
        let response = server.transcribe(&[("response_format", format)]).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], content_type, "{format}");
        assert_eq!(response.text().await.unwrap(), body, "{format}");
    }
}

#[tokio::test]
async fn granularities_decide_which_lists_there_are_and_subtitles_are_cut_as_asked() {
    let server = start(Behaviour::default()).await;
    let both = [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")];
    let both = json(server.transcribe(&both)).await;
    let words: Vec<&str> =
        both["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["hello", "there"]);
    assert_eq!(both["segments"][0]["words"], both["words"]);
    let alone = json(server.transcribe(&[("timestamp_granularities[]", "word")])).await;
    assert_eq!((&alone["words"], alone.get("segments")), (&both["words"], None));
    let plain = json(server.transcribe(&[])).await;
    assert!(plain.get("words").is_none() && plain["segments"][0].get("words").is_none());

    let cut = [("format", "tsv"), ("max_words_per_line", "1")];
    let tsv = server.transcribe(&cut).send().await.unwrap().text().await.unwrap();
    let rows: Vec<&str> = tsv.lines().skip(1).map(|row| row.rsplit('\t').next().unwrap()).collect();
    assert_eq!(rows, ["hello", "there"]);
}

#[tokio::test]
async fn the_audio_may_be_the_body_whatever_it_is_called() {
    let server = start(Behaviour::default()).await;
    for content_type in
        ["audio/wav", "application/octet-stream", "application/x-www-form-urlencoded", "video/mp4"]
    {
        let request = server.post("/transcribe?response_format=text").header("content-type", content_type);
        let response = request.body(wav(1)).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello there\n", "{content_type}");
    }
    let without = server.post("/transcribe?output=text").body(wav(1)).send().await.unwrap();
    assert_eq!(without.text().await.unwrap(), "hello there\n");
}

#[tokio::test]
async fn fields_count_before_and_after_the_file_and_more_than_the_query() {
    let server = start(Behaviour::default()).await;
    let form =
        Form::new().text("response_format", "srt").part("audio_file", file(wav(1))).text("format", "text");
    let request = server.post("/transcribe?response_format=vtt&prompt=from+the+query").multipart(form);
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "from the query\n");
}

#[tokio::test]
async fn the_language_is_detected_or_taken_from_the_request() {
    let server = start(Behaviour::default()).await;
    let detected = json(server.transcribe(&[("language", "")])).await;
    assert_eq!(detected["language"], "english");
    assert!(detected["language_probability"].is_number());
    let named = json(server.transcribe(&[("language", "es-MX"), ("task", "translate")])).await;
    assert_eq!((&named["language"], &named["language_code"]), (&"spanish".into(), &"es".into()));
    assert_eq!((&named["language_probability"], &named["task"]), (&Value::Null, &"translate".into()));
}

#[tokio::test]
async fn a_long_file_is_heard_to_its_end() {
    let server = start(Behaviour::default()).await;
    let form = Form::new().part("file", file(wav(70)));
    let answer = json(server.post("/transcribe").multipart(form)).await;
    assert_eq!(answer["duration"], 70.0);
    let windows = answer["windows"].as_u64().unwrap();
    assert!(windows >= 3, "{windows}");
    let segments = answer["segments"].as_array().unwrap();
    assert_eq!(segments.len() as u64, windows);
    // One segment a window here, so each window's first frame is a new one, and no segment begins before its window.
    let seeks: Vec<u64> = segments.iter().map(|segment| segment["seek"].as_u64().unwrap()).collect();
    assert!(seeks[0] == 0 && seeks.is_sorted_by(|a, b| a < b), "{seeks:?}");
    for (segment, seek) in segments.iter().zip(&seeks) {
        assert!(*seek as f64 / 100.0 <= segment["start"].as_f64().unwrap() + 0.01, "{segment}");
    }
}

#[tokio::test]
async fn everyone_in_a_crowd_gets_their_own_answer() {
    let server = start(Behaviour::default()).await;
    let prompts: Vec<String> = (0..24).map(|number| format!("patient number {number}")).collect();
    let answers = join_all(prompts.iter().map(|prompt| {
        let request = server.transcribe(&[("prompt", prompt), ("response_format", "text")]);
        async { request.send().await.unwrap().text().await.unwrap() }
    }));
    let answers = answers.await;
    let wanted: Vec<String> = prompts.iter().map(|prompt| format!("{prompt}\n")).collect();
    assert_eq!(answers, wanted);
}

#[tokio::test]
async fn headers_tell_the_stages_the_request_and_what_was_ignored() {
    let server = start(Behaviour::default()).await;
    let request = server.transcribe(&[("colour", "red"), ("user", "x"), ("language", "en")]);
    let response = request.header("x-request-id", "visit-7").send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "visit-7");
    assert_eq!(response.headers()["x-verbatim-ignored"], "colour, user");
    let timing = response.headers()["server-timing"].to_str().unwrap();
    let stages: Vec<&str> = timing.split(", ").map(|stage| stage.split_once(";dur=").unwrap().0).collect();
    assert_eq!(stages, ["decode", "vad", "mel", "queue", "encode", "generate", "align", "total"]);
}

#[tokio::test]
async fn a_request_without_a_fit_id_gets_one() {
    let server = start(Behaviour::default()).await;
    let made = server.get("/livez").send().await.unwrap();
    assert!(!made.headers()["x-request-id"].is_empty());
    let long = "x".repeat(200);
    let replaced = server.get("/livez").header("x-request-id", &long).send().await.unwrap();
    assert_ne!(replaced.headers()["x-request-id"], long.as_str());
}
