//! Windows as they are done in; out, to whoever wants to read along: their segments, in order, none of which changes later.
//!
//! What is told must stand, so a window is told once nothing that follows can change its text. Alone the search for what was
//! passed over (`omissions`) looks at the pace of the whole recording; here it has that of what came before.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::transcript::Segment;

use super::account::Account;
use super::asked::Asked;
use super::omissions::Pace;
use super::{Listened, Take, TranscribeError, Transcriber};

/// Gets the segments of one or more windows at a time. Of several channels nothing is told before the end.
pub type Hearer = UnboundedSender<Vec<Segment>>;

/// Somebody who reads along, and what a window's part of the answer is made by.
#[derive(Clone, Debug)]
pub(super) struct Told {
    hearer: Hearer,
    account: Arc<Account>,
}

/// Somebody who reads along with all chapters.
#[derive(Debug)]
pub(super) struct Telling {
    chapters: UnboundedSender<UnboundedReceiver<Vec<Segment>>>,
    account: Arc<Account>,
}

/// Chapters are heard at the same time, and told one after the other: by the future, which ends with the last of them.
pub(super) fn in_order(
    hearer: Option<Hearer>,
    account: Arc<Account>,
) -> (Option<Telling>, impl Future<Output = ()>) {
    let (chapters, mut told) = unbounded_channel::<UnboundedReceiver<Vec<Segment>>>();
    let telling = hearer.is_some().then_some(Telling { chapters, account });
    let tell = async move {
        while let (Some(mut chapter), Some(hearer)) = (told.recv().await, &hearer) {
            while let Some(segments) = chapter.recv().await {
                // Whoever read along may have left; the request ends with its handler, not here.
                let _ = hearer.send(segments);
            }
        }
    };
    (telling, tell)
}

impl Telling {
    /// For the next chapter.
    pub fn next(&self) -> Told {
        let (hearer, told) = unbounded_channel();
        let _ = self.chapters.send(told);
        Told { hearer, account: self.account.clone() }
    }
}

impl Transcriber {
    /// The next windows of a take, as they stand in the answer: where somebody reads along, told.
    pub(super) async fn settle(
        &self,
        take: &Take,
        heard: Vec<Listened>,
        asked: &Asked,
        pace: &mut Pace,
    ) -> Result<Vec<Listened>, TranscribeError> {
        if take.told.is_none() || heard.is_empty() {
            return Ok(heard);
        }
        let heard = self.mend(take, heard, asked, pace).await?;
        self.tell(take, heard).await
    }

    pub(super) async fn tell(
        &self,
        take: &Take,
        heard: Vec<Listened>,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let Some(told) = take.told.clone() else { return Ok(heard) };
        let view = take.view();
        self.on_cpu(take.ticket.class, move || {
            let segments: Vec<Segment> =
                heard.iter().flat_map(|listened| told.account.segments(&view, listened)).collect();
            if !segments.is_empty() {
                // Whoever read along may have left; the request ends with its handler, not here.
                let _ = told.hearer.send(segments);
            }
            heard
        })
        .await
    }
}
