//! A `Model` whose every call costs the same, for one row or for all, as a GPU's steps do: the number of calls is its time.

use std::sync::{Arc, Condvar, Mutex};

use verbatim::audio::LogMel;
use verbatim::model::{AlignRow, Alignment, Capacity, Fork, Model, ModelError, Sample, Slot, Step};
use verbatim::text::Token;

use super::fake_model::{FakeModel, tokenizer};

/// Says of each window what its prompt says.
pub struct SimulatedDevice {
    says: FakeModel,
    crowd: Crowd,
    end_of_text: Token,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    Encode {
        windows: usize,
    },
    Step {
        rows: usize,
        /// Rows that it could have had: windows that were there before it began, as far as there are slots.
        possible: usize,
    },
}

/// The clients of the device. A call is taken to last until each of them waits for a window: their own time is none.
#[derive(Clone)]
pub struct Crowd(Arc<(Mutex<State>, Condvar)>);

struct State {
    present: usize,
    waiting: usize,
    /// Windows that were waiting, or in slots, when the last call ended.
    ready: usize,
    calls: Vec<Call>,
}

impl Crowd {
    pub fn of(clients: usize) -> Crowd {
        let state = State { present: clients, waiting: 0, ready: 0, calls: Vec::new() };
        Crowd(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// A client has put a window into the queue.
    pub fn waits(&self) {
        self.change(|state| state.waiting += 1);
    }

    /// A client wants nothing more.
    pub fn leaves(&self) {
        self.change(|state| state.present -= 1);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.0.0.lock().unwrap().calls.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// `ended`: windows that have their last token with this call.
    fn call(&self, call: impl FnOnce(&State) -> Call, ended: usize) {
        let mut state = self.0.0.lock().unwrap();
        let call = call(&state);
        state.calls.push(call);
        let mut state = self.0.1.wait_while(state, |state| state.waiting < state.present).unwrap();
        state.waiting -= ended;
        state.ready = state.waiting;
    }
}

impl SimulatedDevice {
    pub fn new(says: FakeModel, crowd: Crowd) -> Self {
        SimulatedDevice { says, crowd, end_of_text: tokenizer().specials().end_of_text }
    }
}

impl Model for SimulatedDevice {
    fn capacity(&self) -> Capacity {
        self.says.capacity()
    }

    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        self.crowd.call(|_| Call::Encode { windows: windows.len() }, 0);
        self.says.encode(windows)
    }

    fn step(&mut self, forks: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
        let samples = self.says.step(forks, steps)?;
        let ended = samples.iter().filter(|sample| sample.choices[0].token == self.end_of_text).count();
        let slots = self.capacity().slots;
        let call = |state: &State| Call::Step { rows: steps.len(), possible: state.ready.min(slots) };
        self.crowd.call(call, ended);
        Ok(samples)
    }

    fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        self.says.align(rows)
    }
}
