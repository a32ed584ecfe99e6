//! Randomness in, a new secret out; and what a secret and its label must be like.

/// As long as what `present::masked` shows of its beginning, which so gives nothing away.
const PREFIX: &str = "vk-";
/// 192 bits: nobody finds it by trying, whatever the hash.
const BYTES: usize = 24;
const SHORTEST: usize = 16;
const LONGEST_LABEL: usize = 64;

/// A secret that nobody has had before.
pub fn draw() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no randomness: {error}"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// Labels stand in logs.
pub fn check_label(label: &str) -> Result<(), String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match (1..=LONGEST_LABEL).contains(&label.len()) && label.chars().all(is_fit) {
        true => Ok(()),
        false => Err(format!(
            "has a label that is not 1 to {LONGEST_LABEL} letters, digits, points, dashes and underscores"
        )),
    }
}

pub(super) fn check_secret(secret: &str) -> Result<(), String> {
    match secret.len() >= SHORTEST && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(format!(
            "has a secret that is not {SHORTEST} printable characters or more; `verbatim keys new LABEL` makes one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_fit_to_be_used() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_ne!(one, other);
        assert_eq!((check_secret(&one), one.len()), (Ok(()), PREFIX.len() + 2 * BYTES));
    }

    #[test]
    fn labels_are_fit_for_a_log() {
        assert!(["a", "ward-7", "Dr.Who_2"].iter().all(|label| check_label(label).is_ok()));
        assert!(["", "a b", "a\n", "é", &"x".repeat(65)].iter().all(|label| check_label(label).is_err()));
    }
}
