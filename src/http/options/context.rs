//! What the decoder is told before it hears anything: prompt, prefix, keywords.

use super::{Field, Kind};

const MOST_KEYWORDS: usize = 500;
/// In characters.
const LONGEST_KEYWORD: usize = 100;

pub const FIELDS: &[Field] = &[
    Field {
        names: &["prompt", "initial_prompt"],
        kind: Kind::Text("TEXT"),
        help: "Text that could have been said just before: names and spellings to expect",
        take: |draft, given| {
            draft.wanted.options.context.prompt = Some(given.value.to_owned());
            Ok(())
        },
    },
    Field {
        names: &["prefix"],
        kind: Kind::Text("TEXT"),
        help: "Text as if the first window began with it; the answer goes on from there",
        take: |draft, given| {
            draft.wanted.options.context.prefix = Some(given.value.to_owned());
            Ok(())
        },
    },
    Field {
        names: &["keywords", "keyword", "hotwords"],
        kind: Kind::List("WORDS"),
        help: "Words to expect in every window, with commas between them",
        take: |draft, given| {
            for word in given.list()? {
                if word.chars().count() > LONGEST_KEYWORD {
                    let allowed = format!("keywords of at most {LONGEST_KEYWORD} characters each");
                    return Err(given.wrong_part(&word, allowed));
                }
                let keywords = &mut draft.wanted.options.context.keywords;
                if keywords.contains(&word) {
                    continue;
                }
                if keywords.len() == MOST_KEYWORDS {
                    return Err(given.wrong_part(&word, format!("at most {MOST_KEYWORDS} keywords")));
                }
                keywords.push(word);
            }
            Ok(())
        },
    },
];
