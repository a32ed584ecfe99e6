//! Files under transcription: a bar for each that is worked on, and one for all; on no terminal, nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use crate::transcriber::Progress;

use super::outlook::{Outlook, Sum, clock};
use super::style;

/// Bars of single files at a time: a GPU works on dozens, and a terminal has few lines.
const MOST_BARS: usize = 8;
const FILE: &str = "  {prefix:28!} {bar:24} {percent:>3} %  {msg}";
const WHOLE: &str = "{spinner} {pos}/{len} files {wide_bar} {msg}";
/// Parts of a bar.
const PARTS: u64 = 1000;
const TICK: Duration = Duration::from_millis(200);

/// All files of one run.
pub struct Files {
    bars: MultiProgress,
    whole: ProgressBar,
    started: Instant,
    inner: RefCell<Inner>,
}

struct Inner {
    outlook: Outlook,
    under_way: BTreeMap<usize, File>,
}

struct File {
    name: String,
    progress: Progress,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Files {
    /// `bytes` of each file that is to be worked on.
    pub fn new(bytes: Vec<Option<u64>>) -> Self {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let whole = bars.add(ProgressBar::new(bytes.len() as u64).with_style(style(WHOLE)));
        whole.enable_steady_tick(TICK);
        let inner = RefCell::new(Inner { outlook: Outlook::new(bytes), under_way: BTreeMap::new() });
        Files { bars, whole, started: Instant::now(), inner }
    }

    pub fn begin(&self, file: usize, name: &str, progress: &Progress) {
        let name = name.rsplit('/').next().unwrap_or(name).to_owned();
        let begun = File { name, progress: progress.clone(), began: Instant::now(), bar: None };
        self.inner.borrow_mut().under_way.insert(file, begun);
    }

    /// `length`: seconds of its audio; 0 where it gave no text.
    pub fn end(&self, file: usize, length: f64) {
        let mut inner = self.inner.borrow_mut();
        inner.outlook.done(file, length);
        if let Some(bar) = inner.under_way.remove(&file).and_then(|file| file.bar) {
            self.clear(&bar);
        }
        self.whole.inc(1);
    }

    /// Shows how far everything is.
    pub fn refresh(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { outlook, under_way } = &mut *inner;
        let mut shown = 0;
        for (index, file) in under_way {
            let (length, share) = (file.progress.length().as_secs_f64(), file.progress.share());
            outlook.under_way(*index, length, share);
            if shown < MOST_BARS || file.bar.is_some() {
                shown += 1;
                self.show(file, length, share);
            }
        }
        self.whole.set_message(said(&outlook.sum(self.wall())));
    }

    fn show(&self, file: &mut File, length: f64, share: f64) {
        let bar = file.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(PARTS).with_style(style(FILE)).with_prefix(file.name.clone());
            self.bars.insert_before(&self.whole, bar)
        });
        let wall = file.began.elapsed().as_secs_f64();
        let heard = length * share;
        // What is left unsaid is heard again, which nobody can count beforehand: it is not done before it is.
        bar.set_position((share * PARTS as f64) as u64 * 99 / 100);
        bar.set_message(match heard > 0.0 && wall > 0.0 {
            true => {
                let speed = heard / wall;
                format!("{} of audio, {speed:.1}x, {} left", clock(length), clock((length - heard) / speed))
            }
            false if length > 0.0 => format!("{} of audio", clock(length)),
            false => "reading".to_owned(),
        });
    }

    pub fn sum(&self) -> Sum {
        self.inner.borrow().outlook.sum(self.wall())
    }

    pub fn wall(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Runs `print` with the bars out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bars.suspend(print)
    }

    pub fn finish(&self) {
        // Those that were broken off: they would take what is printed afterwards away with them.
        let under_way = std::mem::take(&mut self.inner.borrow_mut().under_way);
        under_way.into_values().filter_map(|file| file.bar).for_each(|bar| self.clear(&bar));
        self.whole.finish_and_clear();
    }

    fn clear(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.bars.remove(bar);
    }
}

fn said(sum: &Sum) -> String {
    let all = sum.all.map_or(String::new(), |all| {
        format!(" of {}{}", if sum.is_guess { "about " } else { "" }, clock(all))
    });
    let left = sum.left.map_or(String::new(), |left| format!(", {} left", clock(left)));
    format!("{}{all} of audio, {:.1} times real time{left}", clock(sum.heard), sum.speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_says_what_it_guesses() {
        let sum = Sum { heard: 60.0, all: Some(600.0), is_guess: true, speed: 20.0, left: Some(27.0) };
        assert_eq!(said(&sum), "1:00 of about 10:00 of audio, 20.0 times real time, 0:27 left");
        let sum = Sum { heard: 0.0, all: None, is_guess: true, speed: 0.0, left: None };
        assert_eq!(said(&sum), "0:00 of audio, 0.0 times real time");
    }
}
