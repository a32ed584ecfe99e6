//! `verbatim bench`: models, devices and batches in, how fast each stage of the work is out; or a server, and how soon it answers.

mod clients;
mod matrix;
mod models;
mod report;
mod rows;
mod server;
mod spread;
mod stages;

use std::path::PathBuf;

use crate::config::Config;
use crate::telemetry;

use super::{Common, Exit, Failure};
use report::Files;

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Windows that are encoded and decoded together.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8")]
    batch: Vec<usize>,
    /// Tokens of each window, exactly, whatever the model says.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "100")]
    tokens: Vec<usize>,
    /// Runs of each that count.
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeat: usize,
    /// Runs before them that do not; with --server, requests.
    #[arg(long, value_name = "N", default_value_t = 1)]
    warm_up: usize,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    load: Load,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A running server")]
struct Load {
    /// Measure this server instead: http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", requires = "file", conflicts_with_all = ["batch", "tokens", "repeat"])]
    server: Option<String>,
    /// Audio to send; several take turns.
    #[arg(long, value_name = "FILE", requires = "server")]
    file: Vec<PathBuf>,
    /// Clients at once, each of which asks again as soon as it is answered.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,16")]
    concurrency: Vec<usize>,
    /// Requests at each concurrency, over all clients.
    #[arg(long, value_name = "N", default_value_t = 64)]
    requests: usize,
    /// Where to send them, as a form; OpenAI's is /v1/audio/transcriptions.
    #[arg(long, value_name = "PATH", default_value = "/transcribe")]
    route: String,
    /// A field of the form, such as language=en; may repeat.
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    field: Vec<(String, String)>,
    /// File with the key that the server wants.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Every combination of --model, --device, --dtype, --batch and --tokens is measured; each takes a list with commas, or repeats. The windows are 30 s of made-up \
sound. Stages: mel (samples to spectrograms), encode (to keys and values), step (one token more of each window), align (words over the audio), end to end \
(samples to the last token). --model random:large-v3-turbo, or any other published size, needs no download. With --server it is the server that is measured.

Examples:
  verbatim bench --model random:tiny,random:base --device cpu --batch 1,8 --tokens 100 --output out.json
  verbatim bench --server http://127.0.0.1:8080 --file speech.mp3 --concurrency 1,4,16 --requests 64";

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a field is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn run(args: &Args, common: &Common, config: &Config) -> Result<Exit, Failure> {
    telemetry::init(&config.log).map_err(Failure::settings)?;
    if let Some(url) = &args.load.server {
        return clients::measure(args, url, config);
    }
    models::measure(args, common, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_name_and_a_value_that_may_have_an_equals_sign() {
        assert_eq!(field("prompt=a=b"), Ok(("prompt".to_owned(), "a=b".to_owned())));
        assert!(field("language").is_err());
    }
}
