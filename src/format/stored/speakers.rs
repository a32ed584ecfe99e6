//! Speakers' names as they were stored in, channels out.

/// A to Z, then AA, are our own names for channels, and OpenAI's for speakers. Where another name appears, the speakers
/// are counted as they come.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    /// In the order in which they appear.
    others: Vec<String>,
    counted: bool,
}

/// Beyond that it is hardly the name of a speaker.
const MOST: usize = 1_000;

impl Speakers {
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Speakers {
        let mut speakers = Speakers::default();
        for name in names.filter(|name| !name.is_empty()) {
            speakers.counted |= letters(name).is_none();
            if speakers.others.len() < MOST && !speakers.others.iter().any(|known| known == name) {
                speakers.others.push(name.to_owned());
            }
        }
        speakers
    }

    pub fn channel(&self, name: &str) -> Option<usize> {
        match self.counted {
            true => self.others.iter().position(|known| known == name),
            false => letters(name),
        }
    }

    /// What became of names that are not kept.
    pub fn warning(&self) -> Option<String> {
        let told = self.others.iter().take(26).enumerate();
        let told: Vec<String> =
            told.map(|(channel, name)| format!("{} is '{name}'", crate::format::speaker(channel))).collect();
        self.counted.then(|| format!("speakers are named by letters: {}", told.join(", ")))
    }
}

/// `A` is 0, `Z` 25, `AA` 26; the inverse of `format::speaker`.
fn letters(name: &str) -> Option<usize> {
    let fits = (1..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase());
    let count = |name: &str| name.bytes().fold(0, |sum, byte| sum * 26 + usize::from(byte - b'A') + 1);
    fits.then(|| count(name) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::speaker;

    #[test]
    fn letters_are_channels_and_back() {
        for channel in [0, 1, 25, 26, 27, 701, 702, 18_277] {
            assert_eq!(letters(&speaker(channel)), Some(channel), "{}", speaker(channel));
        }
        assert_eq!(letters("agent"), None);
    }

    #[test]
    fn other_names_are_counted_as_they_come() {
        let speakers = Speakers::of(["SPEAKER_01", "B", "SPEAKER_01"].into_iter());
        assert_eq!([speakers.channel("SPEAKER_01"), speakers.channel("B")], [Some(0), Some(1)]);
        assert!(speakers.warning().unwrap().contains("A is 'SPEAKER_01', B is 'B'"));
        assert_eq!(Speakers::of(["B"].into_iter()).warning(), None);
    }
}
