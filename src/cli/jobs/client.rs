//! A server's address in; its answers out, and its errors as the sentences that it says them in.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, RequestBuilder, SendBody};

pub struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

/// A request that got no answer, or was told to come again.
pub enum Refused {
    Again { after: Option<Duration>, why: String },
    No(String),
}

impl Client {
    pub fn new(base: &str, key: Option<&str>) -> Client {
        let config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .http_status_as_error(false);
        Client {
            agent: config.build().new_agent(),
            base: base.trim_end_matches('/').to_owned(),
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    pub fn get(&self, path: &str) -> Result<impl Read + use<>, String> {
        let request = self.authorized(self.agent.get(format!("{}{path}", self.base)));
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        Ok(answered(response)?.into_body().into_reader())
    }

    pub fn json(&self, path: &str) -> Result<Value, String> {
        serde_json::from_reader(self.get(path)?).map_err(|error| format!("{}: {error}", self.base))
    }

    pub fn delete(&self, path: &str) -> Result<(), String> {
        let request = self.authorized(self.agent.delete(format!("{}{path}", self.base)));
        answered(request.call().map_err(|error| self.unreachable(&error))?).map(drop)
    }

    /// A form, read as it is sent. `key`: what the request is called, so that it is one however often it is sent.
    pub fn post(&self, path: &str, boundary: &str, key: &str, mut form: impl Read) -> Result<Value, Refused> {
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = self.agent.post(format!("{}{path}", self.base)).content_type(kind);
        let request = self.authorized(request.header("idempotency-key", key));
        let response = request.send(SendBody::from_reader(&mut form));
        let response =
            response.map_err(|error| Refused::Again { after: None, why: self.unreachable(&error) })?;
        let (status, after) = (response.status().as_u16(), retry_after(response.headers()));
        match answered(response) {
            Ok(response) => serde_json::from_reader(response.into_body().into_reader())
                .map_err(|error| Refused::Again { after: None, why: error.to_string() }),
            Err(why) if matches!(status, 408 | 429 | 503) => Err(Refused::Again { after, why }),
            Err(why) => Err(Refused::No(why)),
        }
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> String {
        format!("{} does not answer: {error}", self.base)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get("retry-after")?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// What the server says, where it says no.
fn answered(mut response: Response<Body>) -> Result<Response<Body>, String> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.body_mut().read_to_string().unwrap_or_default();
    let error: Option<Value> = serde_json::from_str(&body).ok();
    let message = error.as_ref().and_then(|error| error["error"]["message"].as_str());
    Err(message.map_or_else(|| format!("the server answered {status}"), str::to_owned))
}
