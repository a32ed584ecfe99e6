//! A sound in, its chapters out: stretches of some minutes, cut where nobody speaks, each read while the one before it is heard.
//!
//! What a recording takes in memory does not grow with its length, and its first windows are with the model before its last
//! minutes are decoded. A recording of one chapter is heard as a whole; so is one whose every window depends on all of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Rest};
use super::sound::Source;
use super::{Progress, Sound, Take, Terms, TranscribeError, Transcriber};
use crate::audio::{self, Pcm, Room, SAMPLE_RATE, Timeline, duration_of, quietest, samples_in};
use crate::engine::{Attendance, Class, Ticket};
use crate::transcript::{Channels, Incomplete, LongForm, Options, Speech};

/// What is known of the sound behind a chapter's end when that is chosen: the detector of speech looks so far ahead.
pub(super) const BEYOND: usize = 10 * SAMPLE_RATE;
/// A chapter ends within its last so many samples.
const SOUGHT: usize = 30 * SAMPLE_RATE;

/// A sound that is being read.
#[derive(Debug)]
pub(super) struct Recording {
    source: Source,
    /// Read, and in no chapter yet.
    samples: Vec<f32>,
    /// Samples before those.
    start: usize,
    /// Samples of a chapter at most; `None`: the recording is one.
    longest: Option<usize>,
    channels: Channels,
    how: Speech,
    /// With no more speech than this a recording is interactive.
    interactive: Duration,
    pub ticket: Ticket,
    pub incomplete: Option<Incomplete>,
    pub decode_time: Duration,
    pub vad_time: Duration,
    /// The longest channel's length, so far.
    pub length: Duration,
    /// How much there is to come, for all to see.
    rest: Rest,
    /// The recording's own part of what is ahead.
    pub ahead: Arc<Ahead>,
    /// Its share of the device, from before it was decoded to the end.
    attendance: Attendance,
    /// Given back with the samples.
    _room: Option<Room>,
}

/// One chapter of a recording, channel by channel where these are apart.
#[derive(Debug)]
pub(super) struct Chapter {
    pub takes: Vec<Take>,
}

impl Recording {
    fn is_at_start(&self) -> bool {
        self.start == 0
    }

    /// Samples that are read before a chapter is cut off.
    fn wanted(&self) -> usize {
        self.longest.map_or(usize::MAX, |longest| longest + BEYOND)
    }
}

impl Transcriber {
    /// The beginning of a sound: as much of it as its first chapter needs.
    pub(super) async fn open(
        &self,
        sound: Sound,
        options: &Options,
        terms: Terms,
        progress: &Progress,
    ) -> Result<Recording, TranscribeError> {
        let ahead = self.ahead.part(progress);
        let interactive = if terms.is_patient { Duration::ZERO } else { self.interactive };
        let is_short = sound.is_short(interactive) && !terms.is_patient;
        let class = if is_short { Class::Interactive } else { Class::Batch };
        let request = self.next_request();
        let ticket = Ticket { request, class, key: terms.key, deadline: terms.deadline, ..Ticket::default() };
        let in_chapters = options.channels == Channels::Mix
            && matches!(options.long_form, LongForm::Independent { .. })
            && !options.detection.per_window;
        let mut recording = Recording {
            source: Source::Ended,
            samples: Vec::new(),
            start: 0,
            longest: self.chapter.filter(|_| in_chapters),
            channels: options.channels,
            how: options.speech.clone(),
            interactive,
            ticket,
            incomplete: None,
            decode_time: Duration::ZERO,
            vad_time: Duration::ZERO,
            length: Duration::ZERO,
            rest: ahead.rest(),
            ahead,
            attendance: self.engine.attend(ticket),
            _room: None,
        };
        let started = Instant::now();
        let upload = match sound {
            Sound::Upload(upload) => upload,
            Sound::Raw(samples) => {
                recording.source = Source::Held(self.raw(samples, class).await?, 0);
                recording.decode_time = started.elapsed();
                return Ok(recording);
            }
            Sound::Pcm(pcm) => {
                recording.source = Source::Held(pcm, 0);
                return Ok(recording);
            }
        };
        if recording.longest.is_none() {
            let (apart, room) = self.decoded(upload, options.channels, class).await?;
            recording.incomplete = apart.incomplete;
            recording.source = Source::Apart(apart.channels);
            (recording._room, recording.decode_time) = (Some(room), started.elapsed());
            return Ok(recording);
        }
        // First a place among those that decode, then a core or room: see `decoded`.
        let _place = self.decoding.take(class).await?;
        let core = self.cpu.take(class).await?;
        let started = Instant::now();
        recording.source = Source::Parts(Box::new(self.decoder.parts(upload).await?));
        recording.decode_time = started.elapsed();
        self.fill(&mut recording).await?;
        drop(core);
        let most = match recording.source {
            Source::Ended => recording.samples.len(),
            // One that is heard, another that is read or heard as well.
            _ => 2 * recording.wanted(),
        };
        recording._room = Some(self.decoder.room(most).await);
        Ok(recording)
    }

    /// Reads until there is enough for a chapter. Who calls it holds a core.
    async fn fill(&self, recording: &mut Recording) -> Result<(), TranscribeError> {
        let started = Instant::now();
        while recording.samples.len() < recording.wanted() {
            match recording.source.next(recording.wanted() - recording.samples.len()).await? {
                Some(part) => {
                    recording.samples.extend_from_slice(part.pcm.samples());
                    recording.length += part.pcm.duration();
                    recording.rest.read(recording.length, part.expected);
                }
                None => {
                    recording.incomplete = recording.source.end();
                    recording.rest.set(Duration::ZERO);
                    break;
                }
            }
        }
        recording.decode_time += started.elapsed();
        Ok(())
    }

    /// The next stretch of a sound, and where in it somebody speaks; `None` after the last.
    pub(super) async fn chapter(
        &self,
        recording: &mut Recording,
    ) -> Result<Option<Chapter>, TranscribeError> {
        if let Source::Apart(channels) = &mut recording.source {
            let channels: Vec<Pcm> = std::mem::take(channels);
            if channels.is_empty() {
                return Ok(None);
            }
            recording.length = channels.iter().map(Pcm::duration).max().unwrap_or_default();
            recording.rest.read(recording.length, None);
            return self.judged(recording, channels, true).await.map(|(chapter, _)| Some(chapter));
        }
        if !matches!(recording.source, Source::Ended) {
            let core = self.cpu.take(recording.ticket.class).await?;
            self.fill(recording).await?;
            drop(core);
        }
        let is_last = recording.samples.len() < recording.wanted();
        let mut samples = std::mem::take(&mut recording.samples);
        // A decoder's parts are as long as they are; where chapters end must not depend on it.
        let beyond = samples.split_off(samples.len().min(recording.wanted()));
        if samples.is_empty() && !recording.is_at_start() {
            return Ok(None);
        }
        let count = samples.len();
        let (chapter, mut rest) = self.judged(recording, vec![Pcm::from_16k_mono(samples)], is_last).await?;
        recording.start += count - rest.len();
        rest.extend(beyond);
        recording.samples = rest;
        if is_last {
            // Nothing more is to come, not even an empty chapter.
            recording.source = Source::Apart(Vec::new());
        }
        Ok(Some(chapter))
    }

    /// Where somebody speaks, and with that where the chapter ends; the samples behind that.
    async fn judged(
        &self,
        recording: &mut Recording,
        channels: Vec<Pcm>,
        is_last: bool,
    ) -> Result<(Chapter, Vec<f32>), TranscribeError> {
        let (how, ticket, interactive) = (recording.how.clone(), recording.ticket, recording.interactive);
        let (is_split, is_whole) =
            (recording.channels == Channels::Split, is_last && recording.is_at_start());
        let (start, longest) = (duration_of(recording.start), recording.longest.filter(|_| !is_last));
        let judge = move || {
            let started = Instant::now();
            let mut rest = Vec::new();
            let mut take = |(index, mut pcm): (usize, Pcm)| {
                let mut speech = how.detect.then(|| audio::speech(&pcm, &how));
                if let Some(longest) = longest {
                    (pcm, rest) = split(pcm, speech.as_mut(), longest);
                }
                let timeline = match &speech {
                    Some(spans) => Timeline::of_speech(spans, pcm.samples().len(), &how),
                    None => Timeline::whole(&pcm),
                };
                let channel = is_split.then_some(index);
                let ticket = Ticket { class: Class::Batch, ..ticket };
                let speech = speech.map(Arc::from);
                Take { channel, start, pcm: Arc::new(pcm), speech, timeline, ticket, ..Take::default() }
            };
            let mut takes: Vec<Take> = channels.into_iter().enumerate().map(&mut take).collect();
            let spoken: usize = takes.iter().map(|take| take.timeline.len()).sum();
            if is_whole && duration_of(spoken) <= interactive {
                takes.iter_mut().for_each(|take| take.ticket.class = Class::Interactive);
            }
            (Chapter { takes }, rest, started.elapsed())
        };
        let (chapter, rest, vad_time) = self.on_cpu(ticket.class, judge).await?;
        recording.vad_time += vad_time;
        let class = chapter.takes.first().map_or(Class::Batch, |take| take.ticket.class);
        if class != ticket.class {
            recording.ticket.class = class;
            recording.attendance = self.engine.attend(recording.ticket);
        }
        Ok((chapter, rest))
    }
}

/// A chapter of at most `longest` samples, and what follows it: cut in the longest pause near its end, or where it is quietest.
/// `spans` are cut with it.
fn split(pcm: Pcm, spans: Option<&mut Vec<Range<usize>>>, longest: usize) -> (Pcm, Vec<f32>) {
    let mut samples = pcm.into_samples();
    let sought = longest - SOUGHT.min(longest / 2)..longest;
    let pause = spans.as_deref().and_then(|spans| longest_pause(spans, &sought));
    let at = quietest(&pause.unwrap_or(sought), &samples);
    let rest = samples.split_off(at);
    samples.shrink_to_fit();
    if let Some(spans) = spans {
        spans.retain_mut(|span| {
            span.end = span.end.min(at);
            span.start < span.end
        });
    }
    (Pcm::from_16k_mono(samples), rest)
}

/// The longest stretch within a range in which nobody speaks.
fn longest_pause(spans: &[Range<usize>], within: &Range<usize>) -> Option<Range<usize>> {
    let ends = std::iter::once(within.start).chain(spans.iter().map(|span| span.end));
    let starts = spans.iter().map(|span| span.start).chain([within.end]);
    let pauses = ends.zip(starts).map(|(from, to)| from.max(within.start)..to.min(within.end));
    pauses.filter(|pause| pause.start < pause.end).max_by_key(|pause| pause.len())
}

/// Samples of a chapter, where recordings are heard in chapters.
pub(super) fn chapter_samples(seconds: u64) -> Option<usize> {
    (seconds > 0).then(|| samples_in(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = SAMPLE_RATE;

    #[test]
    fn a_chapter_ends_in_the_longest_pause_near_its_end() {
        let spans =
            [0..5 * SECOND, 50 * SECOND..52 * SECOND, 53 * SECOND..57 * SECOND, 58 * SECOND..70 * SECOND];
        let sought = 40 * SECOND..60 * SECOND;
        assert_eq!(longest_pause(&spans, &sought), Some(40 * SECOND..50 * SECOND));
        assert_eq!(longest_pause(&spans[1..], &(51 * SECOND..60 * SECOND)), Some(57 * SECOND..58 * SECOND));
        assert_eq!(longest_pause(&[], &sought), Some(sought.clone()));
        assert_eq!(longest_pause(&[0..99 * SECOND], &sought), None);
    }

    #[test]
    fn nothing_is_lost_or_doubled_at_the_end_of_a_chapter() {
        let samples: Vec<f32> = (0..80 * SECOND).map(|at| at as f32).collect();
        for spans in [vec![0..55 * SECOND, 58 * SECOND..79 * SECOND], vec![0..80 * SECOND], vec![]] {
            let mut cut = spans.clone();
            let (pcm, rest) = split(Pcm::from_16k_mono(samples.clone()), Some(&mut cut), 60 * SECOND);
            let at = pcm.samples().len();
            assert!((30 * SECOND..=60 * SECOND).contains(&at));
            assert_eq!([pcm.samples(), &rest].concat(), samples);
            assert!(cut.iter().all(|span| span.start < span.end && span.end <= at));
            let spoken = |spans: &[Range<usize>]| spans.iter().filter(|span| span.start < at).count();
            assert_eq!(cut.len(), spoken(&spans));
        }
        let (pcm, rest) = split(Pcm::from_16k_mono(samples.clone()), None, 60 * SECOND);
        assert_eq!([pcm.samples(), &rest].concat(), samples);
    }
}
