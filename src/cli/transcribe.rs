//! `verbatim transcribe`: audio files in, their text on standard output or in a folder out, all files batched together.

mod before;
mod durable;
mod flags;
mod inputs;
mod output;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, Overrides};
use crate::format::{Format, Layout};
use crate::http::options::Wanted;
use crate::model::files::ModelFiles;
use crate::telemetry;
use crate::transcript::Options;

use super::load::{load_from, locate};
use super::subtitle_flags::SubtitleFlags;
use super::{Exit, Failure};
use before::{Before, Stamp, made_with};
use flags::Flags;
use inputs::{Input, Inputs, gather};
use output::Output;
pub(super) use output::replace;

const AFTER_HELP: &str = "\
Examples:
  verbatim transcribe talk.mp3 --language en > talk.txt
  verbatim transcribe recordings --output-dir texts --format srt
  arecord -f S16_LE -r 16000 -t wav | verbatim transcribe -";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Audio files, folders (with what is called like audio in them), patterns in quotes ("talks/**/*.mp3"); `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// text, json, verbose_json, srt, vtt or tsv.
    #[arg(long, default_value = "text", value_parser = |name: &str| name.parse::<Format>().map_err(|e| e.to_string()))]
    format: Format,
    /// Write each file's text here, named after it, instead of to standard output. What an earlier run with the same options has done
    /// is passed over.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Do what is done already as well.
    #[arg(long, requires = "output_dir")]
    overwrite: bool,
    /// Leave out what lies in folders within a folder.
    #[arg(long)]
    no_recursive: bool,
    /// As a batch job that is kept on the disk (jobs.dir): what was heard of a file is kept before its text is written, and a file on
    /// which the decoder crashes is given up.
    #[arg(long)]
    jobs: bool,
    /// process or thread: where files are decoded [default: thread].
    #[arg(long, value_name = "WHERE", value_parser = ["process", "thread"])]
    decode_isolation: Option<String>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    subtitles: SubtitleFlags,
}

impl Args {
    pub fn set(&self, flags: &mut Overrides) {
        flags.set("audio.decode_isolation", self.decode_isolation.as_deref());
    }

    fn wanted(&self) -> Result<(Options, Layout), Failure> {
        let Wanted { mut options, mut layout, .. } = self.flags.wanted().map_err(Failure::usage)?;
        layout.format = self.format;
        self.subtitles.set(&mut layout)?;
        options.words = layout.wants_words();
        Ok((options, layout))
    }
}

pub fn run(args: &Args, mut config: Config) -> Result<Exit, Failure> {
    // Beside a progress bar only what matters (the decoder logs what we report as the file's error); a level that was
    // set is kept.
    if config.log == telemetry::Settings::default() {
        config.log.level = "warn,symphonia=off".to_owned();
    }
    telemetry::init(&config.log).map_err(Failure::settings)?;
    let wanted = args.wanted()?;
    let inputs = gather(&args.files, !args.no_recursive);
    for problem in &inputs.problems {
        eprintln!("verbatim: error: {problem}");
    }
    if args.jobs && inputs.files.iter().any(Input::is_stdin) {
        return Err(Failure::usage(
            "--jobs takes files; what comes from a pipe cannot be read again".to_owned(),
        ));
    }
    let output =
        Output::new(&inputs.files, args.format, args.output_dir.as_deref()).map_err(Failure::usage)?;
    let plan = plan(args, &config, &wanted, (inputs, output))?;
    tell(&plan);
    if plan.todo.is_empty() {
        return Ok(if plan.inputs.problems.is_empty() { Exit::Done } else { Exit::SomeFailed });
    }
    if args.jobs {
        return durable::run(args, config, plan, wanted.1);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let loaded = {
        let _entered = runtime.enter();
        load_from(&config, plan.model.clone())?
    };
    let exit = runtime.block_on(work::transcribe_all(&plan, &wanted, loaded));
    // A read of standard input that nobody ends would keep the process.
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

/// What is to be done.
struct Plan {
    inputs: Inputs,
    output: Output,
    /// Places among the inputs.
    todo: Vec<usize>,
    /// What the folder says of earlier runs; `None`: there is no folder.
    before: Option<Before>,
    /// Where it was looked for already.
    model: Option<ModelFiles>,
}

impl Plan {
    /// The text of one input. What was done is known to the next run once it is written.
    fn write(&self, index: usize, stamp: Option<Stamp>, text: &str) -> Result<(), String> {
        self.output.write(index, text)?;
        match (&self.before, self.output.path(index)) {
            (Some(before), Some(path)) => before.add(path, stamp),
            _ => Ok(()),
        }
    }

    fn done_before(&self) -> usize {
        self.inputs.files.len() - self.todo.len()
    }
}

/// Which inputs are still to be done. A job begins where it was killed by itself, so it is all of them or none.
fn plan(
    args: &Args,
    config: &Config,
    (options, layout): &(Options, Layout),
    (inputs, output): (Inputs, Output),
) -> Result<Plan, Failure> {
    let mut todo: Vec<usize> = (0..inputs.files.len()).collect();
    let Some(folder) = args.output_dir.as_deref().filter(|_| !todo.is_empty()) else {
        return Ok(Plan { inputs, output, todo, before: None, model: None });
    };
    let model = locate(config)?;
    let before =
        Before::open(folder, made_with(config, &model, (options, layout))).map_err(Failure::usage)?;
    if !args.overwrite {
        let is_done = |index: usize| {
            let stamp = Stamp::of(&inputs.files[index].path);
            output.path(index).is_some_and(|path| before.has(path, stamp.as_ref()))
        };
        let left: Vec<usize> = todo.iter().copied().filter(|index| !is_done(*index)).collect();
        if !args.jobs || left.is_empty() {
            todo = left;
        }
    }
    Ok(Plan { inputs, output, todo, before: Some(before), model: Some(model) })
}

/// What people would wonder about afterwards.
fn tell(plan: &Plan) {
    let all = plan.inputs.files.len();
    if plan.inputs.left_out > 0 {
        let (left_out, files) = (plan.inputs.left_out, plural(plan.inputs.left_out, "file"));
        eprintln!("verbatim: {left_out} {files} left out, whose names are not those of audio");
    }
    if all == 0 && plan.inputs.problems.is_empty() {
        eprintln!("verbatim: there is no audio to transcribe");
    }
    if plan.done_before() > 0 {
        eprintln!("verbatim: {} of {all} done before; --overwrite does them anew", plan.done_before());
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
