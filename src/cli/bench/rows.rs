//! Runs of a batch in, a row of figures for each stage of the work out.

use serde::Serialize;

use crate::audio::WINDOW_SECONDS;

use super::report::{Row, short};
use super::spread::{Spread, rounded};
use super::stages::Run;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Samples to spectrograms.
    Mel,
    /// Spectrograms to keys and values in the slots.
    Encode,
    /// One token more of each window.
    Step,
    /// Words held against the audio.
    Align,
    /// Samples to the last token; without alignment.
    EndToEnd,
}

/// Whose figures they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    pub model: String,
    pub device: String,
    pub dtype: String,
    /// Windows at once.
    pub batch: usize,
    /// Of each window.
    pub tokens: usize,
}

/// What one stage took for the whole batch, and what would come of it if there were nothing else to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageRow {
    #[serde(flatten)]
    pub case: Case,
    pub stage: Stage,
    pub samples: usize,
    pub median_ms: f64,
    pub min_ms: f64,
    pub p95_ms: f64,
    pub max_ms: f64,
    /// Of a step: by as many steps as the window has tokens.
    pub windows_per_s: f64,
    /// Where tokens are made.
    pub tokens_per_s: Option<f64>,
    /// Seconds of audio in a second: windows are full, 30 s each.
    pub rtfx: f64,
}

/// `runs`: at least one; a stage that was never run has no row.
pub fn rows(case: &Case, runs: &[Run]) -> Vec<StageRow> {
    let spreads = [
        (Stage::Mel, Spread::of(runs.iter().map(|run| run.mel))),
        (Stage::Encode, Spread::of(runs.iter().map(|run| run.encode))),
        (Stage::Step, Spread::of(runs.iter().flat_map(|run| &run.steps).copied())),
        (Stage::Align, Spread::of(runs.iter().map(|run| run.align))),
        (Stage::EndToEnd, Spread::of(runs.iter().map(|run| run.end_to_end))),
    ];
    spreads.into_iter().filter_map(|(stage, spread)| Some(row(case, stage, &spread?))).collect()
}

fn row(case: &Case, stage: Stage, spread: &Spread) -> StageRow {
    // A clock that has not moved cannot say how fast it was.
    let median = spread.median().max(1e-6);
    let (batch, tokens) = (case.batch as f64, case.tokens as f64);
    let calls = batch * 1e3 / median;
    let (windows, tokens) = match stage {
        Stage::Mel | Stage::Encode | Stage::Align => (calls, None),
        Stage::Step => (calls / tokens, Some(calls)),
        Stage::EndToEnd => (calls, Some(calls * tokens)),
    };
    StageRow {
        case: case.clone(),
        stage,
        samples: spread.samples(),
        median_ms: rounded(spread.median()),
        min_ms: rounded(spread.least()),
        p95_ms: rounded(spread.percentile(95)),
        max_ms: rounded(spread.most()),
        windows_per_s: rounded(windows),
        tokens_per_s: tokens.map(rounded),
        rtfx: rounded(windows * WINDOW_SECONDS as f64),
    }
}

impl Row for StageRow {
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "device",
        "dtype",
        "batch",
        "tokens",
        "stage",
        "median ms",
        "min ms",
        "p95 ms",
        "windows/s",
        "tokens/s",
        "x real time",
    ];
    const LABELS: usize = 6;

    fn cells(&self) -> Vec<String> {
        let Case { model, device, dtype, batch, tokens } = &self.case;
        let stage = match self.stage {
            Stage::Mel => "mel",
            Stage::Encode => "encode",
            Stage::Step => "step",
            Stage::Align => "align",
            Stage::EndToEnd => "end to end",
        };
        let labels = [model, device, dtype].map(String::clone);
        let numbers = [self.median_ms, self.min_ms, self.p95_ms, self.windows_per_s].map(short);
        let mut cells = labels.to_vec();
        cells.extend([batch.to_string(), tokens.to_string(), stage.to_owned()]);
        cells.extend(numbers);
        cells.extend([self.tokens_per_s.map_or_else(|| "-".to_owned(), short), short(self.rtfx)]);
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn case() -> Case {
        Case {
            model: "demo".to_owned(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
            batch: 4,
            tokens: 10,
        }
    }

    fn run(factor: u64) -> Run {
        let ms = |ms: u64| Duration::from_millis(ms * factor);
        Run { mel: ms(8), encode: ms(200), steps: vec![ms(20); 9], end_to_end: ms(400), align: ms(40) }
    }

    #[test]
    fn each_stage_says_what_it_alone_would_allow() {
        let rows = rows(&case(), &[run(1), run(1), run(3)]);
        let figures: Vec<_> = rows
            .iter()
            .map(|row| (row.stage, row.samples, row.windows_per_s, row.tokens_per_s, row.rtfx))
            .collect();
        assert_eq!(
            figures,
            [
                (Stage::Mel, 3, 500.0, None, 15_000.0),
                (Stage::Encode, 3, 20.0, None, 600.0),
                (Stage::Step, 27, 20.0, Some(200.0), 600.0),
                (Stage::Align, 3, 100.0, None, 3000.0),
                (Stage::EndToEnd, 3, 10.0, Some(100.0), 300.0),
            ]
        );
        let encode = &rows[1];
        assert_eq!(
            (encode.median_ms, encode.min_ms, encode.p95_ms, encode.max_ms),
            (200.0, 200.0, 600.0, 600.0)
        );
        assert!(rows.iter().all(|row| row.cells().len() == StageRow::COLUMNS.len()));
    }

    #[test]
    fn rows_have_the_names_that_scripts_read() {
        let row = serde_json::to_value(&rows(&case(), &[run(1)])[4]).unwrap();
        let names = [
            "model",
            "device",
            "dtype",
            "batch",
            "tokens",
            "stage",
            "median_ms",
            "p95_ms",
            "windows_per_s",
            "tokens_per_s",
            "rtfx",
        ];
        assert!(names.iter().all(|name| row.get(name).is_some()), "{row}");
        assert_eq!(row["stage"], "end_to_end");
    }
}
