//! A running server and the flags in; it is asked by each number of clients in turn, a row of what they felt for each out.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use serde_json::{Map, Value};

use crate::cli::machine::Head;
use crate::cli::{Exit, Failure};
use crate::config::Config;

use super::matrix::numbers;
use super::report::Report;
use super::server::{LoadRow, Server, Upload};
use super::{Args, Load};

pub fn measure(args: &Args, url: &str, config: &Config) -> Result<Exit, Failure> {
    let Load { file, concurrency, requests, route, field, key_file, .. } = &args.load;
    let clients = numbers("concurrency", concurrency, 1)?;
    let requests = numbers("requests", &[*requests], 1)?[0];
    let limits = config.audio.limits();
    let read = |path: &PathBuf| {
        let named = |error: String| Failure::settings(anyhow!("{}: {error}", path.display()));
        Upload::read(path, field, &limits).map_err(named)
    };
    let uploads = file.iter().map(read).collect::<Result<Vec<Upload>, Failure>>()?;
    let key = key_file.as_ref().map(|path| {
        let named = |error| Failure::settings(anyhow::Error::new(error).context(path.display().to_string()));
        std::fs::read_to_string(path).map_err(named)
    });
    let key = key.transpose()?;
    let most = clients.iter().copied().max().unwrap_or(1);
    let server = Server::new(url, route, key.as_deref().map(str::trim), most);
    for number in 0..args.warm_up.max(1) {
        // A server that is not there, wants a key or cannot read the file is no benchmark.
        server.ask(&uploads[number % uploads.len()]).map_err(|(kind, said)| {
            let said: String = said.chars().take(500).collect();
            Failure::new(
                Exit::BadSettings,
                anyhow!("{url} did not answer the first request ({kind}): {said}"),
            )
        })?;
    }
    let mut asked = Map::from_iter([
        ("server".to_owned(), Value::from(url)),
        ("route".to_owned(), Value::from(route.as_str())),
    ]);
    let told = server.describe().into_iter().map(|(name, value)| (format!("server_{name}"), value));
    asked.extend(told);
    let mut report: Report<LoadRow> = Report {
        head: Head::read(Vec::new()),
        asked,
        rows: Vec::new(),
        failed: Vec::new(),
        doubts: Vec::new(),
    };
    args.files.write(&report)?;
    for clients in clients {
        let started = Instant::now();
        let row = server.load(&uploads, clients, requests);
        tracing::info!("{clients} clients: {requests} requests in {:.1} s", started.elapsed().as_secs_f64());
        if row.errors > 0 {
            tracing::warn!(kinds = ?row.error_kinds, "{} of {requests} requests were not answered", row.errors);
        }
        report.rows.push(row);
        args.files.write(&report)?;
    }
    report.print();
    Ok(if report.rows.iter().all(|row| row.errors == 0) { Exit::Done } else { Exit::SomeFailed })
}
