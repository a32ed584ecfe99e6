//! `GET /v1/models`: the loaded model under each name that it answers to, in OpenAI's shape.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiError;
use super::extract::Path;

#[derive(Serialize, ToSchema)]
pub struct Model {
    id: String,
    object: &'static str,
    /// Unix time: when it was loaded.
    created: u64,
    owned_by: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct Models {
    object: &'static str,
    data: Vec<Model>,
}

/// A client that reads the list to choose from it finds the loaded model first.
pub async fn list(State(app): State<App>) -> Json<Models> {
    Json(Models { object: "list", data: names(&app).map(|name| model(&app, name)).collect() })
}

/// A hub id has a slash in it.
pub async fn one(State(app): State<App>, Path(asked): Path<String>) -> Result<Json<Model>, ApiError> {
    check(&app, &asked)?;
    Ok(Json(model(&app, &asked)))
}

/// One model is loaded, and its aliases mean it too. A hub id may be given without its owner.
pub fn check(app: &App, asked: &str) -> Result<(), ApiError> {
    let loaded = &app.transcriber.model().name;
    let is_meant = names(app).any(|name| name == asked)
        || loaded.rsplit_once('/').is_some_and(|(_, short)| short == asked);
    match is_meant {
        true => Ok(()),
        false => Err(ApiError::UnknownModel { asked: asked.to_owned(), loaded: loaded.clone() }),
    }
}

fn names(app: &App) -> impl Iterator<Item = &str> {
    let aliases = app.settings.model_aliases.iter().map(String::as_str);
    std::iter::once(app.transcriber.model().name.as_str()).chain(aliases)
}

fn model(app: &App, name: &str) -> Model {
    Model { id: name.to_owned(), object: "model", created: app.loaded_at, owned_by: "verbatim" }
}
