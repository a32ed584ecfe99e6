//! The process's environment in, a layer of settings out.
//!
//! `VERBATIM_<SECTION>__<KEY>` sets any key. A few variables that people know from elsewhere set one key each.

use figment::value::{Dict, Value};

use super::ConfigError;
use super::layer::{Layer, leaves, nearest};
use super::upgrade::Renaming;

const PREFIX: &str = "VERBATIM_";

/// Short names. The full name of the same key wins over them.
pub(super) const SHORT: &[(&str, &str)] = &[
    ("VERBATIM_MODEL", "model.name"),
    ("VERBATIM_DEVICE", "model.device"),
    ("VERBATIM_LOG", "log.level"),
    ("HF_HUB_CACHE", "model.cache_dir"),
    ("HF_ENDPOINT", "model.endpoint"),
    ("HF_TOKEN", "model.token"),
    ("HF_HUB_OFFLINE", "model.offline"),
];

/// Read by the command line itself.
const NOT_SETTINGS: &[&str] = &["VERBATIM_CONFIG", "VERBATIM_SERVER_URL", "VERBATIM_API_KEY"];

/// What Kubernetes puts into the pods beside a Service that is called `verbatim`: no mistake of anyone's.
const OF_KUBERNETES: &[&str] = &["VERBATIM_SERVICE_", "VERBATIM_PORT"];

pub(super) fn read(
    variables: impl Iterator<Item = (String, String)>,
    known: &Dict,
    renaming: &mut Renaming,
) -> Result<Layer, ConfigError> {
    let known = leaves(known);
    let keys: Vec<String> = known.iter().map(|(key, _)| key.clone()).collect();
    let mut found: Vec<(String, String, Value)> = Vec::new();
    // Compose files pass on what is unset as an empty text.
    for (name, text) in variables.filter(|(_, text)| !text.is_empty()) {
        let Some(mut key) = key_of(&name) else { continue };
        if let Some(today) = renaming.today(&key, (&name, "the environment")) {
            key = today.to_owned();
        }
        let Some((_, default)) = known.iter().find(|(other, _)| *other == key) else {
            let nearest = nearest(&key, &keys).map(|key| name_of(&key));
            return Err(ConfigError::UnknownKey { key: name, place: "the environment".to_owned(), nearest });
        };
        let value = typed(&text, default);
        found.push((key, name, value));
    }
    // Later ones win: short names first.
    found.sort_by_key(|(_, name, _)| name.contains("__"));
    Ok(Layer::environment(found))
}

/// Whether a variable of that name would be read.
pub(super) fn is_ours(name: &str) -> bool {
    key_of(name).is_some()
}

/// `None` for variables that are not ours.
fn key_of(name: &str) -> Option<String> {
    if let Some((_, key)) = SHORT.iter().find(|(short, _)| *short == name) {
        return Some((*key).to_owned());
    }
    let rest = name.strip_prefix(PREFIX)?;
    let nested = rest.contains("__");
    let foreign = OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix)) && !nested;
    match NOT_SETTINGS.contains(&name) || foreign {
        true => None,
        false => Some(rest.to_lowercase().replace("__", ".")),
    }
}

pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The text as the kind of value that the setting has, so that a token of digits stays a text.
/// What does not fit is handed on as it is, for the error that names the key.
fn typed(text: &str, default: &Value) -> Value {
    match default {
        Value::Bool(..) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Value::from(true),
            "0" | "false" | "no" | "off" => Value::from(false),
            _ => Value::from(text),
        },
        Value::Num(..) => {
            let whole = text.parse::<u64>().map(Value::from);
            whole.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| Value::from(text))
        }
        Value::Array(..) => {
            Value::from(text.split(',').map(|item| Value::from(item.trim())).collect::<Vec<Value>>())
        }
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Overrides};

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, variables, &Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_take_the_kind_of_their_setting() {
        let config =
            load(&[("HF_HUB_OFFLINE", "1"), ("HF_TOKEN", "12345"), ("VERBATIM_MODEL__SLOTS", "3")]).unwrap();
        assert!(config.model.offline);
        assert_eq!(config.model.token.unwrap().reveal(), "12345");
        assert_eq!(config.model.slots, 3);
    }

    #[test]
    fn full_names_win_over_short_ones() {
        let config = load(&[("VERBATIM_MODEL__NAME", "full"), ("VERBATIM_MODEL", "short")]).unwrap();
        assert_eq!(config.model.name, "full");
    }

    #[test]
    fn empty_and_foreign_variables_are_nothing() {
        let foreign = [
            ("VERBATIM_MODEL", ""),
            ("VERBATIM_PORT", "tcp://10.0.0.1:8080"),
            ("VERBATIM_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("VERBATIM_SERVICE_HOST", "10.0.0.1"),
            ("PATH", "/bin"),
        ];
        assert_eq!(load(&foreign).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_variable_is_refused_with_a_hint() {
        let error = load(&[("VERBATIM_MODEL__SLOT", "3")]).unwrap_err();
        assert!(error.contains("VERBATIM_MODEL__SLOTS"), "{error}");
        assert!(load(&[("VERBATIM_MODLE", "x")]).is_err());
    }
}
