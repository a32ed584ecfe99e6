//! Turns of requests, keys and classes, counted: who waits, who came first, who is being decoded, and who is owed what.

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

#[test]
fn who_came_together_is_served_alike_however_late_the_windows_come() {
    let mut queue = Queue::new();
    (1..4).for_each(|request| queue.attend(ticket(request, Class::Batch)));
    (0..20).for_each(|window| queue.push(ticket(1, Class::Batch), window));
    assert_eq!(order(&mut queue, 10), [1; 10]);
    // Decoded only now, and owed as much; the third even later.
    (0..20).for_each(|window| queue.push(ticket(2, Class::Batch), window));
    assert_eq!(order(&mut queue, 10), [2; 10]);
    (0..20).for_each(|window| queue.push(ticket(3, Class::Batch), window));
    assert_eq!(order(&mut queue, 10), [3; 10]);
    assert_eq!(order(&mut queue, 6), [1, 2, 3, 1, 2, 3]);
    // Who comes now is owed nothing, and waits for nobody either.
    queue.attend(ticket(4, Class::Batch));
    (0..20).for_each(|window| queue.push(ticket(4, Class::Batch), window));
    assert!(order(&mut queue, 4).contains(&4));
}

#[test]
fn what_is_owed_to_a_request_ends_with_it() {
    let mut queue = filled(&[(1, Class::Batch, 50)]);
    queue.attend(ticket(2, Class::Batch));
    order(&mut queue, 10);
    queue.leave(ticket(2, Class::Batch));
    (0..20).for_each(|window| queue.push(ticket(2, Class::Batch), window));
    assert_eq!(order(&mut queue, 6).iter().filter(|request| **request == 2).count(), 3);
}

#[test]
fn who_attends_for_long_is_not_owed_the_world() {
    let mut queue = filled(&[(1, Class::Batch, 1_000)]);
    queue.attend(ticket(2, Class::Batch));
    order(&mut queue, 500);
    (0..500).for_each(|window| queue.push(ticket(2, Class::Batch), window));
    let turns = order(&mut queue, 200);
    let before = turns.iter().position(|request| *request == 1).unwrap();
    // And the one that was its turn anyway.
    assert_eq!(before, MOST_CREDIT as usize + 1);
}

#[test]
fn a_key_whose_only_file_is_being_decoded_is_owed_its_share_and_nothing_stays_behind() {
    let mut queue = Queue::new();
    queue.attend(keyed(1, 10));
    queue.attend(keyed(2, 20));
    for request in 10..14 {
        (0..9).for_each(|window| queue.push(keyed(1, request), window));
    }
    assert_eq!(turns_of_keys(&mut queue, 12, &[1, 2]), [12, 0]);
    (0..12).for_each(|window| queue.push(keyed(2, 20), window));
    assert_eq!(turns_of_keys(&mut queue, 12, &[1, 2]), [0, 12]);
    queue.leave(keyed(1, 10));
    queue.leave(keyed(2, 20));
    order(&mut queue, 99);
    assert_eq!(queue.len(), 0);
    // Debts are remembered until others have had as much; here is nobody.
    (0..99).for_each(|request| queue.push(keyed(3, request), 0));
    order(&mut queue, 99);
    let kept = queue.classes.members.values().map(|class| class.line.members.len()).sum::<usize>();
    assert!(kept <= 1, "{kept}");
}

#[test]
fn the_interactive_do_not_wait_until_the_long_ones_have_caught_up() {
    let mut queue = filled(&[(1, Class::Interactive, 50)]);
    queue.attend(ticket(2, Class::Batch));
    order(&mut queue, 40);
    (0..50).for_each(|window| queue.push(ticket(2, Class::Batch), window));
    assert!(order(&mut queue, 9).iter().filter(|request| **request == 1).count() >= 7);
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
