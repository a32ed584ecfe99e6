//! Numbers as they were stored in, times that can be worked with out, or a sentence that names the place.

use std::time::Duration;

use super::StoredError;

/// Longer than a year of audio: nobody means it.
pub(super) const MOST_SECONDS: f64 = 4e7;

/// `place` is where the number stands.
pub(super) fn time(seconds: Option<f64>, place: impl Fn() -> String) -> Result<Duration, StoredError> {
    let Some(seconds) = seconds else { return Err(at(place(), "is missing".to_owned())) };
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        let what = format!("is {seconds}; times are between 0 and {MOST_SECONDS} seconds");
        return Err(at(place(), what));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Both ends of what stands at `place`.
pub(super) fn span(
    start: Option<f64>,
    end: Option<f64>,
    place: impl Fn() -> String,
) -> Result<(Duration, Duration), StoredError> {
    let from = time(start, || format!("{}.start", place()))?;
    let until = time(end, || format!("{}.end", place()))?;
    if until < from {
        let what = format!("is {}, before its start at {}", until.as_secs_f64(), from.as_secs_f64());
        return Err(at(format!("{}.end", place()), what));
    }
    Ok((from, until))
}

/// Refuses a start that lies before the one of the item ahead of it.
pub(super) fn follows(
    start: Duration,
    previous: Duration,
    place: impl Fn() -> String,
) -> Result<(), StoredError> {
    if start < previous {
        let (start, previous) = (start.as_secs_f64(), previous.as_secs_f64());
        let what = format!("is {start}, but what stands before it begins later, at {previous}");
        return Err(at(format!("{}.start", place()), what));
    }
    Ok(())
}

fn at(place: String, what: String) -> StoredError {
    StoredError::At { place, what }
}
