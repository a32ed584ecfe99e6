//! The settings in; whether the file, the variables and the flags say what can be meant, out.

use crate::cli::load;
use crate::config::ConfigError;
use crate::telemetry;

use super::case::Case;
use super::finding::Finding;

pub fn check(case: &Case) -> Finding {
    let mut problems: Vec<(String, String)> =
        case.wrong.iter().map(|error| (error.to_string(), remedy(error))).collect();
    if let Err(failure) = load::options(&case.config) {
        problems.push((
            failure.to_string(),
            "correct --device or --dtype (model.device, model.dtype)".to_owned(),
        ));
    }
    if let Err(error) = telemetry::check(&case.config.log, &case.config.telemetry) {
        problems.push((error.to_string(), "correct that key, or leave it out".to_owned()));
    }
    match problems.as_slice() {
        [] => Finding::ok(sources(case)),
        [(problem, remedy)] => {
            Finding::fault(format!("{problem}; the other checks go on without it"), remedy.as_str())
        }
        several => {
            let listed: Vec<&str> = several.iter().map(|(problem, _)| problem.as_str()).collect();
            Finding::fault(
                format!(
                    "{} things are wrong: {}; the other checks go on without them",
                    several.len(),
                    listed.join("; ")
                ),
                "correct each where it stands; config/default.toml documents every key",
            )
        }
    }
}

/// Names of keys and files alone: values may be secrets.
fn sources(case: &Case) -> String {
    let file = case.file.as_ref().map(|file| file.display().to_string());
    let variables = (!case.variables.is_empty()).then(|| case.variables.join(", "));
    match (file, variables) {
        (None, None) => "no file and no variables: the defaults, and what flags say".to_owned(),
        (file, variables) => {
            let places: Vec<String> = [file, variables].into_iter().flatten().collect();
            format!("from {}; the rest are defaults", places.join(" and "))
        }
    }
}

fn remedy(error: &ConfigError) -> String {
    match error {
        ConfigError::File { .. } => {
            "give a file that can be read, in TOML, with --config (or in VERBATIM_CONFIG)".to_owned()
        }
        ConfigError::Newer { .. } => {
            "take a newer verbatim, or a settings file for this one (docs/upgrading.md)".to_owned()
        }
        ConfigError::UnknownKey { key, place, .. } => {
            format!("correct {key} in {place}, or take it out; config/default.toml has every key there is")
        }
        ConfigError::Value { key, place, .. } => {
            let place = place.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
            format!("correct {key}{place}; config/default.toml says what it takes")
        }
    }
}
