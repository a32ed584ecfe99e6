//! Whisper's languages: code, name, and how to find one by either.
use crate::transcript::Language;
pub static ALL: [Language; 3] = [
    Language { code: "en", name: "english" },
    Language { code: "es", name: "spanish" },
    Language { code: "de", name: "german" },
];
pub fn by_code(code: &str) -> Option<Language> {
    ALL.iter().copied().find(|l| l.code == code)
}
pub const ENGLISH: Language = Language { code: "en", name: "english" };
