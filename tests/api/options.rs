//! What a request may ask for, as clients really write it: repeated fields, brackets, lists, objects, the query.

use reqwest::multipart::Form;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::fake_model::Behaviour;
use crate::server::{file, start, wav};

async fn accepted(request: RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(status, 200, "{}", response.text().await.unwrap());
    assert!(!headers.contains_key("x-verbatim-ignored"), "{headers:?}");
    response
}

/// The error's `param`, `code` and sentence.
async fn refused(request: RequestBuilder) -> (Value, Value, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert_eq!(error["type"], "invalid_request_error");
    (error["param"].clone(), error["code"].clone(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_field_may_say_what_holds_anyway() {
    let server = start(Behaviour::default()).await;
    let fields = [
        ("language", "auto"),
        ("languages[]", ""),
        ("language_detection_segments", "4"),
        ("language_detection_threshold", "0.5"),
        ("multilingual", "false"),
        ("task", "transcribe"),
        ("translate", "no"),
        ("prefix", ""),
        ("hotwords", ""),
        ("temperature", "0"),
        ("temperature_inc", "0.2"),
        ("best_of", "1"),
        ("beam_size", "1"),
        ("patience", "1"),
        ("length_penalty", "none"),
        ("seed", "0"),
        ("compression_ratio_threshold", "2.4"),
        ("log_prob_threshold", "-1.0"),
        ("no_speech_threshold", "0.6"),
        ("condition_on_previous_text", "false"),
        ("prompt_reset_on_temperature", "0.5"),
        ("chunk_length", "30"),
        ("suppress_tokens", "-1"),
        ("suppress_blank", "true"),
        ("without_timestamps", "0"),
        ("word_timestamps", "off"),
        ("timestamp_granularities[]", "segment"),
        ("vad_filter", "true"),
        ("vad_threshold", "0.5"),
        ("min_silence_ms", "1000"),
        ("vad_parameters", r#"{"speech_pad_ms": 400}"#),
        ("chunking_strategy", "auto"),
        ("channels", "mix"),
        ("stream", "false"),
        ("include[]", ""),
        ("response_format", "text"),
    ];
    let response = accepted(server.transcribe(&fields)).await;
    assert_eq!(response.text().await.unwrap(), "hello there\n");
}

#[tokio::test]
async fn lists_come_as_openai_s_clients_write_them_by_hand_and_as_json() {
    let server = start(Behaviour::default()).await;
    for fields in [
        &[("languages[]", "en"), ("languages[]", "es")][..],
        &[("languages", "en"), ("languages", "es")],
        &[("languages", "english,es-MX")],
        &[("languages", r#"["en", "es"]"#)],
    ] {
        accepted(server.transcribe(fields)).await;
        let with_another: Vec<_> = fields.iter().copied().chain([("language", "fr")]).collect();
        let (param, _, message) = refused(server.transcribe(&with_another)).await;
        assert!(param == "language" && message.contains("en, es"), "{message}");
    }
    accepted(server.transcribe(&[("timestamp_granularities[]", "word")])).await;
}

#[tokio::test]
async fn objects_come_in_brackets_or_as_json() {
    let server = start(Behaviour::default()).await;
    accepted(server.transcribe(&[
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.4"),
        ("chunking_strategy[prefix_padding_ms]", "300"),
    ]))
    .await;
    for object in [
        ("chunking_strategy[threshold]", "4"),
        ("chunking_strategy", r#"{"type": "server_vad", "threshold": 4}"#),
    ] {
        let (param, code, message) = refused(server.transcribe(&[object])).await;
        assert_eq!((param, code), ("chunking_strategy".into(), Value::Null));
        assert!(message.contains("'chunking_strategy[threshold]' cannot be '4'"), "{message}");
    }
}

#[tokio::test]
async fn five_hundred_keywords_are_five_hundred_parts_and_one_more_is_too_many() {
    let server = start(Behaviour::default()).await;
    let form = |count: usize| {
        let words = (0..count).map(|number| format!("word{number}"));
        let form = words.fold(Form::new(), |form, word| form.text("keywords[]", word));
        server.post("/transcribe").multipart(form.part("file", file(wav(1))))
    };
    accepted(form(500)).await;
    let (param, _, message) = refused(form(501)).await;
    assert!(param == "keywords" && message.contains("'word500': give at most 500"), "{message}");
}

#[tokio::test]
async fn the_query_has_the_same_fields() {
    let server = start(Behaviour::default()).await;
    let raw = |query: &str| server.post(&format!("/transcribe?{query}")).body(wav(1));
    accepted(raw("languages%5B%5D=en&languages%5B%5D=es&response_format=text")).await;
    let (param, _, message) = refused(raw("beam_size=40")).await;
    assert_eq!(param, "beam_size");
    assert!(message.contains("'40'") && message.contains("from 0 to 16"), "{message}");
    assert!(message.contains("model.lanes"), "{message}");
}

#[tokio::test]
async fn what_is_not_built_yet_is_refused_as_such() {
    let server = start(Behaviour::default()).await;
    for field in [("diarize", "true"), ("known_speaker_names[]", "Ann"), ("response_format", "diarized_json")]
    {
        let (param, code, _) = refused(server.transcribe(&[field])).await;
        assert_eq!((param, code), (field.0.into(), "not_offered".into()));
    }
}

#[tokio::test]
async fn entries_of_an_object_that_mean_nothing_are_named_like_fields() {
    let server = start(Behaviour::default()).await;
    let fields = [("vad_parameters", r#"{"neg_threshold": 0.3, "threshold": 0.5}"#), ("colour", "red")];
    let response = server.transcribe(&fields).send().await.unwrap();
    assert_eq!(response.headers()["x-verbatim-ignored"], "vad_parameters[neg_threshold], colour");
}
