//! One field as it was written in; a flag, a number, a time, a list or an object out, or the sentence that says what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::format::{self, Layout};
use crate::http::error::ApiError;

/// No span of time that can be asked for is longer: it is the length of Whisper's window.
pub const LONGEST: Duration = Duration::from_secs(30);

/// A field that is in the table, with a value that is not empty.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The spelling that the client chose.
    pub name: &'static str,
    /// What it wrote in brackets: nothing in `keywords[]`, `type` in `chunking_strategy[type]`.
    pub key: Option<&'a str>,
    pub value: &'a str,
}

impl<'a> Given<'a> {
    /// As the client wrote the field's name.
    pub fn written(&self) -> String {
        match self.key {
            Some(key) => format!("{}[{key}]", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The value is wrong; `allowed` completes "give ...".
    pub fn wrong(&self, allowed: impl Display) -> ApiError {
        self.wrong_part(self.value, allowed)
    }

    /// One entry of a list is wrong.
    pub fn wrong_part(&self, part: &str, allowed: impl Display) -> ApiError {
        let quoted = format::quoted(part);
        ApiError::param(self.name, format!("'{}' cannot be '{quoted}': give {allowed}", self.written()))
    }

    /// The value asks for something that is not built yet.
    pub fn not_offered(&self, what: &'static str) -> ApiError {
        ApiError::NotOffered { param: self.written(), what }
    }

    /// The field is one of the layout's.
    pub fn lay(&self, layout: &mut Layout) -> Result<(), ApiError> {
        let taken = layout.take(self.name, self.value);
        debug_assert!(
            taken.as_ref().is_ok_and(|known| *known) || taken.is_err(),
            "{} is no field of a layout",
            self.name
        );
        taken.map(|_| ()).map_err(|error| self.wrong_part(&error.value, error.allowed))
    }

    /// `null` is how JSON-minded clients write a flag that is not set.
    pub fn flag(&self) -> Result<bool, ApiError> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" | "null" | "none" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// Whether the value switches the field off.
    pub fn is_none(&self) -> bool {
        ["none", "null", "off"].iter().any(|off| self.value.eq_ignore_ascii_case(off))
    }

    pub fn number(&self, range: RangeInclusive<f64>) -> Result<f64, ApiError> {
        self.number_in(self.value, range)
    }

    /// `part` is the value or one entry of it.
    pub fn number_in(&self, part: &str, range: RangeInclusive<f64>) -> Result<f64, ApiError> {
        let allowed = || format!("a number from {} to {}", range.start(), range.end());
        within(part, &range).ok_or_else(|| self.wrong_part(part, allowed()))
    }

    /// A test's bound; none, null or off is the test switched off.
    pub fn threshold(&self, range: RangeInclusive<f64>) -> Result<Option<f32>, ApiError> {
        if self.is_none() {
            return Ok(None);
        }
        let allowed = || format!("a number from {} to {}, or none", range.start(), range.end());
        let number = within(self.value, &range).ok_or_else(|| self.wrong(allowed()))?;
        Ok(Some(number as f32))
    }

    pub fn whole<T>(&self, range: RangeInclusive<T>) -> Result<T, ApiError>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.whole_in(self.value, range)
    }

    pub fn whole_in<T>(&self, part: &str, range: RangeInclusive<T>) -> Result<T, ApiError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
        let number = part.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.wrong_part(part, allowed()))
    }

    pub fn millis(&self) -> Result<Duration, ApiError> {
        let most = LONGEST.as_millis();
        let millis = within(self.value, &(0.0..=most as f64));
        let millis = millis.ok_or_else(|| self.wrong(format!("milliseconds, from 0 to {most}")))?;
        Ok(Duration::from_secs_f64(millis / 1000.0))
    }

    /// At most `LONGEST`.
    pub fn seconds(&self, least: u32) -> Result<Duration, ApiError> {
        let seconds = within(self.value, &(f64::from(least)..=LONGEST.as_secs_f64()));
        let allowed = || format!("seconds, from {least} to {}", LONGEST.as_secs());
        seconds.map(Duration::from_secs_f64).ok_or_else(|| self.wrong(allowed()))
    }

    /// A JSON list, or values between commas or line ends. Empty entries are none.
    pub fn list(&self) -> Result<Vec<String>, ApiError> {
        let entries: Vec<String> = match self.value.starts_with('[') {
            true => {
                let parsed: Result<Vec<Value>, _> = serde_json::from_str(self.value);
                parsed
                    .map_err(|_| self.wrong("values with commas between them, or a JSON list"))?
                    .into_iter()
                    .map(plain)
                    .collect()
            }
            false => self.value.split([',', '\n', '\r']).map(str::to_owned).collect(),
        };
        Ok(entries
            .iter()
            .map(|entry| entry.trim())
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// The entries of an object: the one that the brackets name, or all of a JSON text. Those that are `null` or empty
    /// are none.
    pub fn entries(&self) -> Result<Vec<(String, String)>, ApiError> {
        if let Some(key) = self.key {
            return Ok(vec![(key.to_owned(), self.value.to_owned())]);
        }
        let parsed: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(self.value);
        let entries = parsed.map_err(|_| self.wrong("a JSON object"))?;
        let entries = entries.into_iter().filter(|(_, value)| !value.is_null());
        let entries = entries.map(|(key, value)| (key, plain(value)));
        Ok(entries.filter(|(_, value)| !value.trim().is_empty()).collect())
    }
}

/// What is not finite is in no range.
fn within(part: &str, range: &RangeInclusive<f64>) -> Option<f64> {
    part.parse().ok().filter(|number| range.contains(number))
}

/// As a form would have it.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
