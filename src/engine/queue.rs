//! Windows of many requests in, the next one for a free slot out: pure, and generic over what waits.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996) at three levels: among the classes by weight, within a class among the keys
//! that the requests came with, and within a key among its requests, one window costing the same as another. Who was not waiting
//! gets no credit for it, but that requests which are being decoded are waiting too: those who came together end together. A key
//! with a hundred requests gets no more of the device than a key with one, and a request of a hundred windows no more than one of
//! two.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::Ticket;

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for these few seconds of speech.
    Interactive,
    /// A long recording.
    #[default]
    Batch,
}

impl Class {
    /// Windows of an interactive request taken for one of a batch, where both wait.
    fn weight(self) -> f64 {
        match self {
            Class::Interactive => 8.0,
            Class::Batch => 1.0,
        }
    }
}

/// Of one key, by request.
type Requests<T> = Level<u64, VecDeque<(Ticket, T)>>;

#[derive(Debug)]
pub struct Queue<T> {
    classes: Level<Class, Level<u64, Requests<T>>>,
    len: usize,
}

/// Classes, keys or requests, and who of them was served how much.
#[derive(Debug)]
struct Level<K, L> {
    /// The latest start that was served.
    clock: f64,
    /// Those of whom something waits, who attend, or who had more than their share.
    members: BTreeMap<K, Member<L>>,
}

#[derive(Debug)]
struct Member<L> {
    /// Where its next turn starts, but never further back than its credit allows.
    start: f64,
    /// Requests of it that are being prepared or heard.
    attending: usize,
    /// What of it waits.
    line: L,
}

/// Windows that somebody who attends may be behind the others at most, and then has ahead of them.
const MOST_CREDIT: f64 = 64.0;

impl<T> Queue<T> {
    pub fn new() -> Self {
        Queue { classes: Level::default(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, ticket: Ticket, waiting: T) {
        let keys = &mut self.classes.member(ticket.class).line;
        let requests = &mut keys.member(ticket.key).line;
        requests.member(ticket.request).line.push_back((ticket, waiting));
        self.len += 1;
    }

    /// The request is here, and its windows are to come: from now on it has its share, and what of it passes meanwhile is made up
    /// for. Of recordings that came together the one that was decoded last would else be the last to end.
    pub fn attend(&mut self, ticket: Ticket) {
        // Not the class: interactive windows come and go, and the long ones beside them are owed nothing for it.
        let keys = &mut self.classes.member(ticket.class).line;
        keys.attend(ticket.key).line.attend(ticket.request);
    }

    /// The end of what `attend` began.
    pub fn leave(&mut self, ticket: Ticket) {
        let keys = &mut self.classes.member(ticket.class).line;
        keys.leave(ticket.key).line.leave(ticket.request);
        self.classes.forget();
    }

    /// Whose turn it is among the classes that `may` have one; windows of a request keep their order.
    pub fn pop(&mut self, may: impl Fn(Class) -> bool) -> Option<(Ticket, T)> {
        let popped = self.classes.pop(may, |class| 1.0 / class.weight())?;
        self.len -= 1;
        Some(popped)
    }

    /// Takes out whatever is not wanted any more.
    pub fn remove_if(&mut self, gone: impl Fn(&Ticket, &T) -> bool) -> Vec<(Ticket, T)> {
        let mut removed = Vec::new();
        self.classes.remove_if(&gone, &mut removed);
        self.len -= removed.len();
        removed
    }
}

/// What a level is made of: further levels, and at the bottom the windows of one request.
trait Line<T> {
    /// Whether nothing waits.
    fn is_empty(&self) -> bool;
    fn take(&mut self) -> Option<(Ticket, T)>;
    fn remove_if(&mut self, gone: &impl Fn(&Ticket, &T) -> bool, removed: &mut Vec<(Ticket, T)>);
    /// Whether something waits, or somebody attends.
    fn is_in_use(&self) -> bool;
    /// Lets go of members of whom there is nothing to remember.
    fn forget(&mut self);
}

impl<T> Line<T> for VecDeque<(Ticket, T)> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn take(&mut self) -> Option<(Ticket, T)> {
        self.pop_front()
    }

    fn remove_if(&mut self, gone: &impl Fn(&Ticket, &T) -> bool, removed: &mut Vec<(Ticket, T)>) {
        let (out, kept) = std::mem::take(self).into_iter().partition(|(ticket, one)| gone(ticket, one));
        *self = kept;
        removed.extend::<VecDeque<_>>(out);
    }

    fn is_in_use(&self) -> bool {
        !self.is_empty()
    }

    fn forget(&mut self) {}
}

impl<K: Ord + Copy, T, L: Line<T>> Line<T> for Level<K, L> {
    fn is_empty(&self) -> bool {
        self.members.values().all(|member| member.line.is_empty())
    }

    fn take(&mut self) -> Option<(Ticket, T)> {
        self.pop(|_| true, |_| 1.0)
    }

    fn remove_if(&mut self, gone: &impl Fn(&Ticket, &T) -> bool, removed: &mut Vec<(Ticket, T)>) {
        self.members.values_mut().for_each(|member| member.line.remove_if(gone, removed));
        self.forget();
    }

    fn is_in_use(&self) -> bool {
        self.members.values().any(|member| member.attending > 0 || member.line.is_in_use())
    }

    fn forget(&mut self) {
        let clock = self.clock;
        self.members.retain(|_, member| {
            member.line.forget();
            member.attending > 0 || member.start > clock || member.line.is_in_use()
        });
    }
}

impl<K: Ord + Copy, L> Level<K, L> {
    fn member(&mut self, one: K) -> &mut Member<L>
    where
        L: Default,
    {
        let start = self.clock;
        self.members.entry(one).or_insert_with(|| Member { start, attending: 0, line: L::default() })
    }

    fn attend(&mut self, one: K) -> &mut Member<L>
    where
        L: Default,
    {
        let clock = self.clock;
        let member = self.member(one);
        member.start = member.start_at(clock);
        member.attending += 1;
        member
    }

    fn leave(&mut self, one: K) -> &mut Member<L>
    where
        L: Default,
    {
        let member = self.member(one);
        member.attending = member.attending.saturating_sub(1);
        member
    }

    /// The turn of the one whose turn starts first, of equals the first. `cost`: what a turn of each counts for.
    fn pop<T>(&mut self, may: impl Fn(K) -> bool, cost: impl Fn(K) -> f64) -> Option<(Ticket, T)>
    where
        L: Line<T>,
    {
        let clock = self.clock;
        let waiting = self.members.iter_mut().filter(|(one, member)| may(**one) && !member.line.is_empty());
        let turn = waiting.min_by(|(_, a), (_, b)| a.start_at(clock).total_cmp(&b.start_at(clock)));
        let (one, member) = turn?;
        let popped = member.line.take()?;
        let start = member.start_at(clock);
        member.start = start + cost(*one);
        self.clock = clock.max(start);
        self.forget();
        Some(popped)
    }
}

impl<L> Member<L> {
    /// Who neither waits nor attends gets no credit for it: its turn starts now.
    fn start_at(&self, clock: f64) -> f64 {
        let credit = if self.attending > 0 { MOST_CREDIT } else { 0.0 };
        self.start.max(clock - credit)
    }
}

// Derived, these would ask that `K` and `L` have defaults too.
impl<K, L> Default for Level<K, L> {
    fn default() -> Self {
        Level { clock: 0.0, members: BTreeMap::new() }
    }
}
