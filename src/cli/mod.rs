//! The command line in, an exit code out: the verbs, the flags they share, and what each way to end is called.

mod bench;
mod doctor;
mod documents;
mod jobs;
mod keys;
mod load;
mod machine;
mod models;
mod progress;
mod serve;
mod subtitle_flags;
mod subtitles;
mod transcribe;
mod worker;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::audio;
use crate::config::{Config, Overrides};
use crate::http;

/// Speech to text over HTTP on one NVIDIA GPU, or on a CPU: Whisper, batched across requests.
#[derive(Debug, Parser)]
#[command(name = "verbatim", version, after_help = AFTER_HELP)]
pub struct Asked {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

const AFTER_HELP: &str = "Every flag is also a setting: see config/default.toml. In the environment a setting is \
    VERBATIM_<SECTION>__<KEY>.\nExit codes: 0 done, 1 some input failed, 2 usage, 64 bad settings, 70 device lost.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer transcriptions over HTTP.
    Serve(serve::Args),
    /// Hand batch jobs in to a running server, and fetch their results.
    Jobs(jobs::Args),
    /// Transcribe the items of batch jobs, for servers that take them in.
    Worker(worker::Args),
    /// Write the text of audio files to standard output or into a folder.
    Transcribe(transcribe::Args),
    /// Write a stored verbose_json as subtitles or in another format, without the audio.
    Subtitles(subtitles::Args),
    /// Measure models on this machine, or a running server.
    Bench(bench::Args),
    /// Look at this machine and these settings, and say what would keep `serve` from working.
    Doctor(doctor::Args),
    /// List, fetch, verify and remove models.
    Models(models::Args),
    /// Make keys for callers of the service.
    Keys(keys::Args),
    /// Write the interface as an OpenAPI document to standard output.
    Openapi,
    /// Write the reference of all settings, as Markdown, to standard output.
    Settings,
    /// Write what makes a shell complete this command line to standard output.
    Completions(documents::Completions),
    /// Write the manual page to standard output, or one for each verb into a folder.
    Man(documents::Pages),
    /// Decode one upload for a server, on standard input and output. Started by `serve` alone.
    #[command(hide = true)]
    DecodeWorker { server: u32 },
}

/// Flags that every verb has.
#[derive(Debug, clap::Args)]
struct Common {
    /// Settings file; see config/default.toml for every key.
    #[arg(long, global = true, value_name = "FILE", env = "VERBATIM_CONFIG")]
    config: Option<PathBuf>,
    /// `demo`, a hub id such as openai/whisper-large-v3-turbo, a folder, or random:tiny (any size; speaks nonsense) [default: demo].
    #[arg(long, global = true, value_name = "NAME", action = clap::ArgAction::Append)]
    model: Vec<String>,
    /// Branch, tag or commit of a hub id [default: main].
    #[arg(long, global = true, value_name = "REVISION")]
    revision: Option<String>,
    /// auto, cpu, cuda, cuda:N, metal [default: auto].
    #[arg(long, global = true, value_name = "DEVICE", action = clap::ArgAction::Append)]
    device: Vec<String>,
    /// auto, f32, f16, bf16, q8_0 [default: auto].
    #[arg(long, global = true, value_name = "DTYPE", action = clap::ArgAction::Append)]
    dtype: Vec<String>,
    /// Ask nothing but the model cache.
    #[arg(long, global = true)]
    offline: bool,
}

impl Common {
    /// Of one model on one device; `bench`, which takes several, reads them itself.
    fn overrides(&self) -> Result<Overrides, Failure> {
        let mut flags = self.shared();
        flags.set("model.name", once("model", &self.model)?);
        flags.set("model.device", once("device", &self.device)?);
        flags.set("model.dtype", once("dtype", &self.dtype)?);
        Ok(flags)
    }

    fn shared(&self) -> Overrides {
        let mut flags = Overrides::default();
        flags.set("model.revision", self.revision.as_deref());
        flags.set("model.offline", self.offline.then_some(true));
        flags
    }

    fn config(&self, flags: &Overrides) -> Result<Config, Failure> {
        let (config, notes) =
            Config::load_with_notes(self.config.as_deref(), variables(), flags).map_err(Failure::settings)?;
        // Logging is set up by what was just read, or not at all.
        notes.iter().for_each(|note| eprintln!("verbatim: warning: {note}"));
        Ok(config)
    }
}

/// The environment; variables that are not text cannot be ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A line on standard output. A pipe that was closed is no reason for a panic.
fn say(line: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::SomeFailed, anyhow::anyhow!("standard output: {error}"));
    writeln!(std::io::stdout(), "{line}").map_err(failed)
}

fn once<'a>(flag: &str, given: &'a [String]) -> Result<Option<&'a str>, Failure> {
    match given {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Failure::usage(format!(
            "--{flag} was given {} times; `verbatim bench` alone takes several",
            given.len()
        ))),
    }
}

/// Ends the process itself where the command line asks for help or is wrong (exit code 2).
pub fn parse() -> Asked {
    Asked::parse()
}

/// The command line as data, for tests and documents.
pub fn command() -> clap::Command {
    Asked::command()
}

pub fn run(asked: Asked) -> Result<Exit, Failure> {
    let common = &asked.common;
    match &asked.verb {
        Verb::Serve(args) => {
            let mut flags = common.overrides()?;
            args.set(&mut flags);
            serve::run(args, common.config(&flags)?)
        }
        Verb::Jobs(args) => jobs::run(args),
        Verb::Worker(args) => {
            let mut flags = common.overrides()?;
            args.set(&mut flags);
            worker::run(args, common.config(&flags)?)
        }
        Verb::Transcribe(args) => {
            let mut flags = common.overrides()?;
            args.set(&mut flags);
            transcribe::run(args, common.config(&flags)?)
        }
        Verb::Subtitles(args) => subtitles::run(args),
        Verb::Bench(args) => bench::run(args, common, &common.config(&common.shared())?),
        Verb::Doctor(args) => doctor::run(args, common),
        Verb::Models(args) => {
            models::run(args, common.revision.as_deref(), common.config(&common.overrides()?)?)
        }
        // Nobody reads what it might say.
        Verb::DecodeWorker { server } => {
            Ok(audio::decode_worker(*server).map_or(Exit::SomeFailed, |()| Exit::Done))
        }
        Verb::Keys(args) => keys::run(args),
        Verb::Openapi => {
            print!("{}", http::openapi::json());
            Ok(Exit::Done)
        }
        Verb::Settings => documents::settings(),
        Verb::Completions(args) => documents::completions(args),
        Verb::Man(args) => documents::man(args),
    }
}

/// The ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    SomeFailed,
    Usage,
    /// Settings that are wrong, or that cannot be met here: no such model, no such device, a port that is taken.
    BadSettings,
    DeviceLost,
}

impl Exit {
    pub fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Usage => 2,
            Exit::BadSettings => 64,
            Exit::DeviceLost => 70,
        }
    }

    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// Why a verb could not be carried out, and how the process ends for it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Failure { exit, error: error.into() }
    }

    fn settings(error: impl Into<anyhow::Error>) -> Self {
        Failure::new(Exit::BadSettings, error)
    }

    fn usage(message: String) -> Self {
        Failure::new(Exit::Usage, anyhow::Error::msg(message))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Errors that quote their cause in full would say it twice.
        let mut said = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            match said.is_empty() {
                true => said = cause,
                false if said.contains(&cause) => {}
                false => said = format!("{said}: {cause}"),
            }
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_failure_says_its_causes_once_each() {
        let error = anyhow::anyhow!("the disk is full").context("writing: the disk is full").context("a.txt");
        assert_eq!(Failure::settings(error).to_string(), "a.txt: writing: the disk is full");
    }

    #[test]
    fn flags_that_were_not_given_set_nothing() {
        let asked = Asked::parse_from(["verbatim", "serve"]);
        let config = Config::load(None, std::iter::empty(), &asked.common.overrides().unwrap()).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_flags_that_the_settings_file_names_set_what_it_says() {
        let flags = Config::flags();
        assert!(flags.len() >= 10, "{flags:?}");
        for (flag, key) in flags {
            let mut tried = 0;
            for verb in ["serve", "worker", "transcribe"] {
                let mut line = vec!["verbatim", verb, &flag];
                line.extend(value_of(&flag));
                line.extend((verb == "transcribe").then_some("a.wav"));
                let Ok(asked) = Asked::try_parse_from(line) else { continue };
                let mut set = asked.common.overrides().unwrap();
                match &asked.verb {
                    Verb::Serve(args) => args.set(&mut set),
                    Verb::Worker(args) => args.set(&mut set),
                    Verb::Transcribe(args) => args.set(&mut set),
                    verb => panic!("{verb:?}"),
                }
                assert_eq!(set.keys().collect::<Vec<_>>(), [key.as_str()], "{flag} of {verb}");
                tried += 1;
            }
            assert!(tried > 0, "no verb has {flag}, which config/default.toml names at {key}");
        }
    }

    fn value_of(flag: &str) -> Option<&'static str> {
        match flag {
            "--allow-no-keys" | "--offline" => None,
            "--decode-isolation" => Some("thread"),
            "--host" => Some("::1"),
            _ => Some("1"),
        }
    }

    #[test]
    fn a_flag_that_means_one_thing_is_not_given_twice() {
        let asked = Asked::parse_from(["verbatim", "serve", "--model", "a/b", "--model", "c/d"]);
        assert!(asked.common.overrides().unwrap_err().to_string().contains("--model"));
        let asked = Asked::parse_from(["verbatim", "bench", "--model", "a/b", "--model", "c/d"]);
        assert_eq!(asked.common.model, ["a/b", "c/d"]);
    }

    #[test]
    fn common_flags_may_stand_on_either_side_of_the_verb() {
        for line in [["verbatim", "--model", "a/b", "serve"], ["verbatim", "serve", "--model", "a/b"]] {
            let asked = Asked::parse_from(line);
            let config = Config::load(None, std::iter::empty(), &asked.common.overrides().unwrap()).unwrap();
            assert_eq!(config.model.name, "a/b");
        }
    }
}
