//! OpenAI's routes and those of whisper-asr-webservice: the shapes that existing clients read.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::fake_model::Behaviour;
use crate::server::{Server, file, start, start_with, wav};

/// A form with some seconds of speech as its file.
fn form(seconds: u32, fields: &[(&'static str, &str)]) -> Form {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, (*value).to_owned()));
    form.part("file", file(wav(seconds)))
}

async fn text(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

async fn asked(server: &Server, path: &str, fields: &[(&'static str, &str)]) -> Value {
    let (status, kind, body) = text(server.post(path).multipart(form(1, fields))).await;
    assert_eq!((status, kind.as_str()), (200, "application/json"), "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The data of each event, in order.
fn events(body: &str) -> Vec<Value> {
    let data = body.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

#[tokio::test]
async fn without_a_format_a_transcription_is_openai_s_short_json() {
    let server = start(Behaviour::default()).await;
    let answer = asked(&server, TRANSCRIPTIONS, &[("model", "whisper-1")]).await;
    assert_eq!(answer, json!({ "text": "hello there", "usage": { "type": "duration", "seconds": 1 } }));
}

#[tokio::test]
async fn log_probabilities_stand_beside_the_text_they_make_up() {
    let server = start(Behaviour::default()).await;
    let answer = asked(&server, TRANSCRIPTIONS, &[("include[]", "logprobs")]).await;
    let tokens = answer["logprobs"].as_array().unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap())
        .map(|byte| byte.as_u64().unwrap() as u8)
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap().trim(), "hello there");
    assert!(
        tokens.iter().all(|token| token["logprob"].as_f64().unwrap() <= 0.0 && token["token"].is_string())
    );
    let (status, _, body) = text(
        server
            .post(TRANSCRIPTIONS)
            .multipart(form(1, &[("include[]", "logprobs"), ("response_format", "text")])),
    )
    .await;
    assert!(status == 400 && body.contains("response_format=json"), "{body}");
}

#[tokio::test]
async fn a_translation_is_english_and_nothing_else() {
    let server = start(Behaviour::default()).await;
    let fields = [("response_format", "verbose_json"), ("language", "es"), ("task", "transcribe")];
    let answer = asked(&server, "/v1/audio/translations", &fields).await;
    assert_eq!((&answer["task"], &answer["language"]), (&"translate".into(), &"english".into()));
    assert_eq!(answer["language_code"], "es");
}

#[tokio::test]
async fn the_loaded_model_answers_to_its_aliases_and_is_listed_under_them() {
    let change =
        |settings: &mut verbatim::http::Settings| settings.model_aliases.push("gpt-4o-transcribe".into());
    let server = start_with(Behaviour::default(), change).await;
    let list: Value = server.get("/v1/models").send().await.unwrap().json().await.unwrap();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(
        (list["object"].as_str().unwrap(), ids),
        ("list", vec!["fake", "whisper-1", "gpt-4o-transcribe"])
    );
    for id in ["fake", "whisper-1"] {
        let one: Value = server.get(&format!("/v1/models/{id}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (&one["id"], &one["object"], &one["owned_by"]),
            (&id.into(), &"model".into(), &"verbatim".into())
        );
        assert!(one["created"].as_u64().unwrap() > 1_700_000_000);
    }
    asked(&server, TRANSCRIPTIONS, &[("model", "gpt-4o-transcribe")]).await;
    for (path, model) in [("/v1/models/openai/whisper-9", None), (TRANSCRIPTIONS, Some("whisper-9"))] {
        let request = match model {
            Some(model) => server.post(path).multipart(form(1, &[("model", model)])),
            None => server.get(path),
        };
        let (status, _, body) = text(request).await;
        assert!(status == 404 && body.contains("model_not_found"), "{body}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_whole_text_and_its_deltas_make_it_up() {
    let server = start(Behaviour::default()).await;
    for seconds in [1, 100] {
        let request = server.post(TRANSCRIPTIONS).multipart(form(seconds, &[("stream", "true")]));
        let (status, kind, body) = text(request).await;
        assert_eq!((status, kind.as_str()), (200, "text/event-stream"), "{body}");
        let events = events(&body);
        let (done, deltas) = events.split_last().unwrap();
        assert!(deltas.iter().all(|event| event["type"] == "transcript.text.delta"));
        let joined: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
        assert_eq!((&done["type"], &done["text"]), (&"transcript.text.done".into(), &joined.as_str().into()));
        assert_eq!(done["usage"]["input_token_details"]["audio_tokens"], seconds * 50);
        let whole = server.post(TRANSCRIPTIONS).multipart(form(seconds, &[])).send().await.unwrap();
        assert_eq!(whole.json::<Value>().await.unwrap()["text"], joined.as_str());
        assert!(deltas.len() > usize::from(seconds > 30), "{} deltas", deltas.len());
    }
}

#[tokio::test]
async fn an_error_before_the_first_word_has_a_status_of_its_own() {
    let server = start(Behaviour::default()).await;
    let broken = Form::new().text("stream", "true").part("file", Part::bytes(b"not audio".to_vec()));
    let (status, _, body) = text(server.post(TRANSCRIPTIONS).multipart(broken)).await;
    assert!(status == 415 && body.contains("unsupported_audio"), "{status} {body}");
    let fields = [("stream", "true"), ("response_format", "srt")];
    let (status, _, body) = text(server.post(TRANSCRIPTIONS).multipart(form(1, &fields))).await;
    assert!(status == 400 && body.contains("'stream' goes with"), "{body}");
}

#[tokio::test]
async fn whoever_leaves_a_stream_frees_its_windows() {
    let gate = crate::fake_model::Gate::shut();
    let server = start(Behaviour { gate: gate.clone(), ..Behaviour::default() }).await;
    let request = server.post(TRANSCRIPTIONS).multipart(form(100, &[("stream", "true")])).send();
    let client = tokio::spawn(request);
    gate.reached(1).await;
    client.abort();
    gate.open();
    server
        .until("everything is free again", |info| info["requests_in_flight"] == 0 && info["slots_busy"] == 0)
        .await;
}

#[tokio::test]
async fn channels_are_the_speakers_of_a_diarized_transcript() {
    let server = start(Behaviour::default()).await;
    let fields = [("response_format", "diarized_json"), ("channels", "split"), ("diarize", "true")];
    let answer = asked(&server, TRANSCRIPTIONS, &fields).await;
    assert_eq!((&answer["task"], &answer["duration"]), (&"transcribe".into(), &1.0.into()));
    let segment = &answer["segments"][0];
    assert_eq!((&segment["type"], &segment["id"]), (&"transcript.text.segment".into(), &"seg_001".into()));
    assert_eq!((&segment["speaker"], &segment["text"]), (&"A".into(), &"hello there".into()));
    let streamed = [fields[0], fields[1], ("stream", "true")];
    let (_, _, body) = text(server.post(TRANSCRIPTIONS).multipart(form(1, &streamed))).await;
    let kinds: Vec<Value> = events(&body).into_iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["transcript.text.segment", "transcript.text.delta", "transcript.text.done"]);
}

#[tokio::test]
async fn bazarr_sends_bare_samples_and_reads_subtitles() {
    let server = start(Behaviour::default()).await;
    let part = |bytes: Vec<u8>| Form::new().part("audio_file", Part::bytes(bytes).file_name("audio.raw"));
    let query = "task=transcribe&language=en&output=srt&encode=false&vad_filter=true";
    for bytes in [wav(1)[44..].to_vec(), wav(1)] {
        let (status, kind, body) = text(server.post(&format!("/asr?{query}")).multipart(part(bytes))).await;
        assert_eq!((status, kind.as_str()), (200, "application/x-subrip; charset=utf-8"), "{body}");
        assert!(body.starts_with("1\n00:00:0") && body.contains("hello there"), "{body}");
    }
    let (_, kind, body) = text(server.post("/asr").multipart(part(wav(1)))).await;
    assert_eq!((kind.as_str(), body.as_str()), ("text/plain; charset=utf-8", "hello there\n"));
    let (_, _, body) = text(server.post("/asr?output=json&language=en").multipart(part(wav(1)))).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["language"], &answer["segments"][0]["id"]), (&"en".into(), &0.into()));
}

#[tokio::test]
async fn a_language_is_detected_without_a_transcript() {
    let server = start(Behaviour::default()).await;
    for (query, bytes) in [("", wav(100)), ("?encode=false", wav(2)[44..].to_vec())] {
        let part = Part::bytes(bytes).file_name("audio");
        let request = server.post(&format!("/detect-language{query}"));
        let answer: Value = request
            .multipart(Form::new().part("audio_file", part))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(
            (&answer["detected_language"], &answer["language_code"]),
            (&"english".into(), &"en".into())
        );
        assert!(answer["confidence"].as_f64().unwrap() > 0.5, "{answer}");
    }
}
