//! What the broker says of one job in; out: its counts, its items' states and the order in which they ended. Pure.
//!
//! Everything has a revision, and who is first is decided by it alone, so that all who look see the same: an item whose end was written after
//! its job was cancelled was cancelled, and a job that was over before was not.

use std::collections::BTreeMap;

use super::records::{Kept, Moment, Record};
use crate::jobs::job::{Counts, ItemState, Standing};

#[derive(Clone, Debug, Default)]
pub struct Known {
    /// `None`: something is known of a job that is not handed in yet, or not any more.
    pub record: Option<(u64, Record)>,
    /// Of items that were begun.
    items: BTreeMap<usize, (u64, Kept)>,
    /// Those that ended, by revision.
    order: Vec<(u64, usize)>,
    /// Of `items`.
    counts: Counts,
    cancelled: Option<(u64, Moment)>,
    ended: Option<(u64, Moment)>,
    /// The latest revision of anything of it.
    pub changed: u64,
}

impl Known {
    pub fn set_item(&mut self, item: usize, kept: Option<Kept>, revision: u64) {
        let is_old = self.items.get(&item).is_some_and(|(known, _)| *known >= revision);
        let is_late = self.cancelled.is_some_and(|(cancelled, _)| revision > cancelled);
        if is_old || is_late {
            return;
        }
        if let Some((known, old)) = self.items.remove(&item) {
            take_away(&mut self.counts, &old.standing);
            if old.standing.state.is_final() {
                self.order.retain(|of| *of != (known, item));
            }
        }
        if let Some(kept) = kept {
            self.counts.add(&kept.standing);
            if kept.standing.state.is_final() {
                let at = self.order.partition_point(|(other, _)| *other < revision);
                self.order.insert(at, (revision, item));
            }
            self.items.insert(item, (revision, kept));
        }
    }

    pub fn set_cancelled(&mut self, moment: Option<Moment>, revision: u64) {
        if self.cancelled.is_some_and(|(known, _)| known >= revision) {
            return;
        }
        self.cancelled = moment.map(|moment| (revision, moment));
        if moment.is_some() && self.items.values().any(|(known, _)| *known > revision) {
            let items = std::mem::take(&mut self.items);
            self.order.clear();
            self.counts = Counts::default();
            for (item, (known, kept)) in items {
                self.set_item(item, Some(kept), known);
            }
        }
    }

    pub fn set_ended(&mut self, moment: Option<Moment>, revision: u64) {
        if self.ended.is_none_or(|(known, _)| known < revision) {
            self.ended = moment.map(|moment| (revision, moment));
        }
    }

    fn all(&self) -> usize {
        self.record.as_ref().map_or(0, |(_, record)| record.items)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_some() && self.order.len() < self.all()
    }

    pub fn is_over(&self) -> bool {
        self.record.is_some() && (self.cancelled.is_some() || self.order.len() >= self.all())
    }

    pub fn ended_ms(&self) -> Option<u64> {
        self.ended.map(|(_, moment)| moment.ms)
    }

    pub fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        let untouched = self.all().saturating_sub(self.items.len());
        if untouched > 0 {
            *counts.by_state.entry(ItemState::Queued).or_default() += untouched;
        }
        if self.is_cancelled() {
            let queued = counts.by_state.remove(&ItemState::Queued).unwrap_or_default();
            let working = counts.by_state.remove(&ItemState::Working).unwrap_or_default();
            *counts.by_state.entry(ItemState::Cancelled).or_default() += queued + working;
            counts.percent = 0;
        }
        counts
    }

    /// As it is kept, to be replaced by whoever names its revision; 0: nothing is.
    pub fn item(&self, item: usize) -> (u64, Kept) {
        self.items.get(&item).cloned().unwrap_or_default()
    }

    pub fn standing(&self, item: usize) -> Standing {
        let mut standing = self.item(item).1.standing;
        if let Some((_, moment)) = self.cancelled
            && !standing.state.is_final()
        {
            standing.state = ItemState::Cancelled;
            standing.ended_ms = Some(moment.ms);
        }
        standing
    }

    pub fn is_final(&self, item: usize) -> bool {
        self.cancelled.is_some() || self.item(item).1.standing.state.is_final()
    }

    /// What was cancelled has not ended: there is nothing to be told of it.
    pub fn ended(&self, skip: usize, most: usize) -> Vec<(usize, Standing)> {
        // Nothing can be cancelled in most jobs, and in a long one what is skipped need not be looked at.
        let is_told =
            |item: &usize| !self.is_cancelled() || self.standing(*item).state != ItemState::Cancelled;
        let order = self.order.iter().map(|(_, item)| *item).filter(is_told).skip(skip).take(most);
        order.map(|item| (item, self.standing(item))).collect()
    }
}

/// The opposite of `Counts::add`. What is done stays done, so that no seconds are ever taken away from a sum of fractions.
fn take_away(counts: &mut Counts, standing: &Standing) {
    if let Some(count) = counts.by_state.get_mut(&standing.state) {
        *count -= 1;
        if *count == 0 {
            counts.by_state.remove(&standing.state);
        }
    }
    match standing.state {
        ItemState::Done => counts.seconds -= standing.seconds.unwrap_or_default(),
        ItemState::Working => counts.percent -= u64::from(standing.percent),
        _ => {}
    }
}
