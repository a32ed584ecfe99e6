//! Rows of figures in, the same rows as a table for a terminal, as JSON and as Markdown out.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::Failure;
use crate::cli::machine::Head;
use crate::cli::transcribe::replace;

/// What a row of a table is made of.
pub trait Row: Serialize {
    /// Headings; the first `LABELS` columns are words, the others numbers.
    const COLUMNS: &'static [&'static str];
    const LABELS: usize;

    /// One for each column.
    fn cells(&self) -> Vec<String>;
}

/// All that was measured, and on what.
#[derive(Debug, Serialize)]
pub struct Report<R> {
    #[serde(flatten)]
    pub head: Head,
    /// What was asked for: repetitions, requests.
    #[serde(flatten)]
    pub asked: Map<String, Value>,
    pub rows: Vec<R>,
    /// What has no row, and why.
    pub failed: Vec<String>,
    /// What makes the figures doubtful.
    pub doubts: Vec<String>,
}

/// Where reports go beside standard output.
#[derive(Clone, Debug, clap::Args)]
pub struct Files {
    /// Write everything as JSON here.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the table as Markdown here.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Files {
    /// What is measured is kept as it comes: a matrix may take hours, and its last cell may fail.
    pub fn write<R: Row>(&self, report: &Report<R>) -> Result<(), Failure> {
        let write = |path: &PathBuf, text: &str| {
            let place = path.display().to_string();
            replace(path, text).map_err(|error| Failure::settings(anyhow::Error::new(error).context(place)))
        };
        if let Some(path) = &self.output {
            let json = serde_json::to_string_pretty(report).map_err(Failure::settings)?;
            write(path, &(json + "\n"))?;
        }
        match &self.markdown {
            Some(path) => write(path, &report.markdown()),
            None => Ok(()),
        }
    }
}

impl<R: Row> Report<R> {
    pub fn print(&self) {
        println!("{}\n\n{}", self.head.lines().join("\n"), self.table().trim_end());
    }

    /// Columns as wide as their widest cell, two spaces apart.
    pub fn table(&self) -> String {
        let lines = self.lines();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..R::COLUMNS.len()).map(width).collect();
        let mut table = String::new();
        for line in &lines {
            let padded = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                match column < R::LABELS {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                }
            });
            table.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            table.push('\n');
        }
        table
    }

    pub fn markdown(&self) -> String {
        let mut text = "# Measured by `verbatim bench`\n\n".to_owned();
        let asked = self.asked.iter().map(|(name, value)| match value {
            Value::String(value) => format!("{name}: {value}"),
            value => format!("{name}: {value}"),
        });
        for line in self.head.lines().into_iter().chain(asked) {
            text.push_str(&format!("- {line}\n"));
        }
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let lines = self.lines();
        let rule = |column| if column < R::LABELS { "---".to_owned() } else { "--:".to_owned() };
        text.push('\n');
        text.push_str(&row(&lines[0]));
        text.push_str(&row(&(0..R::COLUMNS.len()).map(rule).collect::<Vec<_>>()));
        lines[1..].iter().for_each(|cells| text.push_str(&row(cells)));
        for (heading, reasons) in [("Not measured", &self.failed), ("Doubtful", &self.doubts)] {
            if !reasons.is_empty() {
                text.push_str(&format!("\n{heading}:\n\n"));
                reasons.iter().for_each(|reason| text.push_str(&format!("- {reason}\n")));
            }
        }
        text
    }

    /// The headings, then the rows.
    fn lines(&self) -> Vec<Vec<String>> {
        let headings = R::COLUMNS.iter().map(|heading| (*heading).to_owned()).collect();
        [headings].into_iter().chain(self.rows.iter().map(Row::cells)).collect()
    }
}

/// Three digits that count, or all before the point.
pub fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize)]
    struct Weighed {
        what: &'static str,
        grams: f64,
    }

    impl Row for Weighed {
        const COLUMNS: &'static [&'static str] = &["what", "g"];
        const LABELS: usize = 1;

        fn cells(&self) -> Vec<String> {
            vec![self.what.to_owned(), short(self.grams)]
        }
    }

    fn report() -> Report<Weighed> {
        Report {
            head: Head::read(vec!["a card".to_owned()]),
            asked: Map::from_iter([("repetitions".to_owned(), Value::from(3))]),
            rows: vec![Weighed { what: "egg", grams: 58.25 }, Weighed { what: "grape", grams: 4.2 }],
            failed: vec!["the whale".to_owned()],
            doubts: vec!["the scales".to_owned()],
        }
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        assert_eq!(report().table(), "what      g\negg    58.2\ngrape  4.20\n");
    }

    #[test]
    fn markdown_has_the_machine_the_table_and_what_is_missing() {
        let text = report().markdown();
        assert!(text.contains("\n| what | g |\n| --- | --: |\n| egg | 58.2 |\n| grape | 4.20 |\n"), "{text}");
        assert!(text.contains("- repetitions: 3\n") && text.contains("- GPU: a card\n"), "{text}");
        assert!(text.ends_with("Not measured:\n\n- the whale\n\nDoubtful:\n\n- the scales\n"), "{text}");
    }

    #[test]
    fn json_has_head_and_rows_side_by_side() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["rows"][1], serde_json::json!({"what": "grape", "grams": 4.2}));
        assert_eq!((&json["repetitions"], &json["verbatim"]), (&3.into(), &env!("CARGO_PKG_VERSION").into()));
        assert!(json["machine"]["cores"].as_u64().unwrap() > 0);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0421, 1.234, 58.25, 99.99, 100.4, 12_345.6].map(short);
        assert_eq!(texts, ["0.042", "1.23", "58.2", "100.0", "100", "12346"]);
    }
}
