//! What is known of each file in; how much audio there is in all, how fast it goes and how long it takes out. Pure.

/// One file.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// On the disk; `None`: a pipe.
    bytes: Option<u64>,
    /// Seconds of audio; `None`: not read yet.
    length: Option<f64>,
    heard: f64,
}

/// All files of one run. Audio that no one has looked at yet is guessed from the bytes of what was.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    files: Vec<Known>,
}

/// The whole, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum {
    pub heard: f64,
    /// `None`: nobody can tell yet.
    pub all: Option<f64>,
    /// Whether some of it is guessed.
    pub is_guess: bool,
    /// Times real time.
    pub speed: f64,
    pub left: Option<f64>,
}

impl Outlook {
    pub fn new(bytes: impl IntoIterator<Item = Option<u64>>) -> Self {
        Outlook { files: bytes.into_iter().map(|bytes| Known { bytes, ..Known::default() }).collect() }
    }

    /// `share`: 0 to 1. It never goes back: what was heard once counts.
    pub fn under_way(&mut self, file: usize, length: f64, share: f64) {
        let known = &mut self.files[file];
        known.length = (length > 0.0).then_some(length).or(known.length);
        known.heard = (length * share).max(known.heard);
    }

    /// One that gave no text has no audio to count.
    pub fn done(&mut self, file: usize, length: f64) {
        let known = &mut self.files[file];
        (known.length, known.heard) = (Some(length), length);
        if length == 0.0 {
            // Nothing is to be guessed from it.
            known.bytes = Some(0);
        }
    }

    /// `wall`: seconds since the start.
    pub fn sum(&self, wall: f64) -> Sum {
        let heard: f64 = self.files.iter().map(|file| file.heard).sum();
        let known: f64 = self.files.iter().filter_map(|file| file.length).sum();
        let looked_at = self.files.iter().filter(|file| file.length.is_some());
        let (count, bytes) =
            looked_at.fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.bytes.unwrap_or(0)));
        let unknown: Vec<&Known> = self.files.iter().filter(|file| file.length.is_none()).collect();
        let guess = |file: &&Known| match file.bytes {
            Some(size) if bytes > 0 => known * size as f64 / bytes as f64,
            _ => known / f64::from(count),
        };
        let all = match (unknown.is_empty(), known > 0.0) {
            (true, _) => Some(known),
            (false, true) => Some(known + unknown.iter().map(guess).sum::<f64>()),
            (false, false) => None,
        };
        let speed = if wall > 0.0 { heard / wall } else { 0.0 };
        let left = all.filter(|_| speed > 0.0).map(|all| (all - heard).max(0.0) / speed);
        Sum { heard, all, is_guess: !unknown.is_empty(), speed, left }
    }
}

/// `0:07`, `12:30`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_that_nobody_has_read_is_guessed_from_the_bytes_of_what_was() {
        let mut outlook = Outlook::new([Some(1_000), Some(1_000), Some(4_000)]);
        assert_eq!(outlook.sum(1.0).all, None);
        outlook.under_way(0, 60.0, 0.5);
        let sum = outlook.sum(10.0);
        assert_eq!((sum.heard, sum.all, sum.is_guess, sum.speed), (30.0, Some(360.0), true, 3.0));
        assert_eq!(sum.left, Some(110.0));
        outlook.done(0, 60.0);
        outlook.under_way(1, 100.0, 0.0);
        outlook.under_way(2, 240.0, 0.25);
        let sum = outlook.sum(60.0);
        assert_eq!((sum.heard, sum.all, sum.is_guess, sum.left), (120.0, Some(400.0), false, Some(140.0)));
    }

    #[test]
    fn a_file_that_failed_and_a_pipe_do_not_spoil_the_guess() {
        let mut outlook = Outlook::new([Some(9_000_000), Some(1_000), None, Some(2_000)]);
        outlook.done(0, 0.0);
        assert_eq!(outlook.sum(1.0).all, None);
        outlook.done(1, 10.0);
        // Twice the bytes; and of a pipe, the mean of those that were looked at.
        assert_eq!(outlook.sum(1.0).all, Some(10.0 + 20.0 + 5.0));
    }

    #[test]
    fn progress_does_not_go_back() {
        let mut outlook = Outlook::new([Some(1)]);
        outlook.under_way(0, 100.0, 0.8);
        outlook.under_way(0, 100.0, 0.5);
        assert_eq!(outlook.sum(1.0).heard, 80.0);
    }

    #[test]
    fn clocks_are_read_by_people() {
        assert_eq!([7.4, 750.0, 3723.0].map(clock), ["0:07", "12:30", "1:02:03"]);
    }
}
