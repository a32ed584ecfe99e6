//! `verbatim subtitles`: a stored `verbose_json` in, the same transcript as subtitles or in another format out.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::format::stored;
use crate::format::{Format, Layout, render};
use crate::text::language;

use super::subtitle_flags::SubtitleFlags;
use super::transcribe::replace;
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A verbose_json of Verbatim, OpenAI, faster-whisper, WhisperX or whisper.cpp; `-` is standard input.
    #[arg(value_name = "IN.json")]
    input: PathBuf,
    /// srt, vtt, tsv, text, json or verbose_json.
    #[arg(long, default_value = "srt", value_parser = |name: &str| name.parse::<Format>().map_err(|e| e.to_string()))]
    format: Format,
    /// Write here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    subtitles: SubtitleFlags,
}

/// Needs no model and no settings.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut layout = Layout::new(args.format);
    args.subtitles.set(&mut layout)?;
    match convert(args, layout) {
        Ok(()) => Ok(Exit::Done),
        Err(reason) => {
            eprintln!("verbatim: error: {reason}");
            Ok(Exit::SomeFailed)
        }
    }
}

fn convert(args: &Args, mut layout: Layout) -> Result<(), String> {
    let input = args.input.display();
    let json = read(&args.input).map_err(|error| format!("{input}: {error}"))?;
    let transcript = stored::parse(&json, language::parse).map_err(|error| format!("{input}: {error}"))?;
    // What was stored comes back.
    layout.word_timestamps |= transcript.words;
    let rendered = render(&transcript, &layout);
    for warning in &transcript.warnings {
        eprintln!("verbatim: warning: {input}: {warning}");
    }
    match &args.output {
        Some(path) => replace(path, &rendered.body)
            .map_err(|error| format!("{} cannot be written: {error}", path.display())),
        None => print(&rendered.body).map_err(|error| format!("standard output: {error}")),
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
