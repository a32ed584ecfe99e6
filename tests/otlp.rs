//! Spans as a collector gets them: the real server, the real exporter, and a receiver that reads OTLP's protobuf.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]
#![allow(dead_code, reason = "the support modules serve other tests as well")]

#[path = "support/fake_model.rs"]
mod fake_model;
#[path = "support/server.rs"]
mod server;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::mpsc;
use verbatim::telemetry::{Export, Settings, init_with};

/// A collector that keeps what it is sent, and its address.
async fn collector() -> (String, mpsc::UnboundedReceiver<(String, ExportTraceServiceRequest)>) {
    let (keep, kept) = mpsc::unbounded_channel();
    let take = async move |headers: HeaderMap, body: Bytes| {
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        keep.send((kind, ExportTraceServiceRequest::decode(body).unwrap())).unwrap();
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum_server(listener, router).await });
    (address, kept)
}

/// `axum::serve` is a feature that the server itself has no use for.
async fn axum_server(listener: tokio::net::TcpListener, router: Router) {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto::Builder;
    use hyper_util::service::TowerToHyperService;

    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|one| one.key == name)?.value.as_ref()?.value.as_ref()?;
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_collector_with_its_id_its_stages_and_its_callers_trace() {
    let (endpoint, mut kept) = collector().await;
    let traces = init_with(&Settings::default(), &Export { otlp_endpoint: Some(endpoint) }).unwrap();
    let server = server::start(fake_model::Behaviour::default()).await;
    let asked = server
        .transcribe(&[])
        .header("x-request-id", "visit-7")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(asked.send().await.unwrap().status(), 200);
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    // At the end what is left is sent.
    tokio::task::spawn_blocking(move || drop(traces)).await.unwrap();

    let (kind, export) = tokio::time::timeout(server::PATIENCE, kept.recv()).await.unwrap().unwrap();
    assert_eq!(kind, "application/x-protobuf");
    let resource = export.resource_spans[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("verbatim"));
    let spans: Vec<Span> = export
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} among {spans:?}"))
    };
    let request = named("POST /transcribe");
    assert_eq!(hex(&request.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    for (name, value) in [
        ("id", "visit-7"),
        ("http.request.method", "POST"),
        ("http.route", "/transcribe"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(text(&request.attributes, name).as_deref(), Some(value), "{name}");
    }
    for stage in ["open", "window"] {
        assert_eq!(
            (&named(stage).trace_id, &named(stage).parent_span_id),
            (&request.trace_id, &request.span_id)
        );
    }
    assert!(text(&named("window").attributes, "encode_ms").is_some());
    assert!(spans.iter().all(|span| !span.name.contains("livez")), "health checks are no traces: {spans:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
