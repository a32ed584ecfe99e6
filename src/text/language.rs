//! Whisper's languages: code, name, and how to find one by either.

use crate::transcript::Language;

/// In Whisper's order: the n-th language has the n-th language token. A model knows the first 99 or all 100.
///
/// Follows `LANGUAGES`, openai/whisper tokenizer.py at c0d2f624.
pub static ALL: [Language; 100] = [
    language("en", "english"),
    language("zh", "chinese"),
    language("de", "german"),
    language("es", "spanish"),
    language("ru", "russian"),
    language("ko", "korean"),
    language("fr", "french"),
    language("ja", "japanese"),
    language("pt", "portuguese"),
    language("tr", "turkish"),
    language("pl", "polish"),
    language("ca", "catalan"),
    language("nl", "dutch"),
    language("ar", "arabic"),
    language("sv", "swedish"),
    language("it", "italian"),
    language("id", "indonesian"),
    language("hi", "hindi"),
    language("fi", "finnish"),
    language("vi", "vietnamese"),
    language("he", "hebrew"),
    language("uk", "ukrainian"),
    language("el", "greek"),
    language("ms", "malay"),
    language("cs", "czech"),
    language("ro", "romanian"),
    language("da", "danish"),
    language("hu", "hungarian"),
    language("ta", "tamil"),
    language("no", "norwegian"),
    language("th", "thai"),
    language("ur", "urdu"),
    language("hr", "croatian"),
    language("bg", "bulgarian"),
    language("lt", "lithuanian"),
    language("la", "latin"),
    language("mi", "maori"),
    language("ml", "malayalam"),
    language("cy", "welsh"),
    language("sk", "slovak"),
    language("te", "telugu"),
    language("fa", "persian"),
    language("lv", "latvian"),
    language("bn", "bengali"),
    language("sr", "serbian"),
    language("az", "azerbaijani"),
    language("sl", "slovenian"),
    language("kn", "kannada"),
    language("et", "estonian"),
    language("mk", "macedonian"),
    language("br", "breton"),
    language("eu", "basque"),
    language("is", "icelandic"),
    language("hy", "armenian"),
    language("ne", "nepali"),
    language("mn", "mongolian"),
    language("bs", "bosnian"),
    language("kk", "kazakh"),
    language("sq", "albanian"),
    language("sw", "swahili"),
    language("gl", "galician"),
    language("mr", "marathi"),
    language("pa", "punjabi"),
    language("si", "sinhala"),
    language("km", "khmer"),
    language("sn", "shona"),
    language("yo", "yoruba"),
    language("so", "somali"),
    language("af", "afrikaans"),
    language("oc", "occitan"),
    language("ka", "georgian"),
    language("be", "belarusian"),
    language("tg", "tajik"),
    language("sd", "sindhi"),
    language("gu", "gujarati"),
    language("am", "amharic"),
    language("yi", "yiddish"),
    language("lo", "lao"),
    language("uz", "uzbek"),
    language("fo", "faroese"),
    language("ht", "haitian creole"),
    language("ps", "pashto"),
    language("tk", "turkmen"),
    language("nn", "nynorsk"),
    language("mt", "maltese"),
    language("sa", "sanskrit"),
    language("lb", "luxembourgish"),
    language("my", "myanmar"),
    language("bo", "tibetan"),
    language("tl", "tagalog"),
    language("mg", "malagasy"),
    language("as", "assamese"),
    language("tt", "tatar"),
    language("haw", "hawaiian"),
    language("ln", "lingala"),
    language("ha", "hausa"),
    language("ba", "bashkir"),
    language("jw", "javanese"),
    language("su", "sundanese"),
    language("yue", "cantonese"),
];

/// What English-only models speak.
pub const ENGLISH: Language = language("en", "english");

/// Other English names, as `TO_LANGUAGE_CODE` of the same file has them.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("burmese", "my"),
    ("valencian", "ca"),
    ("flemish", "nl"),
    ("haitian", "ht"),
    ("letzeburgesch", "lb"),
    ("pushto", "ps"),
    ("panjabi", "pa"),
    ("moldavian", "ro"),
    ("moldovan", "ro"),
    ("sinhalese", "si"),
    ("castilian", "es"),
    ("mandarin", "zh"),
];

/// Codes that ISO 639 or browsers use where Whisper has another. Javanese is `jv` to everyone but Whisper.
const OTHER_CODES: [(&str, &str); 6] =
    [("jv", "jw"), ("nb", "no"), ("fil", "tl"), ("iw", "he"), ("cmn", "zh"), ("in", "id")];

/// By Whisper's own code, lower case: `en`, `haw`.
pub fn by_code(code: &str) -> Option<Language> {
    ALL.iter().copied().find(|language| language.code == code)
}

/// By English name or one of its aliases, lower case: `german`, `flemish`.
pub fn by_name(name: &str) -> Option<Language> {
    let by_own_name = ALL.iter().copied().find(|language| language.name == name);
    by_own_name.or_else(|| by_code(alias(&OTHER_NAMES, name)?))
}

/// What a person or a browser writes: a code, a name, or a tag such as `en-US` or `zh_Hant_TW`, in any case.
pub fn parse(text: &str) -> Option<Language> {
    let text = text.trim().to_lowercase();
    let known = |text: &str| by_code(text).or_else(|| by_code(alias(&OTHER_CODES, text)?));
    if let Some(language) = known(&text).or_else(|| by_name(&text)) {
        return Some(language);
    }
    // Only what looks like a tag: a code followed by subtags of letters and digits.
    let (code, rest) = text.split_once(['-', '_'])?;
    let is_subtag =
        |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if !rest.split(['-', '_']).all(is_subtag) {
        return None;
    }
    // Cantonese is written zh-yue or zh-HK-yue by some, and it is a language of its own to Whisper.
    rest.split(['-', '_']).find(|part| *part == "yue").and_then(by_code).or_else(|| known(code))
}

fn alias(table: &[(&str, &'static str)], key: &str) -> Option<&'static str> {
    table.iter().find(|(other, _)| *other == key).map(|(_, code)| *code)
}

const fn language(code: &'static str, name: &'static str) -> Language {
    Language { code, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        parse(text).map(|language| language.code)
    }

    #[test]
    fn the_order_is_that_of_the_language_tokens() {
        // Token ids of the multilingual tokenizer: start-of-transcript is 50258, English 50259.
        let token = |code: &str| 50_259 + ALL.iter().position(|language| language.code == code).unwrap();
        assert_eq!([token("en"), token("de"), token("su"), token("yue")], [50_259, 50_261, 50_357, 50_358]);
    }

    #[test]
    fn codes_and_names_are_distinct_and_found() {
        for language in ALL {
            assert_eq!(by_code(language.code), Some(language));
            assert_eq!(by_name(language.name), Some(language));
            assert_eq!(ALL.iter().filter(|other| other.name == language.name).count(), 1);
        }
    }

    #[test]
    fn every_alias_leads_to_a_language() {
        for (other, code) in OTHER_NAMES.iter().chain(&OTHER_CODES) {
            assert_eq!(parse(other).map(|language| language.code), Some(*code), "{other}");
        }
    }

    #[test]
    fn people_write_languages_in_many_ways() {
        assert_eq!(code("EN"), Some("en"));
        assert_eq!(code(" German "), Some("de"));
        assert_eq!(code("en-US"), Some("en"));
        assert_eq!(code("pt_BR"), Some("pt"));
        assert_eq!(code("zh-Hant-TW"), Some("zh"));
        assert_eq!(code("zh-yue"), Some("yue"));
        assert_eq!(code("nb-NO"), Some("no"));
        assert_eq!(code("Haitian Creole"), Some("ht"));
    }

    #[test]
    fn what_is_no_language_is_refused() {
        for text in ["", "-", "klingon", "xx", "en-", "en-US;q=0.9", "english-us", "en us", "\u{0}"] {
            assert_eq!(code(text), None, "{text:?}");
        }
    }
}
