//! What a job is: files that are to be transcribed in the same way, what became of each, and what is said of both. Plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field of a form as it was sent, in order: what is wanted of every file of a job.
pub type Fields = Vec<(String, String)>;

/// A job as it was handed in; nothing of it changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    /// Whose it is; 0: nobody's, where there are no keys.
    pub owner: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// What the client calls it.
    pub name: Option<String>,
    pub priority: Priority,
    pub fields: Fields,
    /// Who is told when it has ended.
    pub webhook: Option<String>,
    /// The request that made it, so that it makes no second one.
    pub request: Option<Request>,
    pub items: Vec<Item>,
}

/// An `Idempotency-Key` and what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub key: String,
    /// Of files and fields, in hexadecimal digits.
    pub content: String,
}

/// A file of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What the client calls it: a file's name, a path in an archive, a URL.
    pub name: String,
    pub sound: Sound,
}

/// Where an item's audio is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    /// Among the blobs of the job. `hash`: SHA-256 of the bytes, in hexadecimal digits.
    Kept { hash: String, bytes: u64 },
    /// Fetched when its turn comes.
    Url(String),
    /// A file that was refused when the job was handed in; the others go on. The body of the error.
    Refused(Value),
}

/// Who goes first among jobs; requests that somebody waits for go ahead of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// The first to go first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }

    pub fn parse(text: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| text.trim().eq_ignore_ascii_case(priority.name()))
    }
}

/// Which file of which job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemId {
    pub job: String,
    /// From 0.
    pub item: usize,
}

/// What has become of an item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub state: ItemState,
    /// How much of it is transcribed, 0 to 100.
    pub percent: u8,
    /// How often a worker has begun it.
    pub deliveries: u32,
    /// Length of its audio, once that is known.
    pub seconds: Option<f64>,
    /// Of one that failed: OpenAI's `error` object.
    pub error: Option<Value>,
    /// The result was there already: the same file with the same options, of the same caller and model.
    #[serde(default)]
    pub is_duplicate: bool,
    /// When it was done or failed, in milliseconds since 1970.
    pub ended_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    #[default]
    Queued,
    Working,
    Done,
    Failed,
    Cancelled,
}

impl ItemState {
    pub const ALL: [ItemState; 5] =
        [ItemState::Queued, ItemState::Working, ItemState::Done, ItemState::Failed, ItemState::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            ItemState::Queued => "queued",
            ItemState::Working => "working",
            ItemState::Done => "done",
            ItemState::Failed => "failed",
            ItemState::Cancelled => "cancelled",
        }
    }

    /// It stays so.
    pub fn is_final(self) -> bool {
        !matches!(self, ItemState::Queued | ItemState::Working)
    }
}

/// A job in a list: what it is and how far, without its items.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub id: String,
    pub owner: u64,
    pub created_ms: u64,
    pub name: Option<String>,
    pub priority: Priority,
    pub counts: Counts,
    pub is_cancelled: bool,
    pub ended_ms: Option<u64>,
}

/// Items by state. Derived from the items each time, never counted up: what is counted up is wrong after the first crash.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub by_state: BTreeMap<ItemState, usize>,
    /// Seconds of audio of items that are done.
    pub seconds: f64,
    /// The sum of what items that are worked on have behind them, in hundredths of an item.
    pub percent: u64,
}

impl Counts {
    pub fn add(&mut self, standing: &Standing) {
        *self.by_state.entry(standing.state).or_default() += 1;
        match standing.state {
            ItemState::Done => self.seconds += standing.seconds.unwrap_or_default(),
            ItemState::Working => self.percent += u64::from(standing.percent),
            _ => {}
        }
    }

    pub fn of(&self, state: ItemState) -> usize {
        self.by_state.get(&state).copied().unwrap_or_default()
    }

    pub fn all(&self) -> usize {
        self.by_state.values().sum()
    }

    pub fn ended(&self) -> usize {
        self.by_state.iter().filter(|(state, _)| state.is_final()).map(|(_, count)| count).sum()
    }

    pub fn is_over(&self) -> bool {
        self.ended() == self.all()
    }

    /// 0 to 100; 100 only when nothing is left.
    pub fn percent(&self) -> f64 {
        let all = self.all().max(1) as f64;
        let done = self.ended() as f64 + self.percent as f64 / 100.0;
        if self.is_over() { 100.0 } else { (done / all * 100.0).min(99.9) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Working,
    /// Every item is done or failed; which, its counts say.
    Done,
    /// Not one item is done.
    Failed,
    Cancelled,
}

impl Summary {
    pub fn state(&self) -> JobState {
        let counts = &self.counts;
        match () {
            () if self.is_cancelled => JobState::Cancelled,
            () if !counts.is_over() && counts.ended() + counts.of(ItemState::Working) == 0 => {
                JobState::Queued
            }
            () if !counts.is_over() => JobState::Working,
            () if counts.of(ItemState::Done) == 0 && counts.all() > 0 => JobState::Failed,
            () => JobState::Done,
        }
    }
}

/// An id for a new job. Ids sort by time.
pub fn new_id() -> String {
    format!("job_{}", uuid::Uuid::now_v7().simple())
}

/// When an id was made, in milliseconds since 1970.
pub fn made_ms(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix("job_")?.get(..12)?, 16).ok()
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(states: &[(ItemState, u8)]) -> Summary {
        let mut counts = Counts::default();
        for (state, percent) in states {
            counts.add(&Standing { state: *state, percent: *percent, ..Standing::default() });
        }
        Summary {
            id: String::new(),
            owner: 0,
            created_ms: 0,
            name: None,
            priority: Priority::Normal,
            counts,
            is_cancelled: false,
            ended_ms: None,
        }
    }

    #[test]
    fn an_id_says_when_it_was_made() {
        let (before, id, after) = (now_ms(), new_id(), now_ms());
        assert!((before..=after).contains(&made_ms(&id).unwrap()), "{id}");
        assert_eq!([made_ms("job_"), made_ms("other"), made_ms("job_zzzzzzzzzzzzzzzz")], [None; 3]);
        assert!(id < new_id());
    }

    #[test]
    fn a_job_is_as_far_as_its_items() {
        use ItemState::{Done, Failed, Queued, Working};
        let told = |states: &[(ItemState, u8)]| {
            let summary = summary(states);
            (summary.state(), summary.counts.percent())
        };
        assert_eq!(told(&[(Queued, 0), (Queued, 0)]), (JobState::Queued, 0.0));
        assert_eq!(told(&[(Working, 50), (Queued, 0)]), (JobState::Working, 25.0));
        assert_eq!(told(&[(Done, 0), (Queued, 0)]), (JobState::Working, 50.0));
        assert_eq!(told(&[(Done, 0), (Failed, 0)]), (JobState::Done, 100.0));
        assert_eq!(told(&[(Failed, 0)]), (JobState::Failed, 100.0));
        let many: Vec<_> = (0..5_000).map(|at| if at == 0 { (Working, 0) } else { (Done, 0) }).collect();
        assert_eq!(told(&many), (JobState::Working, 99.9));
    }
}
