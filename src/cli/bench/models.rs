//! Cells of the matrix in; each loaded, warmed and measured at every batch and number of tokens, its rows out.

use std::time::Instant;

use serde_json::Value;

use crate::cli::load::failure;
use crate::cli::machine::{self, Head};
use crate::cli::{Common, Exit, Failure};
use crate::config::Config;
use crate::model::ModelError;
use crate::model::whisper::{LoadError, Whisper};
use crate::text::Tokenizer;

use super::Args;
use super::matrix::{self, Cell, Wanted, listed, numbers};
use super::report::Report;
use super::rows::{Case, StageRow, disturbed, rows};
use super::stages::{Run, Work, most_tokens};

pub fn measure(args: &Args, common: &Common, config: &Config) -> Result<Exit, Failure> {
    let batches = numbers("batch", &args.batch, 1)?;
    let tokens = numbers("tokens", &args.tokens, 2)?;
    let wanted = Wanted {
        models: listed("model", &common.model, &config.model.name)?,
        devices: listed("device", &common.device, &config.model.device)?,
        dtypes: listed("dtype", &common.dtype, &config.model.dtype)?,
        most_windows: batches.iter().copied().max().unwrap_or(1),
    };
    let cells = matrix::cells(config, &wanted)?;
    if let Some((cell, tokens)) = too_many(&cells, &tokens) {
        let most = most_tokens(cell.forecast.text_ctx);
        let model = &cell.options.name;
        return Err(Failure::usage(format!("--tokens cannot be {tokens}: {model} has room for {most}")));
    }
    if cfg!(debug_assertions) {
        tracing::warn!(
            "this is a debug build, whose figures say nothing of the program; build it with --release"
        );
    }
    let repeat = args.repeat.max(1);
    let asked = [("repetitions", repeat), ("warm_up", args.warm_up)];
    let mut report = Report {
        head: Head::read(gpus(&cells)?),
        asked: asked.into_iter().map(|(name, number)| (name.to_owned(), Value::from(number))).collect(),
        rows: Vec::new(),
        failed: Vec::new(),
        doubts: Vec::new(),
    };
    // Before hours of work: a folder that is not there should be known now.
    args.files.write(&report)?;
    for cell in &cells {
        let started = Instant::now();
        let whisper = match Whisper::load(&cell.files, &cell.options) {
            Err(LoadError::OutOfMemory(reason)) => {
                missing(&mut report, format!("{}: no room for the model: {reason}", cell.name()));
                continue;
            }
            loaded => loaded.map_err(|error| failure(&cell.options.name, error))?,
        };
        tracing::info!("{}: loaded in {} ms", cell.name(), started.elapsed().as_millis());
        let mut subject = Subject::new(whisper, cell, wanted.most_windows)?;
        for (batch, tokens) in
            batches.iter().flat_map(|batch| tokens.iter().map(move |tokens| (*batch, *tokens)))
        {
            match subject.measure(batch, tokens, (args.warm_up, repeat)) {
                Ok((rows, doubt)) => {
                    report.rows.extend(rows);
                    if let Some(doubt) = doubt {
                        let doubt = format!("{}, batch {batch}: {doubt}", cell.name());
                        tracing::warn!("doubtful: {doubt}");
                        report.doubts.push(doubt);
                    }
                }
                Err(ModelError::OutOfMemory(reason)) => {
                    missing(&mut report, format!("{}, batch {batch}: no room: {reason}", cell.name()));
                }
                Err(error) => return Err(Failure::new(Exit::DeviceLost, error)),
            }
            args.files.write(&report)?;
        }
    }
    report.print();
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

/// The first cell whose decoder is too short, and for what.
fn too_many<'a>(cells: &'a [Cell], tokens: &[usize]) -> Option<(&'a Cell, usize)> {
    let most = tokens.iter().copied().max()?;
    cells.iter().find(|cell| most > most_tokens(cell.forecast.text_ctx)).map(|cell| (cell, most))
}

fn missing(report: &mut Report<StageRow>, reason: String) {
    tracing::warn!("not measured: {reason}");
    report.failed.push(reason);
}

/// Names of this machine's cards, where one of the cells is on one.
fn gpus(cells: &[Cell]) -> Result<Vec<String>, Failure> {
    if cells.iter().all(|cell| !cell.forecast.device.starts_with("cuda")) {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    Ok(runtime.block_on(machine::gpus()))
}

/// A loaded model and what it is measured on.
struct Subject {
    whisper: Whisper,
    work: Work,
}

impl Subject {
    fn new(whisper: Whisper, cell: &Cell, most_windows: usize) -> Result<Subject, Failure> {
        let info = whisper.info();
        if let Some(note) = &info.device_note {
            tracing::warn!("NO GPU IS USED: {note}; measuring on the CPU");
        }
        let json = cell.files.require("tokenizer.json").map_err(Failure::settings)?;
        let tokenizer = Tokenizer::from_json(&json).map_err(Failure::settings)?;
        let work = Work::new(info, tokenizer.specials(), most_windows);
        Ok(Subject { whisper, work })
    }

    /// `warm_up` runs, and then `repeat` that count; and what makes these doubtful.
    fn measure(
        &mut self,
        batch: usize,
        tokens: usize,
        (warm_up, repeat): (usize, usize),
    ) -> Result<(Vec<StageRow>, Option<String>), ModelError> {
        for _ in 0..warm_up {
            self.work.run(&mut self.whisper, batch, tokens)?;
        }
        let runs = (0..repeat)
            .map(|_| self.work.run(&mut self.whisper, batch, tokens))
            .collect::<Result<Vec<Run>, ModelError>>()?;
        let info = self.whisper.info();
        let (model, device) = (info.name.clone(), info.device.clone());
        let case = Case { model, device, dtype: info.dtype.clone(), batch, tokens };
        let rows = rows(&case, &runs);
        if let Some(whole) = rows.last() {
            tracing::info!(
                "batch {batch}, {tokens} tokens: {:.0} ms, {:.1} times real time",
                whole.median_ms,
                whole.rtfx
            );
        }
        Ok((rows, disturbed(&runs)))
    }
}
