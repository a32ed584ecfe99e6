//! Text that goes round in circles, and text that only repeats the caller's prompt: found by looking at words alone.

/// Longest circle that is looked for, in tokens: a long sentence.
const LONGEST: usize = 48;
/// A circle is one once it was gone round so often, and covers so many tokens: people do say "no, no, no".
const ROUNDS: usize = 4;
const COVERED: usize = 16;

/// Kana and Chinese characters.
const ALONE: std::ops::RangeInclusive<char> = '\u{3040}'..='\u{9fff}';

/// Words in a row that chance does not bring about.
const RUN: usize = 4;
/// So many are an echo whatever else was said.
const LONG_RUN: usize = 8;

/// Where the circle at the end of `tokens` has been gone round for the first time: what follows is repetition. `None` where
/// they end in no circle.
pub fn circle<T: PartialEq>(tokens: &[T]) -> Option<usize> {
    let longest = LONGEST.min(tokens.len() / ROUNDS);
    (1..=longest).find_map(|period| {
        let same = (period..tokens.len()).rev().take_while(|at| tokens[*at] == tokens[*at - period]).count();
        let covered = same + period;
        let goes_round = same > 0 && covered >= COVERED.max(ROUNDS * period);
        goes_round.then(|| tokens.len() - covered + period)
    })
}

/// Words without case and punctuation; of scripts that write no spaces, every character.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars() {
        let alone = ALONE.contains(&c);
        match words.last_mut() {
            Some(word) if open && !alone && c.is_alphanumeric() => word.extend(c.to_lowercase()),
            _ if c.is_alphanumeric() => words.push(c.to_lowercase().collect()),
            _ => {}
        }
        open = c.is_alphanumeric() && !alone;
    }
    words
}

/// The words of `said` that stand in `prompt` in the same order, where they are so many that hearing them is less likely than
/// repeating them: nearly all that was said, or a long run.
pub fn echo<'a>(prompt: &[String], said: &'a [String]) -> Option<&'a [String]> {
    let (start, length) = longest_run(prompt, said);
    let nearly_all = length * 5 >= said.len() * 4;
    (length >= LONG_RUN || length >= RUN && nearly_all).then(|| &said[start..start + length])
}

/// Whether `run` stands in `said` as it is.
pub fn says(said: &[String], run: &[String]) -> bool {
    !run.is_empty() && said.windows(run.len()).any(|window| window == run)
}

/// Start in `said` and length of the longest run of words that both hold.
fn longest_run(prompt: &[String], said: &[String]) -> (usize, usize) {
    let mut best = (0, 0);
    // Lengths of the runs that end at each word of the prompt and at the word of `said` before this one.
    let mut row = vec![0usize; prompt.len() + 1];
    for (at, word) in said.iter().enumerate() {
        for place in (0..prompt.len()).rev() {
            row[place + 1] = if prompt[place] == *word { row[place] + 1 } else { 0 };
            if row[place + 1] > best.1 {
                best = (at + 1 - row[place + 1], row[place + 1]);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_said_over_and_over_is_a_circle_after_its_first_time() {
        let mut tokens = vec![9, 8];
        tokens.extend([1, 2, 3, 4, 5].repeat(4));
        assert_eq!(circle(&tokens), Some(7));
        tokens.extend([1, 2]);
        assert_eq!(circle(&tokens), Some(7));
        tokens.push(7);
        assert_eq!(circle(&tokens), None);
    }

    #[test]
    fn people_may_repeat_themselves() {
        assert_eq!(circle(&[1; 15]), None);
        assert_eq!(circle(&[1; 16]), Some(1));
        assert_eq!(circle(&[1, 2, 3, 4, 5, 6].repeat(3)), None);
        assert_eq!(circle::<u32>(&[]), None);
    }

    #[test]
    fn an_echo_is_the_prompt_itself_or_much_of_it() {
        let prompt =
            words("Dr. Ruiz, Metformin, blood pressure, take two tablets before breakfast every single day");
        let found = |said: &str| echo(&prompt, &words(said)).map(<[String]>::len);
        assert_eq!(found("blood pressure take two"), Some(4));
        assert_eq!(found("Dr. Ruiz."), None);
        assert_eq!(found("she must take two tablets before lunch and then rest for an hour"), None);
        assert_eq!(
            found(
                "and so on: take two tablets before breakfast every single day, the doctor told her at length"
            ),
            Some(8)
        );
    }

    #[test]
    fn words_lose_case_and_punctuation_and_characters_stand_alone() {
        assert_eq!(words("Dr. Ruiz's  ÄRZTE, 3.5!"), ["dr", "ruiz", "s", "ärzte", "3", "5"]);
        assert_eq!(words("日本の Tokyo"), ["日", "本", "の", "tokyo"]);
    }

    #[test]
    fn a_run_is_found_again_only_whole() {
        let said = words("Please take two tablets.");
        assert!(says(&said, &words("take two")));
        assert!(!says(&said, &words("two take")) && !says(&said, &[]));
    }
}
