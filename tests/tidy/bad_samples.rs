//! Every rule of the house, shown to fail on what it forbids and to pass what it allows.

use super::*;

fn modules(source: &str, path: &str) -> Vec<String> {
    imports_point_down(&File::new(path, source))
}

#[test]
fn an_upward_import_is_refused_however_it_is_written() {
    for source in [
        "use crate::http::App;",
        "use crate::{audio, http::{self, App}};",
        "fn f(app: &crate::http::App) {}",
        "use super::super::http::App;",
        "mod tests { use super::super::super::http; }",
    ] {
        assert_eq!(modules(source, "model/hub.rs").len(), 1, "{source}");
    }
}

#[test]
fn a_sideways_import_is_refused() {
    assert_eq!(modules("use crate::text::Token;", "audio/mel.rs").len(), 1);
    assert_eq!(modules("//! x\nuse crate::nothing;", "unheard_of.rs").len(), 1);
}

#[test]
fn downward_imports_comments_strings_and_test_modules_are_not() {
    let source = r##"
        // use crate::http;
        /* crate::http */
        const A: &str = "crate::http";
        const B: &str = r#"crate::http"#;
        fn f<'a>(c: char) -> bool { c == '"' || c == '\'' }
        use crate::audio::{LogMel, mel};
        mod tests { use super::*; use super::super::Slot; }
    "##;
    assert_eq!(modules(source, "model/hub.rs"), Vec::<String>::new());
}

#[test]
fn a_dependency_away_from_home_is_refused() {
    let stray = |path: &str, source: &str| dependencies_stay_home(&File::new(path, source)).len();
    assert_eq!(stray("http/form.rs", "use candle_core::Tensor;"), 1);
    assert_eq!(stray("http/form.rs", "use {std::fs, candle_core::Tensor};"), 1);
    assert_eq!(stray("engine/mod.rs", "fn f() -> anyhow::Result<()> { Ok(()) }"), 1);
    assert_eq!(stray("model/whisper/load.rs", "use candle_core::Tensor;"), 0);
    assert_eq!(stray("http/form.rs", "use crate::telemetry::metrics; let x = self.tower;"), 0);
}

#[test]
fn a_clock_in_a_pure_room_is_refused() {
    let complaints = |source: &str| pure_rooms_are_pure(&File::new("decoding/rules.rs", source)).len();
    assert_eq!(complaints("use std::time::{Duration, Instant};"), 1);
    assert_eq!(complaints("async fn f() {}"), 1);
    assert_eq!(complaints("use std::time::Duration;"), 0);
}

#[test]
fn an_unfit_file_is_refused() {
    let complaints = |path: &str, source: &str| files_are_well_formed(&File::new(path, source)).len();
    assert_eq!(complaints("audio/mel.rs", "use std::fs;"), 1);
    assert_eq!(complaints("audio/utils.rs", "//! Text.\n"), 1);
    assert_eq!(complaints("audio/mel.rs", &format!("//! Text.\nfn f() {{ {}!(1) }}", "dbg")), 1);
    assert_eq!(complaints("audio/mel.rs", &format!("//! Text.\n{}", "\n".repeat(LONGEST_FILE))), 1);
    assert_eq!(complaints("audio/mel.rs", "//! Text.\n"), 0);
    assert_eq!(unsafe_is_listed(&File::new("audio/mel.rs", "#[allow(unsafe_code)]")).len(), 1);
    assert_eq!(words_are_fit("a.md", &format!("{}: later", FORBIDDEN_WORDS[0])).len(), 1);
}

#[test]
fn a_setting_that_does_not_exist_is_refused() {
    let keys = vec!["audio.max_channels".to_owned()];
    let complaints = |text: &str| named_settings_exist(&File::new("audio/decode.rs", text), &keys).len();
    assert_eq!(complaints(r#"let a = "limit set by audio.max_chanels";"#), 1);
    assert_eq!(complaints(r#"let a = "limit set by audio.max_channels";"#), 0);
}
