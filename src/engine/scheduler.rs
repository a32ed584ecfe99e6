//! Slots, lanes and sequences in, the next plan out: pure, and generic over who waits for the answer.

use std::sync::Arc;

use super::queue::Class;
use crate::audio::LogMel;
use crate::decoding::{Hypothesis, Seat, Sequence, Work};
use crate::model::{AlignRow, Alignment, Capacity, Fork, Lane, Sample, Slot, Step};

/// What the device does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    Idle,
    Encode(Vec<(Slot, Arc<LogMel>)>),
    /// Rows of one slot stand side by side; copies come before all of them.
    Step(Vec<Fork>, Vec<Step>),
    Align(Vec<AlignRow>),
}

/// Which sequence lives in which slot and lanes. `T` is whatever its owner needs to answer with.
#[derive(Debug)]
pub struct Scheduler<T> {
    slots: Vec<Option<Tenant<T>>>,
    /// By lane: whether it is free.
    free: Vec<bool>,
    encode_batch: usize,
    /// Slots that the class of long recordings leaves free.
    reserved: usize,
    /// Whether the rows of the interactive step without the others': where a step costs by the row.
    preempts: bool,
    /// Plans since the others had theirs.
    streak: usize,
}

/// So many plans may be the interactive's alone, one after the other: about one short recording.
const LONGEST_STREAK: usize = 16;

#[derive(Debug)]
struct Tenant<T> {
    sequence: Sequence,
    class: Class,
    owner: T,
    lanes: Vec<Lane>,
}

impl<T> Tenant<T> {
    fn next(&self, slot: Slot) -> Work {
        self.sequence.next(Seat { slot, lanes: &self.lanes })
    }
}

impl<T> Scheduler<T> {
    /// `interactive_slots`: kept for the interactive alone, as far as one is left for the others.
    pub fn new(capacity: Capacity, encode_batch: usize, interactive_slots: usize) -> Self {
        Scheduler {
            slots: (0..capacity.slots).map(|_| None).collect(),
            free: vec![true; capacity.lanes],
            encode_batch: encode_batch.max(1),
            reserved: interactive_slots.min(capacity.slots.saturating_sub(1)),
            preempts: false,
            streak: 0,
        }
    }

    /// The rows of the interactive step without the others' from now on, but that these are never kept waiting for long.
    pub fn preempt(&mut self) {
        self.preempts = true;
    }

    /// Windows that are encoded together from now on at most.
    pub fn limit_encode(&mut self, most: usize) {
        self.encode_batch = most.max(1);
    }

    /// Whether a slot is free for a window of this class.
    pub fn has_slot(&self, class: Class) -> bool {
        let kept = if class == Class::Interactive { 0 } else { self.reserved };
        self.slots.len() - self.busy() > kept
    }

    /// Whether so many lanes are free.
    pub fn has_lanes(&self, width: usize) -> bool {
        self.free.iter().filter(|free| **free).count() >= width
    }

    pub fn is_empty(&self) -> bool {
        self.busy() == 0
    }

    pub fn busy(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Gives the sequence the lowest free slot and lanes, so that busy ones stay together; hands its owner back where there
    /// is no room.
    pub fn admit(&mut self, sequence: Sequence, class: Class, owner: T) -> Result<Slot, T> {
        let width = sequence.width();
        let slot = self.slots.iter().position(Option::is_none);
        let Some(index) = slot.filter(|_| self.has_slot(class) && self.has_lanes(width)) else {
            return Err(owner);
        };
        let free = self.free.iter().enumerate().filter(|(_, free)| **free);
        let lanes: Vec<Lane> = free.map(|(lane, _)| Lane(lane)).take(width).collect();
        lanes.iter().for_each(|lane| self.free[lane.0] = false);
        self.slots[index] = Some(Tenant { sequence, class, owner, lanes });
        Ok(Slot(index))
    }

    /// New windows are encoded first, so that they join the very next step; finished texts are aligned before that, so that
    /// their slots are free again. Interactive windows do not wait until others are encoded or aligned with them.
    pub fn plan(&mut self) -> Plan {
        let urgent = match self.plan_of(|class| class == Class::Interactive) {
            Plan::Step(..) if !self.preempts => Plan::Idle,
            plan => plan,
        };
        if urgent != Plan::Idle && self.streak < LONGEST_STREAK {
            self.streak += 1;
            return urgent;
        }
        self.streak = 0;
        self.plan_of(|_| true)
    }

    fn plan_of(&self, among: impl Fn(Class) -> bool) -> Plan {
        let (mut encode, mut align) = (Vec::new(), Vec::new());
        let (mut forks, mut steps) = (Vec::new(), Vec::new());
        for (index, tenant) in self.slots.iter().enumerate() {
            let tenant = tenant.as_ref().filter(|tenant| among(tenant.class));
            match tenant.map(|tenant| tenant.next(Slot(index))) {
                Some(Work::Encode(mel)) if encode.len() < self.encode_batch => {
                    encode.push((Slot(index), mel))
                }
                Some(Work::Align(row)) if align.len() < self.encode_batch => align.push(row),
                Some(Work::Step(copies, rows)) => {
                    forks.extend(copies);
                    steps.extend(rows);
                }
                Some(Work::Encode(_) | Work::Align(_) | Work::Done) | None => {}
            }
        }
        match (encode.is_empty(), align.is_empty(), steps.is_empty()) {
            (false, _, _) => Plan::Encode(encode),
            (true, false, _) => Plan::Align(align),
            (true, true, false) => Plan::Step(forks, steps),
            (true, true, true) => Plan::Idle,
        }
    }

    pub fn encoded(&mut self, slot: Slot) {
        if let Some(tenant) = self.tenant(slot) {
            tenant.sequence.encoded();
        }
    }

    /// Takes in the samples of a slot's rows; hands out the hypothesis and its owner where that ended the window.
    pub fn sampled(&mut self, slot: Slot, samples: &[Sample]) -> Option<(Hypothesis, T)> {
        self.tenant(slot)?.sequence.sampled(samples);
        self.release_if_done(slot)
    }

    pub fn aligned(&mut self, slot: Slot, alignment: Alignment) -> Option<(Hypothesis, T)> {
        self.tenant(slot)?.sequence.aligned(alignment);
        self.release_if_done(slot)
    }

    /// Empties a slot, whatever stage its window has reached.
    pub fn release(&mut self, slot: Slot) -> Option<(Sequence, T)> {
        let tenant = self.slots.get_mut(slot.0)?.take()?;
        tenant.lanes.iter().for_each(|lane| self.free[lane.0] = true);
        Some((tenant.sequence, tenant.owner))
    }

    /// Empties every slot whose owner no longer waits.
    pub fn release_if(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let left = |tenant: &Option<Tenant<T>>| tenant.as_ref().is_some_and(|tenant| gone(&tenant.owner));
        let slots: Vec<Slot> =
            (0..self.slots.len()).filter(|index| left(&self.slots[*index])).map(Slot).collect();
        slots.into_iter().filter_map(|slot| self.release(slot).map(|(_, owner)| owner)).collect()
    }

    pub fn owner(&mut self, slot: Slot) -> Option<&mut T> {
        self.tenant(slot).map(|tenant| &mut tenant.owner)
    }

    fn release_if_done(&mut self, slot: Slot) -> Option<(Hypothesis, T)> {
        match self.tenant(slot)?.next(slot) {
            Work::Done => self.release(slot).map(|(sequence, owner)| (sequence.finish(), owner)),
            Work::Encode(_) | Work::Step(..) | Work::Align(_) => None,
        }
    }

    fn tenant(&mut self, slot: Slot) -> Option<&mut Tenant<T>> {
        self.slots.get_mut(slot.0)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decoding::{Request, Spoken, for_tests};
    use crate::model::Choice;
    use crate::transcript::Search;

    const END: u32 = 100;

    fn sequence() -> Sequence {
        wide(1)
    }

    fn wide(beam_size: usize) -> Sequence {
        let mel = Arc::new(LogMel::new(80, Vec::new()));
        let search = Search { beam_size, ..Search::default() };
        let language = Spoken::Known(Some(102));
        let request = Request { language, search, ..Request::default() };
        Sequence::new(for_tests::rules(), request, mel, Duration::from_secs(1))
    }

    fn scheduler<T>(slots: usize, encode_batch: usize) -> Scheduler<T> {
        Scheduler::new(Capacity { slots, lanes: slots + 2 }, encode_batch, 0)
    }

    fn sample(token: u32) -> Sample {
        Sample { choices: vec![Choice { token, logprob: 0.0 }], probe: None }
    }

    fn slots(plan: &Plan) -> Vec<usize> {
        match plan {
            Plan::Idle => Vec::new(),
            Plan::Encode(windows) => windows.iter().map(|(slot, _)| slot.0).collect(),
            Plan::Step(_, steps) => steps.iter().map(|step| step.slot.0).collect(),
            Plan::Align(rows) => rows.iter().map(|row| row.slot.0).collect(),
        }
    }

    fn encode_all<T>(scheduler: &mut Scheduler<T>) {
        while let plan @ Plan::Encode(_) = scheduler.plan() {
            for slot in slots(&plan) {
                scheduler.encoded(Slot(slot));
            }
        }
    }

    #[test]
    fn nothing_to_do_is_idle() {
        assert_eq!(scheduler::<()>(2, 2).plan(), Plan::Idle);
    }

    #[test]
    fn windows_are_encoded_a_batch_at_a_time_and_then_step_together() {
        let mut scheduler = scheduler(3, 2);
        for owner in 0..3 {
            scheduler.admit(sequence(), Class::Batch, owner).unwrap();
        }
        assert!(!scheduler.has_slot(Class::Batch));
        assert!(scheduler.admit(sequence(), Class::Batch, 3).is_err());
        let first = scheduler.plan();
        assert!(matches!(first, Plan::Encode(_)));
        assert_eq!(slots(&first), [0, 1]);
        encode_all(&mut scheduler);
        let step = scheduler.plan();
        assert!(matches!(step, Plan::Step(..)));
        assert_eq!(slots(&step), [0, 1, 2]);
    }

    #[test]
    fn a_finished_rows_slot_is_refilled_while_the_others_go_on() {
        let mut scheduler = scheduler(2, 2);
        scheduler.admit(sequence(), Class::Batch, "a").unwrap();
        scheduler.admit(sequence(), Class::Batch, "b").unwrap();
        encode_all(&mut scheduler);
        assert!(scheduler.sampled(Slot(0), &[sample(111)]).is_none());
        assert!(scheduler.sampled(Slot(1), &[sample(111)]).is_none());
        let (hypothesis, owner) = scheduler.sampled(Slot(0), &[sample(END)]).unwrap();
        assert_eq!((hypothesis.tokens.as_slice(), owner), (&[111][..], "a"));
        assert_eq!(scheduler.admit(sequence(), Class::Batch, "c").unwrap(), Slot(0));
        assert_eq!(slots(&scheduler.plan()), [0]);
        encode_all(&mut scheduler);
        let Plan::Step(_, steps) = scheduler.plan() else { panic!("a step was expected") };
        // The newcomer reads its prompt while the other reads its latest token.
        assert_eq!(steps.iter().map(|step| step.tokens.len()).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn a_slot_whose_owner_left_is_free_at_once() {
        let mut scheduler = scheduler(2, 2);
        scheduler.admit(sequence(), Class::Batch, "gone").unwrap();
        scheduler.admit(sequence(), Class::Batch, "waits").unwrap();
        assert_eq!(scheduler.release_if(|owner| *owner == "gone"), ["gone"]);
        assert_eq!((scheduler.busy(), scheduler.has_slot(Class::Batch)), (1, true));
        encode_all(&mut scheduler);
        assert_eq!(slots(&scheduler.plan()), [1]);
    }

    #[test]
    fn a_wide_window_takes_its_lanes_and_gives_them_back() {
        let mut scheduler = scheduler(3, 3);
        scheduler.admit(wide(3), Class::Batch, "wide").unwrap();
        scheduler.admit(sequence(), Class::Batch, "narrow").unwrap();
        // Five lanes, four taken: a slot is free, but not for two beams.
        assert!(scheduler.has_lanes(1) && !scheduler.has_lanes(2));
        assert_eq!(scheduler.admit(wide(2), Class::Batch, "waits"), Err("waits"));
        encode_all(&mut scheduler);
        let Plan::Step(_, steps) = scheduler.plan() else { panic!("a step was expected") };
        assert_eq!(steps.iter().map(|step| step.lane.0).collect::<Vec<_>>(), [0, 3]);
        scheduler.release(Slot(0)).unwrap();
        assert!(scheduler.has_lanes(4));
        assert_eq!(scheduler.admit(wide(4), Class::Batch, "wider").unwrap(), Slot(0));
        encode_all(&mut scheduler);
        let Plan::Step(_, steps) = scheduler.plan() else { panic!("a step was expected") };
        // The lanes need not lie side by side.
        assert_eq!(steps.iter().map(|step| (step.slot.0, step.lane.0)).collect::<Vec<_>>(), [(0, 0), (1, 3)]);
    }

    #[test]
    fn the_rows_of_a_search_are_planned_side_by_side_and_answered_together() {
        let mut scheduler = scheduler(2, 2);
        scheduler.admit(wide(2), Class::Batch, "wide").unwrap();
        scheduler.admit(sequence(), Class::Batch, "narrow").unwrap();
        encode_all(&mut scheduler);
        let choices = [111, 112, 113].map(|token| Choice { token, logprob: -1.0 }).to_vec();
        assert!(scheduler.sampled(Slot(0), &[Sample { choices, probe: None }]).is_none());
        assert!(scheduler.sampled(Slot(1), &[sample(111)]).is_none());
        let Plan::Step(forks, steps) = scheduler.plan() else { panic!("a step was expected") };
        assert_eq!(forks, [Fork { from: Lane(0), to: Lane(1), positions: 3 }]);
        assert_eq!(steps.iter().map(|step| step.slot.0).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[test]
    fn the_interactive_have_a_slot_of_their_own_and_are_encoded_and_aligned_first() {
        let mut scheduler: Scheduler<&str> = Scheduler::new(Capacity { slots: 3, lanes: 5 }, 3, 1);
        scheduler.admit(sequence(), Class::Batch, "long").unwrap();
        scheduler.admit(sequence(), Class::Batch, "longer").unwrap();
        assert!(!scheduler.has_slot(Class::Batch) && scheduler.has_slot(Class::Interactive));
        assert_eq!(scheduler.admit(sequence(), Class::Batch, "waits"), Err("waits"));
        scheduler.admit(sequence(), Class::Interactive, "short").unwrap();
        assert_eq!(slots(&scheduler.plan()), [2]);
        scheduler.encoded(Slot(2));
        // The others are encoded before any step is made, or the batch would be half empty.
        assert_eq!(slots(&scheduler.plan()), [0, 1]);
        encode_all(&mut scheduler);
        assert_eq!(slots(&scheduler.plan()), [0, 1, 2]);
        // One slot is nobody's alone.
        assert!(Scheduler::<()>::new(Capacity { slots: 1, lanes: 1 }, 1, 1).has_slot(Class::Batch));
    }

    #[test]
    fn where_a_step_costs_by_the_row_the_interactive_step_alone_but_not_for_ever() {
        let mut scheduler: Scheduler<&str> = Scheduler::new(Capacity { slots: 2, lanes: 2 }, 2, 0);
        scheduler.preempt();
        scheduler.admit(sequence(), Class::Batch, "long").unwrap();
        encode_all(&mut scheduler);
        scheduler.admit(sequence(), Class::Interactive, "short").unwrap();
        assert_eq!(slots(&scheduler.plan()), [1]);
        scheduler.encoded(Slot(1));
        let plans: Vec<Vec<usize>> = (0..2 * LONGEST_STREAK).map(|_| slots(&scheduler.plan())).collect();
        assert_eq!(plans.iter().filter(|plan| **plan == [1]).count(), 2 * LONGEST_STREAK - 1);
        // The encoder pass counted too.
        assert_eq!(plans[LONGEST_STREAK - 1], [0, 1]);
    }
}
