//! What is going on, for people: bars on a terminal, log lines where there is none.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::model::hub::Progress;

const DOWNLOAD: &str = "{msg:32!} {wide_bar} {bytes:>11}/{total_bytes:11} {bytes_per_sec:>13} {eta:>5}";
const FILES: &str = "{spinner} {pos}/{len} files {wide_bar} {msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Downloads of model files, one after the other.
pub struct Download {
    bar: Option<ProgressBar>,
}

impl Download {
    pub fn new() -> Self {
        Download { bar: std::io::stderr().is_terminal().then(ProgressBar::hidden) }
    }

    pub fn on(&mut self, progress: Progress<'_>) {
        match (&mut self.bar, progress) {
            (None, Progress::File { name, bytes }) => {
                tracing::info!("downloading {name}, {}", HumanBytes(bytes))
            }
            (None, _) => {}
            (Some(bar), Progress::File { name, bytes }) => {
                // The client announces a file again for each connection it takes up.
                if bar.message() != name {
                    bar.finish();
                    *bar = ProgressBar::new(bytes).with_style(style(DOWNLOAD)).with_message(name.to_owned());
                }
                bar.set_position(0);
            }
            (Some(bar), Progress::Received(bytes)) => bar.inc(bytes),
            (Some(bar), Progress::Verifying { .. }) => bar.finish(),
        }
    }
}

/// Files under transcription.
pub struct Files {
    bar: ProgressBar,
}

impl Files {
    pub fn new(count: usize) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(count as u64).with_style(style(FILES)),
            false => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        Files { bar }
    }

    /// `audio`: seconds transcribed so far; `wall`: seconds since the start.
    pub fn show(&self, audio: f64, wall: f64) {
        let speed = if wall > 0.0 { audio / wall } else { 0.0 };
        self.bar.set_message(format!("{audio:.0} s of audio, {speed:.1} times real time"));
    }

    pub fn file_done(&self) {
        self.bar.inc(1);
    }

    /// Runs `print` with the bar out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
