//! `verbatim jobs`: a running server's batch jobs from the command line: files and folders in, their texts out.

mod client;
mod results;
mod submit;

use std::path::PathBuf;

use anyhow::anyhow;
use serde_json::Value;

use crate::format::Format;

use super::{Exit, Failure};
use client::Client;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Where the server is.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "VERBATIM_SERVER_URL"
    )]
    server: String,
    /// File with the key that the server wants; without it, VERBATIM_API_KEY in the environment.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Hand files, folders and URLs in as one job; its id goes to standard output.
    Submit(submit::Args),
    /// Say how far a job is.
    Status {
        id: String,
        /// As the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Write a job's results to standard output as they come (a line of JSON each), or into a folder, a file for each.
    Results(Results),
    /// Cancel a job under way; forget one that has ended.
    Cancel { id: String },
    /// List jobs, the newest first.
    List,
}

#[derive(Debug, clap::Args)]
pub struct Results {
    id: String,
    /// Write each text here, under its file's name; those that are there already are left alone.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// text, json, verbose_json, srt, vtt or tsv, of files in a folder.
    #[arg(long, default_value = "text", value_parser = |name: &str| name.parse::<Format>().map_err(|e| e.to_string()))]
    format: Format,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let key = match &args.key_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("--key-file {}: {error}", path.display())))?,
        ),
        None => std::env::var("VERBATIM_API_KEY").ok(),
    };
    let client = Client::new(&args.server, key.as_deref().map(str::trim).filter(|key| !key.is_empty()));
    let done = match &args.action {
        Action::Submit(submit) => submit::run(&client, submit),
        Action::Status { id, json } => status(&client, id, *json),
        Action::Results(wanted) => results::run(&client, wanted),
        Action::Cancel { id } => client.delete(&format!("/v1/jobs/{id}")).map(|()| Exit::Done),
        Action::List => list(&client),
    };
    done.map_err(|problem| Failure::new(Exit::SomeFailed, anyhow!(problem)))
}

fn status(client: &Client, id: &str, json: bool) -> Result<Exit, String> {
    let job = client.json(&format!("/v1/jobs/{id}"))?;
    if json {
        println!("{job:#}");
    } else {
        print(&job)?;
        for item in job["items"].as_array().into_iter().flatten() {
            let state = item["state"].as_str().unwrap_or_default();
            let why = item["error"]["message"].as_str().map(|why| format!("  {why}")).unwrap_or_default();
            say(&format!("  {:>6}  {state:<9} {}{why}", item["item"], printable(&item["name"])))?;
        }
    }
    Ok(if job["counts"]["failed"] == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn list(client: &Client) -> Result<Exit, String> {
    let jobs = client.json("/v1/jobs?limit=100")?;
    for job in jobs["data"].as_array().into_iter().flatten() {
        print(job)?;
    }
    Ok(Exit::Done)
}

fn print(job: &Value) -> Result<(), String> {
    let counts = &job["counts"];
    let failed = match counts["failed"].as_u64() {
        Some(0) | None => String::new(),
        Some(failed) => format!(", {failed} failed"),
    };
    say(&format!(
        "{}  {:<9} {:>5} %  {} of {} done{failed}  {}",
        job["id"].as_str().unwrap_or_default(),
        job["state"].as_str().unwrap_or_default(),
        job["percent"],
        counts["done"],
        counts["all"],
        printable(&job["name"]),
    ))
}

/// Somebody else's words, on a terminal.
fn printable(text: &Value) -> String {
    text.as_str().unwrap_or_default().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn say(line: &str) -> Result<(), String> {
    super::say(line).map_err(|failure| failure.to_string())
}
