//! Windows of many requests in, the next one for a free slot out: pure, and generic over what waits.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996) at two levels: among the classes by weight, and within a class among the
//! requests, one window costing the same as another. A request that was not waiting gets no credit for it, and one that asks for
//! a hundred windows gets no more of the device than one that asks for two.

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

#[derive(Debug)]
pub struct Queue<T> {
    classes: Fair<Class>,
    lines: BTreeMap<Class, Lines<T>>,
    len: usize,
}

/// The requests of one class.
#[derive(Debug)]
struct Lines<T> {
    requests: Fair<u64>,
    waiting: BTreeMap<u64, VecDeque<(Ticket, T)>>,
}

/// Who was served how much.
#[derive(Debug)]
struct Fair<K> {
    /// The start of what was served last.
    clock: f64,
    /// Where each one's next turn starts; those not in here start at `clock`.
    next: BTreeMap<K, f64>,
}

impl<K: Ord + Copy> Fair<K> {
    fn new() -> Self {
        Fair { clock: 0.0, next: BTreeMap::new() }
    }

    fn start(&self, one: K) -> f64 {
        self.next.get(&one).map_or(self.clock, |next| next.max(self.clock))
    }

    fn serve(&mut self, one: K, cost: f64) {
        self.clock = self.start(one);
        self.next.insert(one, self.clock + cost);
        // Who starts at the clock anyway need not be remembered.
        let clock = self.clock;
        self.next.retain(|_, next| *next > clock);
    }

    /// The one whose turn starts first, of equals the first.
    fn first(&self, among: impl Iterator<Item = K>) -> Option<K> {
        among.min_by(|a, b| self.start(*a).total_cmp(&self.start(*b)))
    }
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Queue { classes: Fair::new(), lines: BTreeMap::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, ticket: Ticket, waiting: T) {
        let lines = self.lines.entry(ticket.class).or_insert_with(Lines::new);
        lines.waiting.entry(ticket.request).or_default().push_back((ticket, waiting));
        self.len += 1;
    }

    /// Whose turn it is among the classes that `may` have one; windows of a request keep their order.
    pub fn pop(&mut self, may: impl Fn(Class) -> bool) -> Option<(Ticket, T)> {
        let waiting = self.lines.iter().filter(|(class, lines)| may(**class) && !lines.waiting.is_empty());
        let class = self.classes.first(waiting.map(|(class, _)| *class))?;
        let popped = self.lines.get_mut(&class)?.pop()?;
        self.classes.serve(class, 1.0 / class.weight());
        self.len -= 1;
        Some(popped)
    }

    /// Takes out whatever is not wanted any more.
    pub fn remove_if(&mut self, gone: impl Fn(&Ticket, &T) -> bool) -> Vec<(Ticket, T)> {
        let mut removed = Vec::new();
        for lines in self.lines.values_mut() {
            for line in lines.waiting.values_mut() {
                let (out, kept) =
                    std::mem::take(line).into_iter().partition(|(ticket, one)| gone(ticket, one));
                *line = kept;
                removed.extend::<VecDeque<_>>(out);
            }
            lines.waiting.retain(|_, line| !line.is_empty());
        }
        self.len -= removed.len();
        removed
    }
}

impl<T> Lines<T> {
    fn new() -> Self {
        Lines { requests: Fair::new(), waiting: BTreeMap::new() }
    }

    fn pop(&mut self) -> Option<(Ticket, T)> {
        let request = self.requests.first(self.waiting.keys().copied())?;
        let line = self.waiting.get_mut(&request)?;
        let popped = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&request);
        }
        self.requests.serve(request, 1.0);
        popped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(request: u64, class: Class) -> Ticket {
        Ticket { request, class, deadline: None }
    }

    fn filled(requests: &[(u64, Class, usize)]) -> Queue<usize> {
        let mut queue = Queue::new();
        for (request, class, windows) in requests {
            (0..*windows).for_each(|window| queue.push(ticket(*request, *class), window));
        }
        queue
    }

    fn order(queue: &mut Queue<usize>, turns: usize) -> Vec<u64> {
        (0..turns).filter_map(|_| queue.pop(|_| true)).map(|(ticket, _)| ticket.request).collect()
    }

    #[test]
    fn requests_take_turns_and_keep_their_own_order() {
        let mut queue = filled(&[(1, Class::Batch, 4), (2, Class::Batch, 2)]);
        assert_eq!(order(&mut queue, 6), [1, 2, 1, 2, 1, 1]);
        let mut queue = filled(&[(1, Class::Batch, 3)]);
        let windows: Vec<usize> = (0..3).map(|_| queue.pop(|_| true).unwrap().1).collect();
        assert_eq!(windows, [0, 1, 2]);
        assert_eq!((queue.len(), queue.pop(|_| true)), (0, None));
    }

    #[test]
    fn a_newcomer_is_next_and_has_no_credit() {
        let mut queue = filled(&[(1, Class::Batch, 100)]);
        order(&mut queue, 50);
        (0..100).for_each(|window| queue.push(ticket(2, Class::Batch), window));
        let shares = order(&mut queue, 20);
        assert!(shares[..2].contains(&2), "{shares:?}");
        assert!((9..=11).contains(&shares.iter().filter(|request| **request == 2).count()), "{shares:?}");
    }

    #[test]
    fn the_interactive_come_first_and_the_others_are_not_starved() {
        let mut queue = filled(&[(1, Class::Batch, 100)]);
        order(&mut queue, 10);
        queue.push(ticket(2, Class::Interactive), 0);
        assert_eq!(order(&mut queue, 1), [2]);
        // Ever new interactive requests.
        (100..200).for_each(|request| queue.push(ticket(request, Class::Interactive), 0));
        let batch = order(&mut queue, 90).iter().filter(|request| **request == 1).count();
        assert!((9..=11).contains(&batch), "{batch}");
    }

    #[test]
    fn a_class_that_may_not_have_a_turn_waits() {
        let mut queue = filled(&[(1, Class::Batch, 1), (2, Class::Interactive, 1)]);
        let interactive = |class| class == Class::Interactive;
        assert_eq!(queue.pop(interactive).map(|(ticket, _)| ticket.request), Some(2));
        assert_eq!(queue.pop(interactive), None);
        assert_eq!(queue.pop(|_| true).map(|(ticket, _)| ticket.request), Some(1));
    }

    #[test]
    fn what_is_not_wanted_any_more_is_taken_out() {
        let mut queue = filled(&[(1, Class::Batch, 3), (2, Class::Interactive, 1)]);
        assert!(queue.remove_if(|_, _| false).is_empty());
        let gone = queue.remove_if(|ticket, window| ticket.request == 2 || *window == 1);
        assert_eq!(gone.iter().map(|(ticket, _)| ticket.request).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((queue.len(), order(&mut queue, 9).len()), (2, 2));
    }

    proptest! {
        /// However much each asks for, those who wait all the time are served alike, within one window.
        #[test]
        fn whoever_waits_is_served_as_often_as_the_others(windows in prop::collection::vec(1usize..60, 1..8), turns in 1usize..200) {
            let requests: Vec<_> =
                windows.iter().enumerate().map(|(request, count)| (request as u64, Class::Batch, *count)).collect();
            let mut queue = filled(&requests);
            let served = order(&mut queue, turns);
            let count = |request: usize| served.iter().filter(|one| **one == request as u64).count();
            let waiting = (0..windows.len()).filter(|request| count(*request) < windows[*request]);
            let counts: Vec<usize> = waiting.map(count).collect();
            let (least, most) = (counts.iter().min(), counts.iter().max());
            prop_assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1), "{counts:?}");
            prop_assert_eq!(served.len(), turns.min(windows.iter().sum()));
        }
    }
}
