//! What is going on, for people: bars on a terminal, log lines where there is none.

mod files;
mod outlook;

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::model::hub::Progress;

pub use files::Files;
pub use outlook::clock;

const DOWNLOAD: &str = "{msg:32!} {wide_bar} {bytes:>11}/{total_bytes:11} {bytes_per_sec:>13} {eta:>5}";
const HASHING: &str = "{msg:32!} {spinner} {bytes:>11} read {bytes_per_sec:>13}";
const ITEMS: &str = "{spinner} {pos}/{len} files {wide_bar} {elapsed}";

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

/// Files that are read and compared.
pub struct Hashing {
    bar: RefCell<ProgressBar>,
}

impl Hashing {
    pub fn new() -> Self {
        Hashing { bar: RefCell::new(ProgressBar::hidden()) }
    }

    /// So many bytes more of that file.
    pub fn read(&self, name: &str, bytes: u64) {
        let mut bar = self.bar.borrow_mut();
        if std::io::stderr().is_terminal() && bar.message() != name {
            bar.finish_and_clear();
            *bar = ProgressBar::no_length().with_style(style(HASHING)).with_message(name.to_owned());
        }
        bar.inc(bytes);
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.bar.borrow().finish_and_clear();
    }
}

/// Items of a job, of which each is done or not.
pub struct Items {
    bar: ProgressBar,
}

impl Items {
    pub fn new(count: usize) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(count as u64).with_style(style(ITEMS)),
            false => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        Items { bar }
    }

    pub fn done(&self) {
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
