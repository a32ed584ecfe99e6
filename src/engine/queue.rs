//! Windows of many requests in, the next one for a free slot out: pure, and generic over what waits.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996) at three levels: among the classes by weight, within a class among the keys
//! that the requests came with, and within a key among its requests, one window costing the same as another. Who was not waiting
//! gets no credit for it. A key with a hundred requests gets no more of the device than a key with one, and a request of a
//! hundred windows no more than one of two.

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

/// What waits, by class, key or request, and who of them was served how much.
#[derive(Debug)]
struct Level<K, L> {
    fair: Fair<K>,
    /// None of them empty.
    lines: BTreeMap<K, L>,
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
        Queue { classes: Level::default(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, ticket: Ticket, waiting: T) {
        let keys = self.classes.lines.entry(ticket.class).or_default();
        let requests = keys.lines.entry(ticket.key).or_default();
        requests.lines.entry(ticket.request).or_default().push_back((ticket, waiting));
        self.len += 1;
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
    fn is_empty(&self) -> bool;
    fn take(&mut self) -> Option<(Ticket, T)>;
    fn remove_if(&mut self, gone: &impl Fn(&Ticket, &T) -> bool, removed: &mut Vec<(Ticket, T)>);
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
}

impl<K: Ord + Copy, T, L: Line<T>> Line<T> for Level<K, L> {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn take(&mut self) -> Option<(Ticket, T)> {
        self.pop(|_| true, |_| 1.0)
    }

    fn remove_if(&mut self, gone: &impl Fn(&Ticket, &T) -> bool, removed: &mut Vec<(Ticket, T)>) {
        self.lines.values_mut().for_each(|line| line.remove_if(gone, removed));
        self.lines.retain(|_, line| !line.is_empty());
    }
}

impl<K: Ord + Copy, L> Level<K, L> {
    /// `cost`: what a turn of each counts for.
    fn pop<T>(&mut self, may: impl Fn(K) -> bool, cost: impl Fn(K) -> f64) -> Option<(Ticket, T)>
    where
        L: Line<T>,
    {
        let one = self.fair.first(self.lines.keys().copied().filter(|one| may(*one)))?;
        let line = self.lines.get_mut(&one)?;
        let popped = line.take()?;
        if line.is_empty() {
            self.lines.remove(&one);
        }
        self.fair.serve(one, cost(one));
        Some(popped)
    }
}

// Derived, these would ask that `K` and `L` have defaults too.
impl<K, L> Default for Level<K, L> {
    fn default() -> Self {
        Level { fair: Fair { clock: 0.0, next: BTreeMap::new() }, lines: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(request: u64, class: Class) -> Ticket {
        Ticket { request, class, ..Ticket::default() }
    }

    fn keyed(key: u64, request: u64) -> Ticket {
        Ticket { key, ..ticket(request, Class::Batch) }
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

    /// How many of the next turns each key has.
    fn turns_of_keys(queue: &mut Queue<usize>, turns: usize, keys: &[u64]) -> Vec<usize> {
        let served: Vec<u64> =
            (0..turns).filter_map(|_| queue.pop(|_| true)).map(|(ticket, _)| ticket.key).collect();
        keys.iter().map(|key| served.iter().filter(|one| *one == key).count()).collect()
    }

    #[test]
    fn a_key_with_one_file_gets_half_of_the_device_beside_a_key_with_a_hundred() {
        let mut queue = Queue::new();
        for request in 0..100 {
            (0..20).for_each(|window| queue.push(keyed(1, request), window));
        }
        (0..20).for_each(|window| queue.push(keyed(2, 100), window));
        assert_eq!(turns_of_keys(&mut queue, 40, &[1, 2]), [20, 20]);
        // Its work is done: the other has the whole.
        assert_eq!(turns_of_keys(&mut queue, 40, &[1, 2]), [40, 0]);
    }

    #[test]
    fn the_requests_of_a_key_share_alike_what_the_key_gets() {
        let mut queue = Queue::new();
        for ticket in [keyed(1, 10), keyed(1, 11), keyed(2, 20)] {
            (0..9).for_each(|window| queue.push(ticket, window));
        }
        assert_eq!(order(&mut queue, 8), [10, 20, 11, 20, 10, 20, 11, 20]);
    }

    #[test]
    fn a_key_that_comes_back_has_neither_credit_nor_debt() {
        let mut queue = Queue::new();
        (0..50).for_each(|window| queue.push(keyed(1, 10), window));
        assert_eq!(turns_of_keys(&mut queue, 30, &[1]), [30]);
        for request in 20..22 {
            (0..20).for_each(|window| queue.push(keyed(2, request), window));
        }
        let shares = turns_of_keys(&mut queue, 10, &[1, 2]);
        assert!(shares.iter().all(|share| (4..=6).contains(share)), "{shares:?}");
    }

    #[test]
    fn keys_share_within_a_class_and_the_class_comes_first() {
        let mut queue = Queue::new();
        (0..9).for_each(|window| queue.push(keyed(1, 10), window));
        (0..9).for_each(|window| queue.push(Ticket { key: 2, ..ticket(20, Class::Interactive) }, window));
        (0..9).for_each(|window| queue.push(Ticket { key: 1, ..ticket(11, Class::Interactive) }, window));
        let served = order(&mut queue, 9);
        let count = |request| served.iter().filter(|one| **one == request).count();
        assert_eq!((count(10), count(11), count(20)), (1, 4, 4), "{served:?}");
    }

    #[test]
    fn what_a_key_no_longer_wants_leaves_the_others_their_turns() {
        let mut queue = Queue::new();
        (0..5).for_each(|window| queue.push(keyed(1, 10), window));
        (0..5).for_each(|window| queue.push(keyed(2, 20), window));
        assert_eq!(queue.remove_if(|ticket, _| ticket.key == 1).len(), 5);
        assert_eq!((queue.len(), order(&mut queue, 9)), (5, vec![20; 5]));
    }

    proptest! {
        /// However many requests each key has, and however long: keys that wait all the time are served alike, and so are the
        /// requests of one key.
        #[test]
        fn keys_are_served_alike_and_so_are_the_requests_of_each(
            keys in prop::collection::vec(prop::collection::vec(1usize..20, 1..6), 1..5),
            turns in 1usize..150,
        ) {
            let mut queue = Queue::new();
            let name = |key: usize, index: usize| (key * 100 + index) as u64;
            for (key, requests) in keys.iter().enumerate() {
                for (index, windows) in requests.iter().enumerate() {
                    (0..*windows).for_each(|window| queue.push(keyed(key as u64, name(key, index)), window));
                }
            }
            let served = order(&mut queue, turns);
            let total: usize = keys.iter().flatten().sum();
            prop_assert_eq!((served.len(), queue.len()), (turns.min(total), total - turns.min(total)));
            let of = |request: u64| served.iter().filter(|one| **one == request).count();
            let of_key = |key: usize| served.iter().filter(|one| **one / 100 == key as u64).count();
            let alike = |counts: Vec<usize>| {
                let (least, most) = (counts.iter().min(), counts.iter().max());
                least.zip(most).is_none_or(|(least, most)| most - least <= 1)
            };
            let waiting = (0..keys.len()).filter(|key| of_key(*key) < keys[*key].iter().sum());
            prop_assert!(alike(waiting.map(of_key).collect()), "{:?}", served);
            for (key, requests) in keys.iter().enumerate() {
                let counts = requests.iter().enumerate().map(|(index, windows)| (of(name(key, index)), *windows));
                let waiting = counts.filter(|(served, windows)| served < windows);
                prop_assert!(alike(waiting.map(|(served, _)| served).collect()), "{:?}", served);
            }
        }
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
