//! Entries of the key-value store in, in any order; out: jobs as a caller sees them, in memory, so that a list of ten thousand costs nothing. Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::known::Known;
use super::records::{Kept, Key, Record, read};
use crate::jobs::job::{Counts, ItemState, Standing, Summary};

#[derive(Debug, Default)]
pub struct View {
    jobs: HashMap<String, Known>,
    /// By owner, time and id.
    by_time: BTreeSet<(u64, u64, String)>,
    /// Keys that were removed, with revision and time: they say that something is gone, until nobody can have missed it.
    husks: BTreeMap<String, (u64, u64)>,
}

/// A job's item, for whoever is to work on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// Its job is not known here, or not yet.
    Unknown,
    /// Its job is forgotten.
    Gone,
    /// Nothing of it will change.
    Final,
    /// To be replaced by whoever names the revision.
    Open(u64, Kept),
}

impl View {
    /// One entry; `None`: the key was removed. True if there may be work now that was none before.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>, revision: u64, at_ms: u64) -> bool {
        let Some(key) = Key::parse(key) else { return false };
        match &key {
            Key::Request(..) => {
                self.bury(&key, value.is_none(), revision, at_ms);
                return false;
            }
            Key::Job(job) => return self.set_job(job, value, revision, at_ms),
            Key::Item(job, _) | Key::Cancelled(job) | Key::Ended(job) if self.is_gone(job) => return false,
            _ => {}
        }
        match key {
            Key::Item(job, item) => {
                let kept = value.and_then(read::<Kept>);
                let is_back = kept.as_ref().is_some_and(|kept| kept.standing.state == ItemState::Queued);
                self.known(job, revision).set_item(item, kept, revision);
                is_back
            }
            Key::Cancelled(job) => {
                self.known(job, revision).set_cancelled(value.and_then(read), revision);
                false
            }
            Key::Ended(job) => {
                self.known(job, revision).set_ended(value.and_then(read), revision);
                false
            }
            Key::Job(_) | Key::Request(..) => false,
        }
    }

    fn known(&mut self, job: String, revision: u64) -> &mut Known {
        let known = self.jobs.entry(job).or_default();
        known.changed = known.changed.max(revision);
        known
    }

    fn bury(&mut self, key: &Key, is_removed: bool, revision: u64, at_ms: u64) {
        let text = key.to_string();
        if self.husks.get(&text).is_some_and(|(known, _)| *known >= revision) {
            return;
        }
        match is_removed {
            true => self.husks.insert(text, (revision, at_ms)),
            false => self.husks.remove(&text),
        };
    }

    fn set_job(&mut self, job: &str, value: Option<&[u8]>, revision: u64, at_ms: u64) -> bool {
        let key = Key::Job(job.to_owned());
        let known = self.jobs.get(job).and_then(|known| known.record.as_ref());
        let is_old = known.is_some_and(|(known, _)| *known >= revision);
        if is_old || self.husks.get(&key.to_string()).is_some_and(|(known, _)| *known >= revision) {
            return false;
        }
        if let Some((_, record)) = known {
            self.by_time.remove(&(record.owner, record.created_ms, job.to_owned()));
        }
        let record = value.and_then(read::<Record>);
        self.bury(&key, record.is_none(), revision, at_ms);
        let Some(record) = record else {
            self.jobs.remove(job);
            return false;
        };
        self.by_time.insert((record.owner, record.created_ms, job.to_owned()));
        self.known(job.to_owned(), revision).record = Some((revision, record));
        true
    }

    /// It was removed: nothing that is still said of it counts.
    pub fn is_gone(&self, job: &str) -> bool {
        self.husks.contains_key(&Key::Job(job.to_owned()).to_string())
    }

    fn whole(&self, job: &str) -> Option<(&Known, &Record)> {
        let known = self.jobs.get(job)?;
        Some((known, &known.record.as_ref()?.1))
    }

    pub fn record(&self, job: &str) -> Option<&Record> {
        self.whole(job).map(|(_, record)| record)
    }

    pub fn summary(&self, job: &str) -> Option<Summary> {
        let (known, record) = self.whole(job)?;
        Some(Summary {
            id: job.to_owned(),
            owner: record.owner,
            created_ms: record.created_ms,
            name: record.name.clone(),
            priority: record.priority,
            counts: known.counts(),
            is_cancelled: known.is_cancelled(),
            ended_ms: known.ended_ms(),
        })
    }

    pub fn standing(&self, job: &str, item: usize) -> Standing {
        self.whole(job).map(|(known, _)| known.standing(item)).unwrap_or_default()
    }

    pub fn look(&self, job: &str, item: usize) -> Look {
        match self.whole(job) {
            None if self.is_gone(job) => Look::Gone,
            None => Look::Unknown,
            Some((known, _)) if known.is_final(item) => Look::Final,
            Some((known, _)) => {
                let (revision, kept) = known.item(item);
                Look::Open(revision, kept)
            }
        }
    }

    /// Every item has ended, or it was cancelled.
    pub fn is_over(&self, job: &str) -> bool {
        self.whole(job).is_some_and(|(known, _)| known.is_over())
    }

    pub fn is_cancelled(&self, id: &str) -> bool {
        self.whole(id).is_some_and(|(known, _)| known.is_cancelled())
    }

    pub fn has_end(&self, job: &str) -> bool {
        self.whole(job).is_some_and(|(known, _)| known.ended_ms().is_some())
    }

    pub fn ended(&self, job: &str, skip: usize, most: usize) -> Vec<(usize, Standing)> {
        self.whole(job).map(|(known, _)| known.ended(skip, most)).unwrap_or_default()
    }

    /// The newest first.
    pub fn list(&self, owner: u64, before: Option<&str>, most: usize) -> Vec<Summary> {
        let end = match before {
            None => owner
                .checked_add(1)
                .map_or(Bound::Unbounded, |next| Bound::Excluded((next, 0, String::new()))),
            Some(id) => match self.record(id) {
                Some(record) => Bound::Excluded((owner, record.created_ms, id.to_owned())),
                // It was forgotten since. Ids sort as times do.
                None => {
                    let mut all = self.by_time.range((owner, 0, String::new())..);
                    let next = all.find(|(whose, _, other)| *whose != owner || other.as_str() >= id);
                    match next {
                        Some(next) => Bound::Excluded(next.clone()),
                        None => Bound::Unbounded,
                    }
                }
            },
        };
        let range = self.by_time.range((Bound::Included((owner, 0, String::new())), end));
        range
            .rev()
            .filter(|(whose, _, _)| *whose == owner)
            .filter_map(|(_, _, id)| self.summary(id))
            .take(most)
            .collect()
    }

    /// What waits and what is worked on.
    pub fn backlog(&self) -> Counts {
        let mut all = Counts::default();
        for (id, known) in &self.jobs {
            if known.record.is_none() || self.is_over(id) {
                continue;
            }
            let counts = known.counts();
            for state in [ItemState::Queued, ItemState::Working] {
                if counts.of(state) > 0 {
                    *all.by_state.entry(state).or_default() += counts.of(state);
                }
            }
            all.percent += counts.percent;
        }
        all
    }

    /// Those that ended first come first.
    pub fn old(&self, before_ms: u64, most: usize) -> Vec<String> {
        let ended = self.jobs.iter().filter(|(_, known)| known.record.is_some());
        let ended = ended.filter_map(|(id, known)| Some((known.ended_ms()?, id)));
        let mut old: Vec<_> = ended.filter(|(ms, _)| *ms < before_ms).collect();
        old.sort();
        old.into_iter().take(most).map(|(_, id)| id.clone()).collect()
    }

    /// Jobs that are over, without a word that they have ended.
    pub fn unsettled(&self) -> Vec<String> {
        let jobs = self.jobs.iter().filter(|(_, known)| known.is_over() && known.ended_ms().is_none());
        jobs.map(|(id, _)| id.clone()).collect()
    }

    /// Keys that were removed before, with their revisions.
    pub fn husks(&self, before_ms: u64) -> Vec<(Key, u64)> {
        let old = self.husks.iter().filter(|(_, (_, at_ms))| *at_ms < before_ms);
        old.filter_map(|(key, (revision, _))| Some((Key::parse(key)?, *revision))).collect()
    }

    pub fn drop_husk(&mut self, key: &Key) {
        self.husks.remove(&key.to_string());
    }

    /// Another number when something of the job has changed.
    pub fn version(&self, job: &str) -> u64 {
        let husk = self.husks.get(&Key::Job(job.to_owned()).to_string()).map(|(revision, _)| *revision);
        husk.or_else(|| Some(self.jobs.get(job)?.changed)).unwrap_or_default()
    }
}
