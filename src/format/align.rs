//! A text and its words in, the stretch of the text that belongs to each word out.

use std::ops::Range;

/// Between two words there is punctuation at most, and not much of it.
const MOST_BETWEEN: usize = 64;

/// A stretch for each word, one after the other and together the whole text; `None` where the words are not the text's.
/// Words may lack the punctuation around them, as OpenAI's do: it is joined to the word that it touches.
pub fn align<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<Vec<Range<usize>>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut cursor = 0;
    for word in words {
        let said = find(&text[cursor..], word.trim())?;
        let said = cursor + said.start..cursor + said.end;
        let begin = match found.last_mut() {
            None => 0,
            Some(previous) => {
                // Up to the first space it is the end of the word before.
                let between = &text[cursor..said.start];
                let joined = between.find(char::is_whitespace).unwrap_or(between.len());
                previous.end = cursor + joined;
                previous.end
            }
        };
        cursor = said.end;
        found.push(begin..cursor);
    }
    let rest = &text[cursor..];
    found.last_mut()?.end = text.len();
    (!rest.contains(char::is_alphanumeric)).then_some(found)
}

/// Where the word stands in the text, with no letter before it.
pub fn find(text: &str, word: &str) -> Option<Range<usize>> {
    for (at, c) in text.char_indices().take(MOST_BETWEEN) {
        if text[at..].starts_with(word) {
            return Some(at..at + word.len());
        }
        if c.is_alphanumeric() {
            return None;
        }
    }
    word.is_empty().then_some(0..0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces<'a>(text: &'a str, words: &[&str]) -> Option<Vec<&'a str>> {
        let ranges = align(text, words.iter().copied())?;
        Some(ranges.into_iter().map(|range| &text[range]).collect())
    }

    #[test]
    fn words_get_back_their_spaces_and_punctuation() {
        let text = " We need \"eggs\", fish - and sugar.";
        let stripped = pieces(text, &["We", "need", "eggs", "fish", "and", "sugar"]).unwrap();
        assert_eq!(stripped, [" We", " need", " \"eggs\",", " fish", " - and", " sugar."]);
        let attached =
            pieces(text, &[" We", " need", " \"eggs\",", " fish", " -", " and", " sugar."]).unwrap();
        assert_eq!(attached.concat(), text);
        assert_eq!(pieces("我们，好。", &["我", "们", "好"]).unwrap(), ["我", "们，", "好。"]);
    }

    #[test]
    fn words_that_are_not_the_text_s_are_refused() {
        assert_eq!(pieces("We need eggs", &["We", "need"]), None);
        assert_eq!(pieces("We need eggs", &["We", "eggs"]), None);
        assert_eq!(pieces("We", &[]), None);
        assert_eq!(pieces(&format!("a{}b", "-".repeat(100)), &["a", "b"]), None);
    }
}
