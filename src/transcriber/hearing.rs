//! A recording in, chapter by chapter as it is read; what each adds to the answer out.

use std::sync::Arc;

use futures::future::{FutureExt, try_join, try_join_all};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::account::{Account, Piece};
use super::asked::Asked;
use super::chapters::{Chapter, Recording};
use super::independent::Begun;
use super::telling::{self, Hearer, Telling};
use super::{TranscribeError, Transcriber};
use crate::engine::Class;
use crate::text::Token;
use crate::transcript::LongForm;

/// Chapters of a recording that are heard at once.
const CHAPTERS: usize = 2;

/// How far a recording is read.
#[derive(Default)]
struct Reading {
    /// `None`: to its end.
    recording: Option<Recording>,
    /// Its language, once one of its windows has told.
    known: Option<Token>,
    told: Option<Telling>,
}

/// What is read of a recording.
enum Read {
    Chapter(Chapter, Option<Begun>),
    End(Box<Recording>),
}

/// What has become of it.
enum Done {
    Piece(Box<Piece>),
    All(Box<Recording>),
}

impl Transcriber {
    /// Chapter by chapter, the next one begun before one is done, so that the device does not wait between them.
    pub(super) async fn hear(
        &self,
        recording: Recording,
        account: &Arc<Account>,
        hearer: Option<Hearer>,
    ) -> Result<(Recording, Vec<Piece>), TranscribeError> {
        let (told, telling) = telling::in_order(hearer, account.clone());
        let reading = Reading { recording: Some(recording), known: None, told };
        let reading = stream::try_unfold(reading, |reading| self.read_on(reading, &account.asked)).boxed();
        // All work on a chapter is within one future: one that is not polled may hold a core that another waits for.
        let hearing = reading.map_ok(|read| {
            let hearing = async move {
                match read {
                    Read::Chapter(chapter, begun) => {
                        self.piece(chapter, begun, account).await.map(|piece| Done::Piece(Box::new(piece)))
                    }
                    Read::End(recording) => Ok(Done::All(recording)),
                }
            };
            hearing.boxed()
        });
        let gather = async {
            let mut hearing = std::pin::pin!(hearing.try_buffered(CHAPTERS));
            let mut pieces = Vec::new();
            while let Some(done) = hearing.try_next().await? {
                match done {
                    Done::Piece(piece) => pieces.push(*piece),
                    Done::All(recording) => return Ok((*recording, pieces)),
                }
            }
            Err(TranscribeError::Internal("a recording without an end".to_owned()))
        };
        let (heard, ()) = try_join(gather, telling.map(Ok)).await?;
        Ok(heard)
    }

    /// The next chapter, or the recording itself after the last.
    async fn read_on(
        &self,
        reading: Reading,
        asked: &Asked,
    ) -> Result<Option<(Read, Reading)>, TranscribeError> {
        let Reading { recording: Some(mut recording), known, told } = reading else { return Ok(None) };
        let Some(mut chapter) = self.chapter(&mut recording).await? else {
            return Ok(Some((Read::End(Box::new(recording)), Reading::default())));
        };
        recording.ahead.enter(&mut chapter.takes);
        if let ([take], Some(told)) = (&mut chapter.takes[..], &told) {
            take.told = Some(told.next());
        }
        let begun = self.begin_chapter(&chapter, asked, known).await?;
        let known = known.or(begun.as_ref().and_then(|begun| begun.heard.language));
        Ok(Some((Read::Chapter(chapter, begun), Reading { recording: Some(recording), known, told })))
    }

    /// Where the chapters are many, the language is found in the first that tells.
    async fn begin_chapter(
        &self,
        chapter: &Chapter,
        asked: &Asked,
        known: Option<Token>,
    ) -> Result<Option<Begun>, TranscribeError> {
        match (&chapter.takes[..], asked.long_form) {
            ([take], LongForm::Independent { longest }) if !asked.detection.per_window => {
                self.begin_windows(take, asked, longest, known).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// All of a chapter, and what the answer will say of it: the samples are let go of.
    async fn piece(
        &self,
        chapter: Chapter,
        begun: Option<Begun>,
        account: &Arc<Account>,
    ) -> Result<Piece, TranscribeError> {
        let asked = &account.asked;
        let heard = match (begun, &chapter.takes[..]) {
            (Some(begun), [take]) => vec![self.go_on(take, asked, begun).await?],
            (_, takes) => try_join_all(takes.iter().map(|take| self.listen(take, asked))).await?,
        };
        let class = chapter.takes.first().map_or(Class::Batch, |take| take.ticket.class);
        let account = account.clone();
        self.on_cpu(class, move || account.piece(&chapter.takes, &heard)).await
    }
}
