//! Entries as the broker gives them, in and out of order; what is checked is what callers are told.

use super::*;
use crate::jobs::job::{JobState, Priority};
use crate::jobs::nats::records::{Moment, bytes};

fn record(owner: u64, created_ms: u64, items: usize) -> Vec<u8> {
    let priority = Priority::Normal;
    bytes(&Record { owner, created_ms, name: None, priority, items, webhook: None, request: None })
}

fn standing(state: ItemState, percent: u8) -> Vec<u8> {
    let seconds = (state == ItemState::Done).then_some(1.5);
    let standing = Standing { state, percent, seconds, ..Standing::default() };
    bytes(&Kept { standing, by: "1".to_owned() })
}

fn moment(ms: u64) -> Vec<u8> {
    bytes(&Moment { ms })
}

fn put(view: &mut View, key: &str, value: Vec<u8>, revision: u64) -> bool {
    view.apply(key, Some(&value), revision, 0)
}

fn numbers(ended: &[(usize, Standing)]) -> Vec<usize> {
    ended.iter().map(|(item, _)| *item).collect()
}

#[test]
fn counts_are_those_of_the_items_whatever_came_before() {
    use ItemState::{Done, Failed, Queued, Working};
    let mut view = View::default();
    assert!(!put(&mut view, "i.a.2", standing(Failed, 0), 1));
    assert_eq!(view.summary("a"), None, "a job without its own record is not there");
    assert!(put(&mut view, "j.a", record(1, 10, 4), 2), "there is work");
    put(&mut view, "i.a.0", standing(Working, 40), 3);
    put(&mut view, "i.a.0", standing(Working, 80), 5);
    put(&mut view, "i.a.0", standing(Working, 10), 4);
    let counts = view.summary("a").unwrap().counts;
    assert_eq!((counts.of(Queued), counts.of(Working), counts.of(Failed), counts.percent), (2, 1, 1, 80));
    put(&mut view, "i.a.0", standing(Done, 100), 6);
    let counts = view.summary("a").unwrap().counts;
    assert_eq!((counts.of(Queued), counts.of(Working), counts.of(Done), counts.percent), (2, 0, 1, 0));
    assert_eq!(counts.seconds, 1.5);
    assert_eq!(counts.by_state.len(), 3, "no state is listed that no item is in");
    assert_eq!(view.backlog().by_state, [(Queued, 2)].into());
}

#[test]
fn items_ended_in_the_order_of_revisions() {
    let mut view = View::default();
    put(&mut view, "j.a", record(1, 10, 3), 1);
    put(&mut view, "i.a.2", standing(ItemState::Done, 100), 7);
    put(&mut view, "i.a.0", standing(ItemState::Failed, 0), 9);
    put(&mut view, "i.a.1", standing(ItemState::Done, 100), 8);
    assert_eq!(numbers(&view.ended("a", 0, 10)), [2, 1, 0]);
    assert_eq!(numbers(&view.ended("a", 1, 1)), [1]);
    assert!(view.is_over("a"));
    assert_eq!(view.unsettled(), ["a"]);
    put(&mut view, "e.a", moment(99), 10);
    assert!(view.unsettled().is_empty());
    assert_eq!(view.old(100, 5), ["a"]);
    assert!(view.old(99, 5).is_empty());
}

#[test]
fn what_ends_after_a_job_was_cancelled_was_cancelled_in_whatever_order_it_is_heard() {
    let entries: [(&str, Vec<u8>, u64); 4] = [
        ("j.a", record(1, 10, 3), 1),
        ("i.a.1", standing(ItemState::Done, 100), 2),
        ("c.a", moment(50), 3),
        ("i.a.0", standing(ItemState::Done, 100), 4),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [3, 1, 0, 2]] {
        let mut view = View::default();
        for at in order {
            let (key, value, revision) = entries[at].clone();
            put(&mut view, key, value, revision);
        }
        let summary = view.summary("a").unwrap();
        assert_eq!(summary.state(), JobState::Cancelled);
        assert_eq!((summary.counts.of(ItemState::Done), summary.counts.of(ItemState::Cancelled)), (1, 2));
        assert_eq!(numbers(&view.ended("a", 0, 10)), [1]);
        assert!(view.ended("a", 1, 10).is_empty());
        assert_eq!(view.standing("a", 0).state, ItemState::Cancelled);
        assert_eq!(view.standing("a", 0).ended_ms, Some(50));
        assert_eq!(view.look("a", 0), Look::Final);
    }
}

#[test]
fn a_job_that_was_over_is_not_cancelled_any_more() {
    let mut view = View::default();
    put(&mut view, "j.a", record(1, 10, 1), 1);
    put(&mut view, "i.a.0", standing(ItemState::Done, 100), 2);
    put(&mut view, "c.a", moment(50), 3);
    assert_eq!(view.summary("a").unwrap().state(), JobState::Done);
}

#[test]
fn a_list_is_an_owners_own_the_newest_first_page_by_page() {
    let mut view = View::default();
    for at in 0..6_u64 {
        put(&mut view, &format!("j.job-{at}"), record(at % 2, 100 + at / 2, 1), at + 1);
    }
    put(&mut view, "j.job-max", record(u64::MAX, 100, 1), 10);
    let ids = |list: Vec<Summary>| list.into_iter().map(|summary| summary.id).collect::<Vec<_>>();
    assert_eq!(ids(view.list(0, None, 2)), ["job-4", "job-2"]);
    assert_eq!(ids(view.list(0, Some("job-2"), 2)), ["job-0"]);
    assert_eq!(ids(view.list(1, None, 9)), ["job-5", "job-3", "job-1"]);
    assert_eq!(ids(view.list(u64::MAX, None, 9)), ["job-max"]);
    view.apply("j.job-2", None, 20, 0);
    assert_eq!(ids(view.list(0, Some("job-2"), 2)), ["job-0"], "also when that one is gone");
    assert!(view.list(7, None, 9).is_empty());
}

#[test]
fn of_a_job_that_was_removed_nothing_counts_any_more() {
    let mut view = View::default();
    put(&mut view, "j.a", record(1, 10, 2), 1);
    put(&mut view, "i.a.0", standing(ItemState::Working, 1), 2);
    let before = view.version("a");
    view.apply("j.a", None, 5, 1_000);
    assert_ne!(view.version("a"), before);
    put(&mut view, "j.a", record(1, 10, 2), 4);
    put(&mut view, "i.a.1", standing(ItemState::Working, 1), 6);
    assert_eq!((view.summary("a"), view.look("a", 0)), (None, Look::Gone));
    assert_eq!(view.look("b", 0), Look::Unknown);
    assert!(view.list(1, None, 9).is_empty());
    assert_eq!(view.husks(1_001), [(Key::Job("a".to_owned()), 5)]);
    assert!(view.husks(1_000).is_empty());
    view.drop_husk(&Key::Job("a".to_owned()));
    assert_eq!(view.look("a", 0), Look::Unknown);
}
