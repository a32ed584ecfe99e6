//! Two neighbouring pieces of text in, how good it is to break between them out; and how wide text is.

use unicode_width::UnicodeWidthChar;

use crate::format::UNDETERMINED;

/// From the best place to break to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    /// After a sentence.
    Sentence,
    /// After a comma and its like.
    Clause,
    /// Before a word that opens a clause, a bracket or a quotation.
    Opening,
    /// Between any two words.
    Space,
    /// Before punctuation that French sets apart with a space, and after an opening quotation mark of that kind.
    Glued,
}

impl Break {
    /// What a break here costs a reader, in the unit of the layout's other costs.
    pub fn cost(self) -> f64 {
        match self {
            Break::Sentence => 0.0,
            Break::Clause => 4.0,
            Break::Opening => 6.0,
            Break::Space => 12.0,
            Break::Glued => 200.0,
        }
    }

    /// `language` is Whisper's code.
    pub fn between(before: &str, after: &str, language: &str) -> Break {
        if after.chars().all(|c| CLOSING.contains(c)) || before.chars().all(|c| OPENING.contains(c)) {
            return Break::Glued;
        }
        let core =
            before.trim_end_matches(|c| CLOSING.contains(c) && !ENDS.contains(c) && !PAUSES.contains(c));
        let goes_on = after.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_lowercase);
        if core.ends_with(|c| ENDS.contains(c)) && !goes_on && !is_abbreviation(core) {
            return Break::Sentence;
        }
        if core.ends_with(|c| PAUSES.contains(c)) {
            return Break::Clause;
        }
        let opens = after.starts_with(|c| OPENING.contains(c)) || is_conjunction(after, language);
        if opens { Break::Opening } else { Break::Space }
    }
}

/// Columns: full-width characters have two, marks on other characters none.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

pub fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Whether text may be broken between two characters with no space between them: in scripts that write none, and there
/// neither before closing punctuation and marks nor after opening punctuation.
pub fn may_break(before: char, after: char) -> bool {
    let spaceless = is_spaceless(before) || is_spaceless(after);
    spaceless && !never_first(after) && !never_last(before)
}

/// Scripts without spaces between words.
fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x0F00..=0x0FFF // Tibetan
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x2E80..=0x31FF // radicals, CJK punctuation, kana, bopomofo
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
        | 0xFF00..=0xFF9F) // full-width forms, half-width kana
        && !matches!(u32::from(c), 0x3130..=0x318F) // Hangul letters: Korean has spaces
}

fn never_first(c: char) -> bool {
    const SMALL: &str = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶーｰ々〻ゝゞヽヾ";
    // Thai and Lao vowels that follow their consonant.
    let follows =
        matches!(u32::from(c), 0x0E30 | 0x0E32 | 0x0E33 | 0x0E45 | 0x0E46 | 0x0EB0 | 0x0EB2 | 0x0EB3);
    char_width(c) == 0 || follows || CLOSING.contains(c) || SMALL.contains(c)
}

fn never_last(c: char) -> bool {
    // Thai and Lao vowels that are written before their consonant, and the joiner of emoji.
    matches!(u32::from(c), 0x0E40..=0x0E44 | 0x0EC0..=0x0EC4 | 0x200D) || OPENING.contains(c)
}

/// What may end a sentence.
const ENDS: &str = ".!?…。！？｡؟۔।॥‼⁇⁈⁉．";
const PAUSES: &str = ",;:–—、，；：､،؛";
const CLOSING: &str = ".!?…。！？｡؟۔।॥‼⁇⁈⁉．,;:、，；：､،؛)]}\"”’»›）］｝」』】〕〉》〗｣%％・～";
const OPENING: &str = "([{“‘„‚«‹¿¡（［｛「『【〔〈《〖｢";

fn is_abbreviation(word: &str) -> bool {
    const TITLES: [&str; 17] = [
        "dr", "mr", "mrs", "ms", "prof", "st", "sr", "sra", "srta", "jr", "vs", "nr", "fig", "hr", "fr",
        "bzw", "ca",
    ];
    let Some(stem) = word.strip_suffix('.') else { return false };
    let stem = stem.trim_start_matches(|c| OPENING.contains(c));
    let initial = stem.chars().count() == 1 && stem.chars().all(char::is_alphabetic);
    initial || (stem.contains('.') && !stem.ends_with('.')) || TITLES.contains(&stem.to_lowercase().as_str())
}

/// Words that open a clause, by Whisper's code of the language.
const CONJUNCTIONS: [(&str, &[&str]); 7] = [
    (
        "en",
        &[
            "and", "but", "or", "nor", "so", "because", "that", "which", "who", "when", "where", "while",
            "if", "than", "although", "until", "unless",
        ],
    ),
    (
        "es",
        &[
            "y", "e", "o", "u", "ni", "pero", "sino", "porque", "que", "cuando", "donde", "si", "aunque",
            "mientras", "como",
        ],
    ),
    (
        "de",
        &[
            "und", "oder", "aber", "denn", "sondern", "weil", "dass", "wenn", "als", "ob", "damit", "obwohl",
            "während", "bis", "wie",
        ],
    ),
    (
        "fr",
        &[
            "et", "ou", "mais", "donc", "car", "parce", "que", "qui", "quand", "si", "lorsque", "puisque",
            "où",
        ],
    ),
    ("it", &["e", "ed", "o", "ma", "però", "perché", "che", "quando", "dove", "se", "mentre"]),
    ("pt", &["e", "ou", "mas", "porque", "que", "quando", "onde", "se", "embora", "enquanto"]),
    ("nl", &["en", "of", "maar", "want", "omdat", "dat", "als", "toen", "terwijl", "die"]),
];

/// In a language that is not known any of them may be one.
fn is_conjunction(word: &str, language: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let lists = CONJUNCTIONS.iter().filter(|(code, _)| *code == language || language == UNDETERMINED.code);
    lists.into_iter().any(|(_, words)| words.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_comes_before_conjunctions_and_those_before_mere_spaces() {
        for (before, after, language, wanted) in [
            ("sugar.", "We", "en", Break::Sentence),
            ("sugar.\"", "We", "en", Break::Sentence),
            ("Dr.", "Ruiz", "en", Break::Space),
            ("U.S.", "Army", "en", Break::Space),
            ("well...", "maybe", "en", Break::Space),
            ("eggs,", "fish", "en", Break::Clause),
            ("fish", "and", "en", Break::Opening),
            ("pan", "y", "es", Break::Opening),
            ("Brot", "und", "de", Break::Opening),
            ("bread", "und", "en", Break::Space),
            ("Brot", "und", "und", Break::Opening),
            ("he", "(quietly)", "en", Break::Opening),
            ("Quoi", "?", "fr", Break::Glued),
            ("«", "Non", "fr", Break::Glued),
            ("很好。", "我", "zh", Break::Sentence),
        ] {
            assert_eq!(Break::between(before, after, language), wanted, "{before} | {after}");
        }
    }

    #[test]
    fn only_scripts_without_spaces_break_between_letters() {
        assert!(may_break('我', '们') && may_break('年', '2') && may_break('ก', 'ข'));
        assert!(!may_break('a', 'b') && !may_break('한', '국'));
        assert!(!may_break('好', '。') && !may_break('「', '好') && !may_break('き', 'ゃ'));
        assert!(!may_break('ก', '\u{0E31}') && !may_break('เ', 'ก'));
    }

    #[test]
    fn full_width_characters_count_twice_and_marks_not_at_all() {
        assert_eq!([width("abc"), width("漢字"), width("e\u{301}")], [3, 4, 1]);
    }
}
