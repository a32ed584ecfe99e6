//! Spans in, OTLP over HTTP to a collector out (feature `otlp`).
//!
//! The exporter brings no HTTP of its own: it is given ureq, which blocks, as it may on the thread that the SDK keeps for sending.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// A collector that takes longer is given up for this batch of spans.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the last spans, at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where OTLP over HTTP takes spans, below the collector's address.
const PATH: &str = "/v1/traces";

/// Sends until dropped; what is left is sent then.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(FAREWELL)
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// `endpoint`: of the collector, with or without the path that spans have.
pub fn layer<S>(endpoint: &str) -> Result<(impl Layer<S> + Send + Sync + use<S>, Traces), String>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let endpoint = endpoint.trim_end_matches('/');
    let endpoint = format!("{}{PATH}", endpoint.strip_suffix(PATH).unwrap_or(endpoint));
    let exporter =
        SpanExporter::builder().with_http().with_http_client(Client::new()).with_endpoint(endpoint);
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("verbatim").build())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("verbatim"))
        .with_location(false)
        .with_threads(false)
        // Ours alone: sending spans must make none.
        .with_filter(Targets::new().with_target("verbatim", LevelFilter::INFO));
    Ok((layer, Traces(Some(provider))))
}

/// Makes a request's span part of the trace that its `traceparent` header names.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // Without a collector there is no trace to be part of.
        let _ = span.set_parent(parent);
    }
}

#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        // What the collector answers is for the exporter to judge.
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        Client(config.build().new_agent())
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        Ok(Response::from_parts(parts, Bytes::from(body.read_to_vec()?)))
    }
}

impl HttpClient for Client {
    // Spelled out as `async_trait` would.
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.send(request) })
    }
}
