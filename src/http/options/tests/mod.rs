//! The whole table: what holds of every field, and how the tests of its two sides write a request.

mod accepted;
mod refusals;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::transcript::LongForm;

fn judge_pairs(pairs: &[(&str, &str)]) -> Result<Wanted, ApiError> {
    let fields: Vec<_> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    judge(&fields)
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let wanted = judge_pairs(pairs).unwrap_or_else(|error| panic!("{pairs:?}: {error}"));
    assert!(wanted.ignored.is_empty(), "{pairs:?}: {:?}", wanted.ignored);
    wanted.options
}

/// Each row is judged alone, and must be the defaults with this one change.
fn each_means(rows: &[(&str, &str)], change: impl Fn(&mut Options)) {
    let mut wanted = Options::default();
    change(&mut wanted);
    for row in rows {
        assert_eq!(options(&[*row]), wanted, "{row:?}");
    }
}

/// The parameter that is named, and the sentence.
fn refusal(pairs: &[(&str, &str)]) -> (String, String) {
    match judge_pairs(pairs) {
        Err(ApiError::BadRequest { param: Some(param), message }) => (param.to_owned(), message),
        other => panic!("{pairs:?}: {other:?}"),
    }
}

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn unknown_fields_are_named_once_and_unknown_entries_too() {
    let fields = [
        ("colour", "red"),
        ("user", ""),
        ("colour", "blue"),
        ("vad_parameters", r#"{"neg_threshold": 0.3}"#),
        ("", "x"),
    ];
    let wanted = judge_pairs(&fields).unwrap();
    assert_eq!(wanted.ignored, ["colour", "user", "vad_parameters[neg_threshold]", "(unnamed)"]);
    assert_eq!(wanted.options, Options::default());
}

#[test]
fn the_page_of_the_options_names_every_spelling_under_its_subject() {
    let page = include_str!("../../../../docs/options.md");
    for (title, fields) in SUBJECTS {
        let (_, section) = page.split_once(&format!("\n## {title}\n")).expect(title);
        let section = section.split("\n## ").next().unwrap_or_default();
        for name in fields.iter().flat_map(|field| field.names) {
            let row = |line: &str| line.starts_with("| `") && line.contains(&format!("`{name}`"));
            assert!(section.lines().any(row), "docs/options.md: {name} is not under {title:?}");
        }
    }
}

#[test]
fn no_name_stands_twice_in_the_table() {
    let mut names: Vec<&str> = fields().flat_map(|field| field.names).copied().collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    /// Whatever is written, the answer is options within their bounds or a sentence; never a panic.
    #[test]
    fn any_value_is_refused_or_within_bounds(
        fields in prop::collection::vec((prop::sample::select(names()), value()), 1..6)
    ) {
        let Ok(wanted) = judge(&fields) else { return Ok(()) };
        let Options { detection, search, fallback, speech, long_form, context, .. } = wanted.options;
        prop_assert!((1..=16).contains(&search.beam_size) && (1..=16).contains(&search.best_of));
        prop_assert!(search.patience > 0.0 && (1..=100).contains(&detection.windows));
        prop_assert!(detection.among.len() != 1 && context.keywords.len() <= 500);
        prop_assert!(!fallback.temperatures.is_empty() && fallback.temperatures.len() <= 11);
        prop_assert!(fallback.temperatures.iter().all(|t| (0.0..=1.0).contains(t)));
        let times = [speech.shortest, speech.min_silence, speech.padding];
        prop_assert!(times.iter().all(|time| *time <= values::LONGEST));
        if let LongForm::Independent { longest } = long_form {
            prop_assert!(longest >= millis(2000) && longest <= values::LONGEST);
        }
    }
}

/// As clients write them, with and without brackets.
fn names() -> Vec<String> {
    let names = fields().flat_map(|field| field.names);
    names.flat_map(|name| [(*name).to_owned(), format!("{name}[]"), format!("{name}[threshold]")]).collect()
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<f64>().prop_map(|number| number.to_string()),
        (-2i64..20).prop_map(|number| number.to_string()),
        (0.0..1.0f64).prop_map(|number| number.to_string()),
        r#"\[?("?(en|de|word|-?[0-9]{1,3})"?, ?){0,4}\]?"#,
        r#"\{("(threshold|type|speech_pad_ms)": ?("x"|[0-9]{1,6}|null|\[\])){0,1}\}?"#,
    ]
}
