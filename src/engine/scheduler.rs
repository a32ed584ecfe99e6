//! Slots and sequences in, the next plan out: pure, and generic over who waits for the answer.

use std::sync::Arc;

use crate::audio::LogMel;
use crate::decoding::{Hypothesis, Sequence, Work};
use crate::model::{Sample, Slot, Step};

/// What the device does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    Idle,
    Encode(Vec<(Slot, Arc<LogMel>)>),
    Step(Vec<Step>),
}

/// Which sequence lives in which slot. `T` is whatever its owner needs to answer with.
#[derive(Debug)]
pub struct Scheduler<T> {
    slots: Vec<Option<(Sequence, T)>>,
    encode_batch: usize,
}

impl<T> Scheduler<T> {
    pub fn new(slots: usize, encode_batch: usize) -> Self {
        Scheduler { slots: (0..slots).map(|_| None).collect(), encode_batch: encode_batch.max(1) }
    }

    pub fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }

    pub fn is_empty(&self) -> bool {
        self.busy() == 0
    }

    pub fn busy(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Gives the sequence the lowest free slot, so that busy slots stay together; hands its owner back where none is free.
    pub fn admit(&mut self, sequence: Sequence, owner: T) -> Result<Slot, T> {
        match self.slots.iter().position(Option::is_none) {
            Some(index) => {
                self.slots[index] = Some((sequence, owner));
                Ok(Slot(index))
            }
            None => Err(owner),
        }
    }

    /// New windows are encoded first, so that they join the very next step.
    pub fn plan(&self) -> Plan {
        let mut encode = Vec::new();
        let mut step = Vec::new();
        for (index, entry) in self.slots.iter().enumerate() {
            match entry.as_ref().map(|(sequence, _)| sequence.next(Slot(index))) {
                Some(Work::Encode(mel)) if encode.len() < self.encode_batch => {
                    encode.push((Slot(index), mel))
                }
                Some(Work::Step(row)) => step.push(row),
                Some(Work::Encode(_) | Work::Done) | None => {}
            }
        }
        match (encode.is_empty(), step.is_empty()) {
            (false, _) => Plan::Encode(encode),
            (true, false) => Plan::Step(step),
            (true, true) => Plan::Idle,
        }
    }

    pub fn encoded(&mut self, slot: Slot) {
        if let Some((sequence, _)) = self.entry(slot) {
            sequence.encoded();
        }
    }

    /// Takes in a row's sample; hands out the hypothesis and its owner where that ended the window.
    pub fn sampled(&mut self, slot: Slot, sample: Sample) -> Option<(Hypothesis, T)> {
        let (sequence, _) = self.entry(slot)?;
        sequence.sampled(sample);
        match sequence.next(slot) {
            Work::Done => self.release(slot).map(|(sequence, owner)| (sequence.finish(), owner)),
            Work::Encode(_) | Work::Step(_) => None,
        }
    }

    /// Empties a slot, whatever stage its window has reached.
    pub fn release(&mut self, slot: Slot) -> Option<(Sequence, T)> {
        self.slots.get_mut(slot.0)?.take()
    }

    /// Empties every slot whose owner no longer waits.
    pub fn release_if(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        self.slots
            .iter_mut()
            .filter(|entry| entry.as_ref().is_some_and(|(_, owner)| gone(owner)))
            .filter_map(|entry| entry.take().map(|(_, owner)| owner))
            .collect()
    }

    pub fn owner(&mut self, slot: Slot) -> Option<&mut T> {
        self.entry(slot).map(|(_, owner)| owner)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut (Sequence, T)> {
        self.slots.get_mut(slot.0)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decoding::{Request, Rules};
    use crate::model::Choice;

    const END: u32 = 100;

    fn sequence() -> Sequence {
        let mel = Arc::new(LogMel { n_mels: 80, values: Vec::new() });
        let request = Request { language: Some(102), ..Default::default() };
        Sequence::new(Arc::new(Rules::for_tests()), request, mel, Duration::from_secs(1))
    }

    fn sample(token: u32) -> Sample {
        Sample { choices: vec![Choice { token, logprob: 0.0 }], probe: None }
    }

    fn slots(plan: &Plan) -> Vec<usize> {
        match plan {
            Plan::Idle => Vec::new(),
            Plan::Encode(windows) => windows.iter().map(|(slot, _)| slot.0).collect(),
            Plan::Step(steps) => steps.iter().map(|step| step.slot.0).collect(),
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
        assert_eq!(Scheduler::<()>::new(2, 2).plan(), Plan::Idle);
    }

    #[test]
    fn windows_are_encoded_a_batch_at_a_time_and_then_step_together() {
        let mut scheduler = Scheduler::new(3, 2);
        for owner in 0..3 {
            scheduler.admit(sequence(), owner).unwrap();
        }
        assert!(!scheduler.has_room());
        assert!(scheduler.admit(sequence(), 3).is_err());
        let first = scheduler.plan();
        assert!(matches!(first, Plan::Encode(_)));
        assert_eq!(slots(&first), [0, 1]);
        encode_all(&mut scheduler);
        let step = scheduler.plan();
        assert!(matches!(step, Plan::Step(_)));
        assert_eq!(slots(&step), [0, 1, 2]);
    }

    #[test]
    fn a_finished_rows_slot_is_refilled_while_the_others_go_on() {
        let mut scheduler = Scheduler::new(2, 2);
        scheduler.admit(sequence(), "a").unwrap();
        scheduler.admit(sequence(), "b").unwrap();
        encode_all(&mut scheduler);
        assert!(scheduler.sampled(Slot(0), sample(111)).is_none());
        assert!(scheduler.sampled(Slot(1), sample(111)).is_none());
        let (hypothesis, owner) = scheduler.sampled(Slot(0), sample(END)).unwrap();
        assert_eq!((hypothesis.tokens.as_slice(), owner), (&[111][..], "a"));
        assert_eq!(scheduler.admit(sequence(), "c").unwrap(), Slot(0));
        assert_eq!(slots(&scheduler.plan()), [0]);
        encode_all(&mut scheduler);
        let Plan::Step(steps) = scheduler.plan() else { panic!("a step was expected") };
        // The newcomer reads its prompt while the other reads its latest token.
        assert_eq!(steps.iter().map(|step| step.tokens.len()).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn a_slot_whose_owner_left_is_free_at_once() {
        let mut scheduler = Scheduler::new(2, 2);
        scheduler.admit(sequence(), "gone").unwrap();
        scheduler.admit(sequence(), "waits").unwrap();
        assert_eq!(scheduler.release_if(|owner| *owner == "gone"), ["gone"]);
        assert_eq!((scheduler.busy(), scheduler.has_room()), (1, true));
        encode_all(&mut scheduler);
        assert_eq!(slots(&scheduler.plan()), [1]);
    }
}
