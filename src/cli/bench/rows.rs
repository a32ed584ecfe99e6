//! Runs of a batch in, a row of figures for each stage of the work out.

use serde::Serialize;

use crate::audio::WINDOW_SECONDS;
use crate::telemetry::memory;

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
    /// End to end: time of all cores together that a run took, the median.
    pub cpu_ms: Option<f64>,
    /// End to end: the most memory that this process has had so far, all models before included.
    pub peak_memory_bytes: Option<u64>,
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
    let mut rows: Vec<StageRow> =
        spreads.into_iter().filter_map(|(stage, spread)| Some(row(case, stage, &spread?))).collect();
    if let Some(whole) = rows.iter_mut().find(|row| row.stage == Stage::EndToEnd) {
        let ran = Spread::of(runs.iter().filter_map(|run| run.cores).map(|cores| cores.ran));
        whole.cpu_ms = ran.map(|ran| rounded(ran.median()));
        whole.peak_memory_bytes = memory::peak();
    }
    rows
}

/// A sentence where others had the cores for more than a tenth of the time that these runs wanted them: such figures say more of the
/// machine's other work than of ours.
pub fn disturbed(runs: &[Run]) -> Option<String> {
    let cores = || runs.iter().filter_map(|run| run.cores);
    let ran: f64 = cores().map(|cores| cores.ran.as_secs_f64()).sum();
    let waited: f64 = cores().map(|cores| cores.waited.as_secs_f64()).sum();
    (waited > (ran + waited) / 10.0).then(|| {
        format!(
            "its threads ran for {ran:.1} s and waited {waited:.1} s for a core: others are at work on this machine, or there are more \
             threads than cores"
        )
    })
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
        cpu_ms: None,
        peak_memory_bytes: None,
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
        "cpu ms",
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
        let known = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), short);
        cells.extend([known(self.tokens_per_s), short(self.rtfx), known(self.cpu_ms)]);
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Cores;

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
        Run {
            mel: ms(8),
            encode: ms(200),
            steps: vec![ms(20); 9],
            end_to_end: ms(400),
            cores: Some(Cores { ran: ms(700), waited: ms(70) }),
            align: ms(40),
        }
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
    fn the_whole_says_what_it_took_of_the_cores_and_a_disturbed_one_is_told() {
        let rows = rows(&case(), &[run(1), run(1), run(3)]);
        let told: Vec<Option<f64>> = rows.iter().map(|row| row.cpu_ms).collect();
        assert_eq!(told, [None, None, None, None, Some(700.0)]);
        assert_eq!(disturbed(&[run(1), run(2)]), None);
        let cores = Some(Cores { ran: Duration::from_secs(9), waited: Duration::from_secs(2) });
        assert!(disturbed(&[Run { cores, ..run(1) }]).is_some_and(|said| said.contains("waited 2.0 s")));
        assert_eq!(disturbed(&[Run { cores: None, ..run(1) }]), None);
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
