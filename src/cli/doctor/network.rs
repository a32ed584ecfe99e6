//! Those whom a server asks in: the hub of models, the broker of jobs, their store; whether they answer, out.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::jobs::{Blobs, reach_broker};
use crate::model::hub::{self, HubError};
use crate::model::source::Source;

use super::case::{Case, wait};
use super::finding::Finding;

/// For an answer of somebody who is there.
const ANSWER: Duration = Duration::from_secs(10);

pub fn hub(case: &Case) -> Finding {
    let model = &case.config.model;
    if model.offline {
        return Finding::skipped("nothing but the cache is asked (--offline, model.offline)");
    }
    // Where the model is here, a start goes on without the hub.
    let is_needed = case.is_from_hub() && case.has_model && case.files().is_err();
    let endpoint = model.endpoint.trim_end_matches('/');
    let unreachable = |detail: &str| {
        Finding::fault_if(
            is_needed,
            format!("{endpoint} cannot be reached: {detail}"),
            "check the network and HTTPS_PROXY, name a mirror in model.endpoint (HF_ENDPOINT), or say --offline if nothing is to be fetched",
        )
    };
    let Ok(Source::Hub(id)) = Source::parse(&model.name) else {
        return match hub::reach(endpoint, ANSWER) {
            Ok(status) => Finding::ok(format!(
                "{endpoint} answers ({status}); the model {} does not need it",
                model.name
            )),
            Err(detail) => unreachable(&detail),
        };
    };
    let request = match model.request(id) {
        Ok(request) => request,
        Err(error) => {
            return Finding::fault(error.to_string(), "correct that key (HF_ENDPOINT is model.endpoint)");
        }
    };
    match hub::ask(&request, ANSWER) {
        Ok(commit) => {
            Finding::ok(format!("{endpoint} has {} at {}: commit {commit}", model.name, model.revision))
        }
        Err(HubError::Unreachable { detail, .. }) => unreachable(&detail),
        Err(error) => Finding::fault_if(
            is_needed,
            error.to_string(),
            "correct --model and --revision (model.name, model.revision), or give a token with access in HF_TOKEN",
        ),
    }
}

pub fn broker(case: &Case) -> Finding {
    let jobs = &case.config.jobs;
    let Some(url) = jobs.nats_url.as_deref().filter(|_| jobs.enabled) else {
        return Finding::skipped("jobs are for this machine alone (jobs.nats_url)");
    };
    let asked = wait(async { tokio::time::timeout(ANSWER, reach_broker(jobs)).await });
    let shown = without_login(url);
    let found = match asked {
        Ok(Ok(Ok(bytes))) => {
            return Finding::ok(format!("{shown} answers and has JetStream; {} MiB are in it", bytes >> 20));
        }
        Ok(Ok(Err(error))) => format!("{shown}: {error}"),
        Ok(Err(_)) => format!("{shown} did not answer within {} s", ANSWER.as_secs()),
        Err(error) => error,
    };
    let remedy = "start a NATS server with JetStream there, or correct jobs.nats_url and jobs.nats_credentials (docs/jobs.md)";
    Finding::fault(found, remedy)
}

pub fn store(case: &Case) -> Finding {
    let jobs = &case.config.jobs;
    let Some(url) = jobs.store_url.as_deref().filter(|_| jobs.enabled) else {
        return Finding::skipped("audio and results of jobs are in jobs.dir (jobs.store_url)");
    };
    let remedy = "correct jobs.store_url, jobs.store_endpoint, jobs.store_region and its key (jobs.store_key, jobs.store_secret), or start \
                  the store";
    if let Some(folder) = url.strip_prefix("file://") {
        return match Path::new(folder).is_dir() && tempfile::tempfile_in(folder).is_ok() {
            true => Finding::ok(format!("{folder} can be written")),
            false => Finding::fault(format!("{folder} is no folder that can be written"), remedy),
        };
    }
    // The client tries for minutes; a port where nobody listens is told at once.
    if let Some(endpoint) = &jobs.store_endpoint
        && let Err(error) = connect(endpoint)
    {
        return Finding::fault(format!("{} cannot be reached: {error}", without_login(endpoint)), remedy);
    }
    let tried = wait(async {
        let blobs = Blobs::open(jobs, Path::new("")).map_err(|error| error.to_string())?;
        let tried = tokio::time::timeout(ANSWER, blobs.try_out()).await;
        let late = || format!("it did not answer within {} s", ANSWER.as_secs());
        tried.map_err(|_| late())?.map_err(|error| error.to_string())
    });
    match tried.and_then(|tried| tried) {
        Ok(()) => Finding::ok(format!("{url}: a few bytes were written, read and removed")),
        Err(error) => Finding::fault(format!("{url}: {}", brief(&error)), remedy),
    }
}

/// Of a page of XML, as stores answer with, the code.
fn brief(error: &str) -> String {
    let Some((before, page)) = error.split_once("<?xml") else { return error.to_owned() };
    let code = page.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    format!("{before}{}", code.map_or("", |(code, _)| code))
}

/// Whether somebody listens at an http or https address.
fn connect(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{}", if scheme == "https" { 443 } else { 80 })
    };
    let addresses = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER / 4) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Addresses without the passwords that may stand in them.
fn without_login(urls: &str) -> String {
    let shown = urls.split(',').map(|url| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    });
    shown.collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_what_is_told() {
        assert_eq!(without_login("nats://me:p@ss@a:4222,tls://b,c@d"), "nats://a:4222,tls://b,d");
    }

    #[test]
    fn of_a_page_that_a_store_answers_with_the_code_is_told() {
        let page = "404 Not Found: <?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><RequestId>x</RequestId></Error>";
        assert_eq!(brief(page), "404 Not Found: NoSuchBucket");
        assert_eq!(brief("connection refused"), "connection refused");
    }

    #[test]
    fn addresses_with_and_without_a_port_are_tried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connect(&format!("http://127.0.0.1:{port}/bucket")), Ok(()));
        drop(listener);
        assert!(connect(&format!("http://127.0.0.1:{port}")).is_err());
    }
}
