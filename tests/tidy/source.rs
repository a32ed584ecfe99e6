//! Rust source in, the facts that the house rules speak of out: which modules and crates it names, its strings, its macros.
//!
//! A lexer and a reader of paths, not a parser: enough to follow `use` trees and qualified paths, small enough to trust.

/// What matters of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Word(String),
    Text(String),
    /// `::`
    Colons,
    Mark(char),
}

/// The facts of one file.
#[derive(Debug, Default, PartialEq)]
pub struct Facts {
    /// Top-level modules of our own crate that it names.
    pub modules: Vec<String>,
    /// First segments of every path that is neither our own nor the standard library's.
    pub crates: Vec<String>,
    /// Full paths as written, `::` and all; those of `use` groups are flattened.
    pub paths: Vec<String>,
    pub texts: Vec<String>,
    /// Names of the macros called.
    pub macros: Vec<String>,
    pub has_async: bool,
}

/// `module` is the file's place in the crate: `["audio", "decode"]` for src/audio/decode.rs, empty for the root.
pub fn facts(source: &str, module: &[&str]) -> Facts {
    let tokens = lex(source);
    let mut facts = Facts::default();
    let mut inline_modules: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth -= 1;
                if inline_modules.last() == Some(&depth) {
                    inline_modules.pop();
                }
            }
            Token::Text(text) => facts.texts.push(text.clone()),
            Token::Word(word) if word == "async" => facts.has_async = true,
            Token::Word(word) if word == "mod" && tokens.get(at + 2) == Some(&Token::Mark('{')) => {
                inline_modules.push(depth);
            }
            Token::Word(word) => {
                if tokens.get(at + 1) == Some(&Token::Mark('!'))
                    && tokens.get(at + 2) != Some(&Token::Mark('='))
                {
                    facts.macros.push(word.clone());
                }
                let starts = at == 0 || !matches!(tokens[at - 1], Token::Colons | Token::Mark('.'));
                if starts && tokens.get(at + 1) == Some(&Token::Colons) {
                    let level = module.len() + inline_modules.len();
                    let mut paths = Vec::new();
                    read_tree(&tokens, at, Vec::new(), &mut paths);
                    for path in paths {
                        record(&mut facts, path, level);
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    facts
}

/// Follows a path from `at`, splitting at groups, and returns the index behind it.
fn read_tree(
    tokens: &[Token],
    mut at: usize,
    mut prefix: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => prefix.push(word.clone()),
            Some(Token::Mark('*')) => prefix.push("*".to_owned()),
            Some(Token::Mark('{')) => {
                at += 1;
                while at < tokens.len() && tokens[at] != Token::Mark('}') {
                    match tokens[at] {
                        Token::Word(_) => at = read_tree(tokens, at, prefix.clone(), found),
                        _ => at += 1,
                    }
                }
                return at + 1;
            }
            // `::<` of a turbofish ends the path for our purposes.
            _ => {
                found.push(prefix);
                return at;
            }
        }
        at += 1;
        if tokens.get(at) != Some(&Token::Colons) {
            found.push(prefix);
            return at;
        }
        at += 1;
    }
}

/// `level`: how many modules deep the path was written, so that `super` chains that reach the root are seen.
fn record(facts: &mut Facts, path: Vec<String>, level: usize) {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    let own = match path[0].as_str() {
        "crate" | "verbatim" => path.get(1),
        "super" if supers >= level => path.get(supers),
        _ => None,
    };
    if let Some(name) = own {
        facts.modules.push(name.clone());
    }
    let first = path[0].as_str();
    let lower = first.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if lower && !matches!(first, "crate" | "verbatim" | "super" | "self" | "std" | "core" | "alloc") {
        facts.crates.push(first.to_owned());
    }
    facts.paths.push(path.join("::"));
}

/// Comments vanish, strings become `Text`, lifetimes and numbers lose their meaning.
pub fn lex(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => at = skip_until(&chars, at, '\n'),
            '/' if next == Some('*') => at = skip_block_comment(&chars, at),
            '"' => at = string(&chars, at + 1, &mut tokens),
            'r' | 'b' if raw_string(&chars, at).is_some() => {
                let (start, hashes) = raw_string(&chars, at).expect("just seen");
                let close: String = std::iter::once('"').chain("#".repeat(hashes).chars()).collect();
                let rest: String = chars[start..].iter().collect();
                let length = rest.find(&close).unwrap_or(rest.len());
                tokens.push(Token::Text(rest[..length].to_owned()));
                at = start + rest[..length].chars().count() + close.len();
            }
            '\'' => at = quote(&chars, at),
            ':' if next == Some(':') => {
                tokens.push(Token::Colons);
                at += 2;
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = (at..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len());
                tokens.push(Token::Word(chars[at..end].iter().collect()));
                at = end;
            }
            c if c.is_whitespace() => at += 1,
            c => {
                tokens.push(Token::Mark(c));
                at += 1;
            }
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn skip_until(chars: &[char], at: usize, end: char) -> usize {
    (at..chars.len()).find(|i| chars[*i] == end).unwrap_or(chars.len())
}

fn skip_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(chars: &[char], mut at: usize, tokens: &mut Vec<Token>) -> usize {
    let mut text = String::new();
    while at < chars.len() && chars[at] != '"' {
        if chars[at] == '\\' {
            at += 1;
        }
        text.extend(chars.get(at));
        at += 1;
    }
    tokens.push(Token::Text(text));
    at + 1
}

/// Where the text of `r"`, `r#"`, `br"` at `at` starts, and its number of hashes.
fn raw_string(chars: &[char], at: usize) -> Option<(usize, usize)> {
    if at > 0 && is_word(chars[at - 1]) {
        return None;
    }
    let mut i = at;
    if chars[i] == 'b' {
        i += 1;
    }
    if chars.get(i) != Some(&'r') {
        return None;
    }
    let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(i + 1 + hashes) == Some(&'"')).then_some((i + 2 + hashes, hashes))
}

/// A character literal is skipped whole; a lifetime loses its tick only.
fn quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => skip_until(chars, at + 3, '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}
