//! The file of keys in, TOML or JSON; its entries out, or where it is wrong.

use std::path::Path;

use serde::Deserialize;

use super::KeysError;
use super::entry::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<Entry>,
}

/// A file without any is taken for one that is just being written.
pub fn read(path: &Path) -> Result<Vec<Entry>, KeysError> {
    let wrong = |detail: String| KeysError::File { path: path.display().to_string(), detail };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let document = if is_json { json(&text) } else { toml(&text) }.map_err(wrong)?;
    match document.keys.is_empty() {
        true => Err(wrong("it holds no keys".to_owned())),
        false => Ok(document.keys),
    }
}

fn json(text: &str) -> Result<Document, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The error's own text would quote the line, and there may be a secret in it by mistake.
fn toml(text: &str) -> Result<Document, String> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Class, Quota};
    use super::*;
    use crate::http::digest::Digest;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read_as(suffix: &str, text: &str) -> Result<Vec<Entry>, String> {
        let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = format!(
            "[[keys]]\nlabel = 'ward-7'\ndigest = '{DIGEST}'\nclass = 'batch'\nprivate = true\n\
             requests_per_minute = 60\naudio_seconds_per_hour = 7200\nmax_concurrent = 4\n"
        );
        let json = format!(
            r#"{{"keys": [{{"label": "ward-7", "digest": "{DIGEST}", "class": "batch", "private": true,
                "requests_per_minute": 60, "audio_seconds_per_hour": 7200, "max_concurrent": 4}}]}}"#
        );
        let wanted = Entry {
            label: "ward-7".to_owned(),
            digest: Digest::of(b"abc"),
            class: Class::Batch,
            is_private: true,
            quota: Quota {
                requests_per_minute: Some(60),
                audio_seconds_per_hour: Some(7200),
                max_concurrent: Some(4),
            },
        };
        assert_eq!(read_as(".toml", &toml), Ok(vec![wanted.clone()]));
        assert_eq!(read_as(".json", &json), Ok(vec![wanted]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_the_line() {
        let told = |text: String| read_as(".toml", &text).unwrap_err();
        let head = "[[keys]]\nlabel = 'a'\n";
        let plain = told(format!("{head}digest = 'my-own-secret'\n"));
        assert!(plain.contains("64 hexadecimal digits") && !plain.contains("my-own-secret"), "{plain}");
        let unknown = told(format!("{head}digest = '{DIGEST}'\nrequests = 1\n"));
        assert!(unknown.contains("requests_per_minute"), "{unknown}");
        assert!(told(format!("{head}digest = '{DIGEST}'\nmax_concurrent = 0\n")).contains("is 0"));
        assert!(told(format!("[[keys]]\nlabel = 'a b'\ndigest = '{DIGEST}'\n")).contains("label"));
        assert!(told("keys = []".to_owned()).contains("holds no keys"));
        assert!(told(String::new()).contains("keys"));
        assert!(told(format!("{head}digest = \n")).contains("line 3"));
    }
}
