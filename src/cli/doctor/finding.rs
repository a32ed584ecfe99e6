//! What a check found and how bad it is in; a line for people, or JSON for machines, out.

use serde::{Deserialize, Serialize};

/// The worst is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is nothing to check here.
    Skipped,
    Ok,
    /// It works, or may be meant.
    Warning,
    Fault,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Skipped => "skipped",
            State::Ok => "ok",
            State::Warning => "warning",
            State::Fault => "fault",
        }
    }

    /// As terminals colour it.
    fn colour(self) -> &'static str {
        match self {
            State::Skipped => "\x1b[2m",
            State::Ok => "\x1b[32m",
            State::Warning => "\x1b[33m",
            State::Fault => "\x1b[31m",
        }
    }
}

/// What one check has to say: no full stop at the end of either sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub state: State,
    pub found: String,
    /// Names the setting, the flag or the command.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(found: impl Into<String>) -> Finding {
        Finding { state: State::Ok, found: found.into(), remedy: None }
    }

    pub fn skipped(found: impl Into<String>) -> Finding {
        Finding { state: State::Skipped, found: found.into(), remedy: None }
    }

    pub fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { state: State::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub fn fault(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { state: State::Fault, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// A fault, or less where nobody asked for what does not work.
    pub fn fault_if(is_needed: bool, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        let state = if is_needed { State::Fault } else { State::Warning };
        Finding { state, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// A finding under the name of its check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub state: State,
    pub found: String,
    pub remedy: Option<String>,
    pub took_ms: u64,
}

impl Check {
    pub fn new(name: &str, finding: Finding, took_ms: u64) -> Check {
        let Finding { state, found, remedy } = finding;
        Check {
            name: name.to_owned(),
            state,
            found: one_line(&found),
            remedy: remedy.as_deref().map(one_line),
            took_ms,
        }
    }

    pub fn line(&self, colour: bool) -> String {
        let (on, off) = if colour { (self.state.colour(), "\x1b[0m") } else { ("", "") };
        let remedy = self.remedy.as_ref().map(|remedy| format!(". Remedy: {remedy}.")).unwrap_or_default();
        format!("{on}{:<7}{off}  {:<15}  {}{remedy}", self.state.name(), self.name, self.found)
    }
}

/// Errors of others have lines and full stops.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version.
    verbatim: &'static str,
    platform: String,
    checks: Vec<Check>,
    pub worst: State,
}

impl Report {
    pub fn new(checks: Vec<Check>) -> Report {
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let features = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
        let features = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| format!(", {name}"));
        let platform = format!(
            "{} {}, {build}{}",
            std::env::consts::OS,
            std::env::consts::ARCH,
            features.collect::<String>()
        );
        let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Skipped);
        Report { verbatim: env!("CARGO_PKG_VERSION"), platform, checks, worst }
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data serialises")
    }

    /// The last line.
    pub fn summary(&self) -> String {
        let count = |state: State| self.checks.iter().filter(|check| check.state == state).count();
        let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        format!(
            "{}, {}, {} ok, {} skipped (verbatim {}, {})",
            many(count(State::Fault), "fault"),
            many(count(State::Warning), "warning"),
            count(State::Ok),
            count(State::Skipped),
            self.verbatim,
            self.platform
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_whatever_was_found() {
        let check = Check::new("port", Finding::fault("it is\ntaken.", "take\n another."), 3);
        assert_eq!(check.line(false), "fault    port             it is taken. Remedy: take another.");
        assert!(check.line(true).starts_with("\x1b[31mfault  \x1b[0m"));
    }

    #[test]
    fn the_worst_of_a_report_is_that_of_its_checks() {
        let worst = |findings: Vec<Finding>| {
            Report::new(findings.into_iter().map(|finding| Check::new("a", finding, 0)).collect()).worst
        };
        let (ok, skipped) = (Finding::ok("a"), Finding::skipped("b"));
        let (warning, fault) = (Finding::warning("c", "d"), Finding::fault("e", "f"));
        assert_eq!(worst(vec![]), State::Skipped);
        assert_eq!(worst(vec![ok.clone(), skipped.clone()]), State::Ok);
        assert_eq!(worst(vec![warning.clone(), ok, skipped]), State::Warning);
        assert_eq!(worst(vec![fault, warning]), State::Fault);
    }
}
