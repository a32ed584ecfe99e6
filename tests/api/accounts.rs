//! What an answer says of itself: text that was withheld, windows that were decoded again, limits of the loaded model.

use serde_json::Value;

use crate::fake_model::Behaviour;
use crate::server::start;

#[tokio::test]
async fn a_prompt_that_comes_back_as_text_is_withheld_and_listed() {
    let server = start(Behaviour::default()).await;
    // The fake says its prompt, and without one "hello there": what a real model does over noise.
    let prompt = "take two tablets before breakfast";
    let response = server.transcribe(&[("prompt", prompt)]).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["text"], "hello there");
    let dropped = &answer["dropped"][0];
    assert_eq!((&dropped["reason"], &dropped["text"]), (&"prompt_echo".into(), &prompt.into()));
    assert_eq!(answer["fallbacks"][0]["reasons"], serde_json::json!(["prompt_echo"]));
    assert_eq!(answer["segments"][0]["risk"], serde_json::json!([]));
}

#[tokio::test]
async fn more_beams_than_the_model_has_rows_name_the_setting() {
    let server = start(Behaviour { slots: 2, ..Behaviour::default() }).await;
    let response = server.transcribe(&[("beam_size", "5")]).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["param"], "beam_size");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("model.lanes"), "{message}");
}

#[tokio::test]
async fn a_token_that_the_model_has_not_is_refused() {
    let server = start(Behaviour::default()).await;
    let response = server.transcribe(&[("suppress_tokens", "-1,999999")]).send().await.unwrap();
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["param"], "suppress_tokens");
    assert!(error["error"]["message"].as_str().unwrap().contains("999999"), "{error}");
}

#[tokio::test]
async fn keywords_beyond_the_prompt_s_room_are_named_in_a_warning() {
    let server = start(Behaviour::default()).await;
    let keywords: Vec<String> = (0..200).map(|number| format!("Metformin{number}")).collect();
    let request = server.transcribe(&[("keywords", &keywords.join(","))]);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("of 200 keywords") && warning.contains("Metformin199"), "{warning}");
    assert!(!warning.contains("Metformin0,"), "{warning}");
}

#[tokio::test]
async fn silence_is_an_answer_and_says_so() {
    let server = start(Behaviour { says: "", ..Behaviour::default() }).await;
    let answer: Value = server.transcribe(&[("vad", "false")]).send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["text"], &answer["no_speech"]), (&"".into(), &true.into()));
}
