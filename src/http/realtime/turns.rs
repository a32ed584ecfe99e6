//! Turns in; their segments and transcripts out, in the order of the turns although all are heard at once.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::super::caller::Caller;
use super::super::error::ApiError;
use super::super::{App, transcriptions};
use crate::live::realtime::{Answer, Turn};
use crate::transcriber::{Sound, Terms};
use crate::transcript::{Segment, Transcript};

/// Dropping it takes what is under way out of the engine.
pub struct Turns {
    app: App,
    caller: Caller,
    under_way: VecDeque<UnderWay>,
    audio: Duration,
    most: Duration,
}

struct UnderWay {
    answer: Answer,
    audio: Duration,
    segments: UnboundedReceiver<Vec<Segment>>,
    task: AbortOnDropHandle<Result<Transcript, ApiError>>,
}

/// Of the first turn that is not answered yet.
pub enum Told {
    More(Vec<Segment>),
    Done(Box<Result<Transcript, ApiError>>),
}

impl Turns {
    pub fn new(app: App, caller: Caller) -> Self {
        let most = app.settings.realtime.max_backlog;
        Turns { app, caller, under_way: VecDeque::new(), audio: Duration::ZERO, most }
    }

    pub fn begin(&mut self, turn: Turn) {
        let (answer, audio) = (Answer::of(&turn), turn.pcm.duration());
        let (hearer, segments) = unbounded_channel();
        let (app, caller) = (self.app.clone(), self.caller.clone());
        let task = tokio::spawn(async move {
            let sound = Sound::Pcm(turn.pcm);
            let terms = caller.terms(Terms::default());
            let work = app.transcriber.transcribe_on(sound, &turn.options, terms, Some(hearer));
            let transcript = transcriptions::within(&app, terms, work).await?;
            caller.heard(transcript.duration);
            Ok(transcript)
        });
        self.audio += audio;
        self.under_way.push_back(UnderWay { answer, audio, segments, task: AbortOnDropHandle::new(task) });
    }

    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether no more audio should be taken until some of it is answered.
    pub fn is_full(&self) -> bool {
        self.audio >= self.most
    }

    /// The first turn that is not answered yet.
    pub fn first(&mut self) -> Option<&mut Answer> {
        self.under_way.front_mut().map(|first| &mut first.answer)
    }

    /// What comes next of it; pending where there is none. Nothing is lost where this future is dropped.
    pub async fn next(&mut self) -> Told {
        match self.under_way.front_mut() {
            None => std::future::pending().await,
            Some(first) => match first.segments.recv().await {
                Some(segments) => Told::More(segments),
                None => {
                    let ended = (&mut first.task).await;
                    let failed = |error: tokio::task::JoinError| Err(ApiError::Internal(error.to_string()));
                    Told::Done(Box::new(ended.unwrap_or_else(failed)))
                }
            },
        }
    }

    /// The first one was answered.
    pub fn finish(&mut self) {
        if let Some(first) = self.under_way.pop_front() {
            self.audio -= first.audio;
        }
    }
}
