//! A path or a query in, the handler's own type out; what does not fit is refused in OpenAI's shape, which axum's own extractors do not know.

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let refused =
            |rejection: QueryRejection| ApiError::BadRequest { param: None, message: rejection.body_text() };
        query.map(|axum::extract::Query(value)| Query(value)).map_err(refused)
    }
}

/// A path of which a part is no such thing as it should be (no number, no UTF-8) names nothing.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Path(value))
            .map_err(|_| ApiError::NotFound(parts.uri.path().to_owned()))
    }
}
