//! Decoded packets in, growing stretches of 16 kHz mono out (one, or one a channel), counted against the limits as they grow.

use std::time::Duration;

use symphonia::core::audio::{Channels as SymphoniaChannels, GenericAudioBufferRef};

use super::Limits;
use super::mix::Mix;
use crate::audio::resample::Resampler;
use crate::audio::{AudioError, Pcm, duration_of, samples_in};
use crate::transcript::Channels;

/// No container of ours may carry more channels, whatever the settings say.
const MOST_CHANNELS: usize = 32;
/// Rates outside are forged: the highest that converters have is 384 kHz (768 kHz is computed), more costs minutes a
/// mebibyte, and a low one makes long silence of few bytes.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// What has been heard so far.
pub(super) struct Heard<'a> {
    limits: &'a Limits,
    wanted: Channels,
    /// All of one length; at least one.
    samples: Vec<Vec<f32>>,
    /// Who takes them meanwhile; `None`: they are kept.
    taker: Option<Taker<'a>>,
    /// Samples that were taken.
    given: usize,
    /// How much audio there will be, as far as it is known.
    expected: Option<Duration>,
    stream: Option<Stream>,
    /// Packets that gave samples.
    pub(super) decoded: u64,
    /// Packets that could not be decoded, and where the first of them stood.
    pub(super) lost: u64,
    pub(super) first_lost: Option<Duration>,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
}

/// Takes one channel's samples as they are decoded.
pub struct Taker<'a> {
    /// Samples that are given at once, or a packet more; fewer at the end.
    pub part: usize,
    /// Gets a part, and how much audio there will be in all, where that is known; `false`: it wants no more.
    pub take: &'a mut dyn FnMut(Pcm, Option<Duration>) -> bool,
}

/// A run of packets of one rate and channel layout.
struct Stream {
    rate: u32,
    /// Where in `samples` the run began.
    base: usize,
    /// Channels of the packets.
    width: usize,
    /// How each stretch of samples is made of them, one resampler each.
    voices: Vec<(Mix, Resampler)>,
}

impl Stream {
    /// Frames taken so far.
    fn taken(&self) -> u64 {
        self.voices.first().map_or(0, |(_, resampler)| resampler.taken())
    }
}

impl<'a> Heard<'a> {
    pub(super) fn new(limits: &'a Limits, wanted: Channels) -> Self {
        Heard {
            limits,
            wanted,
            samples: vec![Vec::new()],
            taker: None,
            given: 0,
            expected: None,
            stream: None,
            decoded: 0,
            lost: 0,
            first_lost: None,
            interleaved: Vec::new(),
            mono: Vec::new(),
        }
    }

    /// From now on the samples, of which there is one channel, are given away.
    pub(super) fn give_to(&mut self, taker: Taker<'a>) {
        self.taker = Some(taker);
    }

    /// Gives a part away, where there is enough for one.
    ///
    /// # Errors
    /// `GaveUp` where nobody wants it.
    pub(super) fn hand_on(&mut self) -> Result<(), AudioError> {
        match self.taker.as_ref().is_some_and(|taker| self.held() >= taker.part) {
            true => self.hand_on_all(),
            false => Ok(()),
        }
    }

    /// Gives away what there is.
    pub(super) fn hand_on_all(&mut self) -> Result<(), AudioError> {
        let Some(taker) = &mut self.taker else { return Ok(()) };
        for samples in &mut self.samples {
            let part = std::mem::replace(samples, Vec::with_capacity(samples.len()));
            self.given += part.len();
            if !part.is_empty() && !(taker.take)(sound(part), self.expected) {
                return Err(AudioError::GaveUp("nobody waits for it any more".to_owned()));
            }
        }
        Ok(())
    }

    /// What the container says of its length, for whoever waits for the rest.
    pub(super) fn expect(&mut self, length: Option<Duration>) {
        self.expected = length.map(|length| length.min(self.limits.max_duration));
    }

    /// How much time has been heard, with what the resampler still holds back.
    pub(super) fn now(&self) -> Duration {
        match &self.stream {
            Some(stream) => duration_of(stream.base) + time_of(stream.taken(), stream.rate),
            None => duration_of(self.len()),
        }
    }

    /// Takes one packet's frames but the first `front` and the last `back`.
    ///
    /// # Errors
    /// `TooLarge` where a limit is passed, `Unsupported` where the packet's own rate cannot be served.
    pub(super) fn take(
        &mut self,
        audio: &GenericAudioBufferRef<'_>,
        front: usize,
        back: usize,
    ) -> Result<(), AudioError> {
        let (rate, channels) = (audio.spec().rate(), audio.spec().channels());
        check_shape(rate, channels.count(), self.limits)?;
        if self.stream.as_ref().is_none_or(|stream| stream.rate != rate || stream.width != channels.count()) {
            self.flush(0)?;
            self.stream = Some(self.open(rate, channels)?);
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        audio.copy_to_vec_interleaved(&mut self.interleaved);
        let width = channels.count();
        let until = audio.frames().saturating_sub(back).max(front.min(audio.frames()));
        let frames = &self.interleaved[front.min(until) * width..until * width];
        for ((mix, resampler), samples) in stream.voices.iter_mut().zip(&mut self.samples) {
            self.mono.clear();
            mix.down(frames, &mut self.mono);
            resampler.push(&self.mono, samples).map_err(AudioError::Unsupported)?;
        }
        self.decoded += 1;
        self.check_size()
    }

    /// Notes a stretch that could not be decoded. Silence takes its place, so that what follows keeps its time.
    ///
    /// # Errors
    /// `TooLarge` where a limit is passed.
    pub(super) fn miss(&mut self, length: Duration) -> Result<(), AudioError> {
        self.lost += 1;
        self.first_lost.get_or_insert(self.now());
        match &mut self.stream {
            Some(stream) => {
                self.mono.clear();
                self.mono.resize((length.as_secs_f64() * f64::from(stream.rate)) as usize, 0.0);
                for ((_, resampler), samples) in stream.voices.iter_mut().zip(&mut self.samples) {
                    resampler.push(&self.mono, samples).map_err(AudioError::Unsupported)?;
                }
            }
            None => {
                let len = self.held() + samples_in(length);
                self.samples.iter_mut().for_each(|samples| samples.resize(len, 0.0));
            }
        }
        self.check_size()
    }

    /// Ends the current run, leaving out its last `padding` frames.
    pub(super) fn flush(&mut self, padding: u64) -> Result<(), AudioError> {
        let voices = self.stream.take().into_iter().flat_map(|stream| stream.voices);
        for ((_, resampler), samples) in voices.zip(&mut self.samples) {
            resampler.finish(padding, samples).map_err(AudioError::Unsupported)?;
        }
        // A run of fewer channels than one before it has nothing to say in the others.
        let len = self.samples.iter().map(Vec::len).max().unwrap_or(0);
        self.samples.iter_mut().for_each(|samples| samples.resize(len, 0.0));
        Ok(())
    }

    /// A new run of packets. Channels that were not there before have been silent so far.
    fn open(&mut self, rate: u32, channels: &SymphoniaChannels) -> Result<Stream, AudioError> {
        let mixes = match self.wanted {
            Channels::Mix => vec![Mix::new(channels)],
            Channels::Split => Mix::each(channels),
        };
        let base = self.len();
        // A chained file may go on in many channels after hours of one: counted before they are made.
        self.check_bytes(mixes.len().max(self.samples.len()), base)?;
        if mixes.len() > self.samples.len() {
            self.samples.resize(mixes.len(), vec![0.0; base]);
        }
        let voice = |mix| Ok((mix, Resampler::new(rate as usize).map_err(AudioError::Unsupported)?));
        let voices = mixes.into_iter().map(voice).collect::<Result<_, AudioError>>()?;
        Ok(Stream { rate, base, width: channels.count(), voices })
    }

    /// Samples of each stretch, whoever has them.
    fn len(&self) -> usize {
        self.given + self.held()
    }

    fn held(&self) -> usize {
        self.samples[0].len()
    }

    /// Whether there is not one sample, once flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it.
    pub(super) fn into_pcm(self) -> Vec<Pcm> {
        self.samples.into_iter().map(sound).collect()
    }

    fn check_size(&self) -> Result<(), AudioError> {
        self.check_duration(self.now())?;
        self.check_bytes(self.samples.len(), self.len())
    }

    /// Refuses what will be so long.
    ///
    /// # Errors
    /// `TooLarge`, as `take` would say when it is there.
    pub(super) fn foresee(&self, length: Duration) -> Result<(), AudioError> {
        self.check_duration(length)?;
        self.check_bytes(self.samples.len(), samples_in(length))
    }

    /// Makes room at once for what will come, instead of by doubling. Nothing is touched before it is there.
    pub(super) fn make_room(&mut self, length: Duration) {
        if !length.is_zero() {
            self.expect(Some(length));
        }
        if let (None, [samples]) = (&self.taker, &mut self.samples[..]) {
            // Without it lists grow as they do.
            let _ = samples.try_reserve_exact(samples_in(length));
        }
    }

    fn check_duration(&self, length: Duration) -> Result<(), AudioError> {
        let most = self.limits.max_duration;
        if length <= most {
            return Ok(());
        }
        let what = format!("the audio is longer than {} seconds", most.as_secs_f64());
        Err(AudioError::TooLarge { what, setting: "audio.max_duration_seconds" })
    }

    /// Refuses `stretches` of `len` samples each where they are too many.
    fn check_bytes(&self, stretches: usize, len: usize) -> Result<(), AudioError> {
        if stretches.saturating_mul(len).saturating_mul(size_of::<f32>()) > self.limits.max_decoded_bytes {
            let what =
                format!("the audio takes more than {} bytes once decoded", self.limits.max_decoded_bytes);
            return Err(AudioError::TooLarge { what, setting: "audio.max_decoded_bytes" });
        }
        Ok(())
    }
}

/// Each sample in -1..=1 as 16-bit audio would have it: filters overshoot, and floats may hold more.
fn sound(mut samples: Vec<f32>) -> Pcm {
    samples.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    samples.shrink_to_fit();
    Pcm::from_16k_mono(samples)
}

/// Refuses shapes that no recording has, or that the settings forbid.
///
/// # Errors
/// `TooLarge` for too many channels, `Unsupported` for no channels and for impossible rates.
pub(super) fn check_shape(rate: u32, channels: usize, limits: &Limits) -> Result<(), AudioError> {
    if !RATES.contains(&rate) {
        let range = format!("{} to {} Hz", RATES.start(), RATES.end());
        return Err(AudioError::Unsupported(format!(
            "the audio's sampling rate is {rate} Hz; {range} can be read"
        )));
    }
    if channels == 0 {
        return Err(AudioError::Unsupported("the audio track has no channels".to_owned()));
    }
    let most = limits.max_channels.min(MOST_CHANNELS);
    if channels > most {
        let what = format!("the audio has {channels} channels, more than {most}");
        return Err(AudioError::TooLarge { what, setting: "audio.max_channels" });
    }
    Ok(())
}

/// The time of `frames` at `rate`, rounded down to a nanosecond.
pub(super) fn time_of(frames: u64, rate: u32) -> Duration {
    let nanos = u128::from(frames) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
