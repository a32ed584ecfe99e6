//! `X-Deadline-Ms` and `X-Priority` in; until when the answer is wanted and who goes first out.

use std::time::{Duration, Instant};

use http::HeaderMap;

use super::error::ApiError;
use crate::transcriber::Terms;

const DEADLINE: &str = "x-deadline-ms";
const PRIORITY: &str = "x-priority";
/// A day: whoever waits longer has no deadline.
const LONGEST_MS: u64 = 86_400_000;

/// `received`: when the request came, from which its deadline counts.
pub fn read(headers: &HeaderMap, received: Instant) -> Result<Terms, ApiError> {
    let given = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let deadline = match given(DEADLINE) {
        None => None,
        Some(text) => match text.parse::<u64>() {
            Ok(millis @ 1..=LONGEST_MS) => Some(received + Duration::from_millis(millis)),
            _ => {
                let message = format!(
                    "X-Deadline-Ms must be a number of milliseconds from 1 to {LONGEST_MS}, not '{text}'"
                );
                return Err(ApiError::param("X-Deadline-Ms", message));
            }
        },
    };
    let is_patient = match given(PRIORITY) {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("auto") => false,
        Some(text) if text.eq_ignore_ascii_case("batch") => true,
        Some(text) => {
            let message =
                format!("X-Priority must be auto (short recordings go first) or batch, not '{text}'");
            return Err(ApiError::param("X-Priority", message));
        }
    };
    Ok(Terms { deadline, is_patient, ..Terms::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &'static str, value: &str) -> Result<Terms, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        read(&headers, Instant::now())
    }

    #[test]
    fn a_deadline_counts_from_when_the_request_came() {
        let received = Instant::now();
        let mut headers = HeaderMap::new();
        headers.insert(DEADLINE, "1500".parse().unwrap());
        let deadline = read(&headers, received).unwrap().deadline;
        assert_eq!(deadline, Some(received + Duration::from_millis(1500)));
        assert_eq!(read(&HeaderMap::new(), received).unwrap().deadline, None);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (name, value) in [
            (DEADLINE, "0"),
            (DEADLINE, "-1"),
            (DEADLINE, "soon"),
            (DEADLINE, "86400001"),
            (PRIORITY, "high"),
        ] {
            let error = judged(name, value).err().map(|error| error.to_string().to_lowercase());
            assert!(error.as_ref().is_some_and(|error| error.contains(name)), "{name}: {value}: {error:?}");
        }
        assert!(judged(PRIORITY, "Batch").unwrap().is_patient);
        assert!(!judged(PRIORITY, "auto").unwrap().is_patient);
    }
}
