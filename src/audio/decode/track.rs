//! A probed container in, the decoder of its audio track out, guarded against forged parameters.

use std::sync::LazyLock;
use std::time::Duration;

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_AC3, CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_DCA, CODEC_ID_EAC3,
    CODEC_ID_OPUS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW, CODEC_ID_SPEEX, CODEC_ID_TRUEHD, CODEC_ID_WMA,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::{Error, Result as SymphoniaResult};
use symphonia::core::formats::well_known::{
    FORMAT_ID_CAF, FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_MKV, FORMAT_ID_MP1, FORMAT_ID_MP2,
    FORMAT_ID_MP3,
};
use symphonia::core::formats::{FormatId, FormatReader, Track as ContainerTrack, TrackFlags, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration as Ticks, TimeBase, Timestamp};

use super::heard::{Heard, check_shape, time_of};
use super::opus::{self, Opus, OpusHead};
use super::{Limits, aac, edits, entry};
use crate::audio::AudioError;

/// symphonia's decoders allocate a packet's frames times its channels before they see a packet; beyond this many
/// samples the header is forged (the largest honest ones are FLAC's 65,535 frames).
const MOST_SAMPLES_PER_PACKET: u64 = 8 << 20;

/// Silence that stands for one packet is at most this long; real packets are shorter.
const LONGEST_PACKET: Duration = Duration::from_secs(1);
/// The same for a hole in a file: longer ones are not filled, a forged clock must not make hours of nothing.
const LONGEST_HOLE: Duration = Duration::from_secs(30);

/// Opus can tell at most 1.4 s, others tell some tens of milliseconds.
const LONGEST_DELAY: Duration = Duration::from_millis(1400);

static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut registry = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut registry);
    registry.register_audio_decoder::<Opus>();
    registry
});

/// The track that is being decoded.
pub(super) struct Track {
    pub(super) id: u32,
    decoder: Box<dyn AudioDecoder>,
    time_base: Option<TimeBase>,
    format: FormatId,
    /// The encoder's delay, which is not sound: what is to be dropped at the start.
    delay: Delay,
    /// Frames at the codec's own rate that the container says it holds, padding left out, and the padding.
    frames: Option<(u64, u64)>,
    /// Frames decoded so far, those dropped at the start left out.
    given: u64,
    /// How long the last good packet was.
    usual: Duration,
    /// Where the packet before ended, by the container's clock.
    end: Option<Timestamp>,
}

enum Delay {
    /// Told by the codec's header or by an MP4's edit list.
    Told(Duration),
    /// Told by the clock of the first packet, which begins before 0.
    ByClock,
    /// Frames still to be dropped.
    Left(u64),
}

impl Delay {
    /// What is to be dropped from `packet` on, in frames of `rate`.
    fn frames(&self, packet: &Packet, base: Option<TimeBase>, rate: u32) -> u64 {
        let delay = match *self {
            Delay::Left(frames) => return frames,
            Delay::Told(delay) => delay,
            Delay::ByClock => {
                ticks_to_time(packet.pts.duration_to(Timestamp::ZERO).unwrap_or(Ticks::ZERO), base)
            }
        };
        (delay.min(LONGEST_DELAY).as_secs_f64() * f64::from(rate)).round() as u64
    }
}

impl Track {
    /// The default audio track, or else the first one that can be decoded.
    ///
    /// # Errors
    /// `Unsupported` where there is none, naming the codec; `TooLarge` for too many channels.
    pub(super) fn open(reader: &dyn FormatReader, file: &[u8], limits: &Limits) -> Result<Self, AudioError> {
        let mut tracks: Vec<&ContainerTrack> =
            reader.tracks().iter().filter(|track| track.track_type() == Some(TrackType::Audio)).collect();
        tracks.sort_by_key(|track| !track.flags.contains(TrackFlags::DEFAULT));
        let mut refused = None;
        for track in tracks {
            match Track::open_one(track, reader.format_info().format, file, limits) {
                Ok(track) => return Ok(track),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let none = || match entry::foreign(file) {
            Some(name) => cannot_be_decoded(name),
            None => AudioError::Unsupported("the file holds no audio track of a known codec".to_owned()),
        };
        Err(refused.unwrap_or_else(none))
    }

    fn open_one(
        track: &ContainerTrack,
        format: FormatId,
        file: &[u8],
        limits: &Limits,
    ) -> Result<Self, AudioError> {
        let Some(params) = track.codec_params.as_ref().and_then(|params| params.audio()) else {
            return Err(AudioError::Unsupported("the audio track's codec is unknown".to_owned()));
        };
        let corrected = match format {
            FORMAT_ID_ISOMP4 => entry::corrected(params, file, track.id),
            _ => None,
        };
        let params = corrected.as_ref().unwrap_or(params);
        let channels = params.channels.as_ref().map_or(1, |channels| channels.count());
        // Opus writes the rate of its source here, for information only, and MP4 has no room for rates above 65,535 Hz
        // and puts 0. The rate of what is decoded is checked again.
        let told = params.sample_rate.filter(|&rate| rate > 0 && params.codec != CODEC_ID_OPUS);
        check_shape(told.unwrap_or(opus::CLOCK), channels, limits)?;
        if params.max_frames_per_packet.unwrap_or(0).saturating_mul(channels as u64) > MOST_SAMPLES_PER_PACKET
        {
            return Err(AudioError::Damaged("its header claims packets of an impossible length".to_owned()));
        }
        let decoder = make_decoder(params).map_err(|error| refusal(params.codec, &error))?;
        let head = params.extra_data.as_deref().and_then(OpusHead::parse);
        let delay = match head.filter(|_| params.codec == CODEC_ID_OPUS) {
            Some(head) => Delay::Told(time_of(head.pre_skip.into(), opus::CLOCK)),
            None if format == FORMAT_ID_ISOMP4 => {
                // A longer cut was made by a person; whoever sends the file gets all that is in it.
                let edit = ticks_to_time(Ticks::new(edits::delay(file, track.id)), track.time_base);
                Delay::Told(if edit <= LONGEST_DELAY { edit } else { Duration::ZERO })
            }
            None if format == FORMAT_ID_MKV || format == FORMAT_ID_CAF => Delay::ByClock,
            None => Delay::Left(0),
        };
        let frames = track.num_frames.zip(track.padding.map(u64::from));
        Ok(Track {
            id: track.id,
            decoder,
            time_base: track.time_base,
            format,
            delay,
            frames,
            given: 0,
            usual: Duration::ZERO,
            end: None,
        })
    }

    /// The encoder's delay, where it is known before the first packet.
    pub(super) fn told_delay(&self) -> Duration {
        match self.delay {
            Delay::Told(delay) => delay,
            _ => Duration::ZERO,
        }
    }

    /// Decodes one packet into `heard`. A packet that cannot be decoded is noted there, and is no error.
    ///
    /// # Errors
    /// As `Heard::take`.
    pub(super) fn decode(&mut self, packet: &Packet, heard: &mut Heard<'_>) -> Result<(), AudioError> {
        let hole = self.hole_before(packet);
        if !hole.is_zero() {
            heard.miss(hole.min(LONGEST_HOLE))?;
        }
        let missed = match self.decoder.decode(packet) {
            Ok(audio) if audio.frames() == 0 => None,
            Ok(audio) => {
                let rate = audio.spec().rate();
                let frames_in = |ticks: Ticks| frames_of(ticks, self.time_base, rate);
                let left = self.delay.frames(packet, self.time_base, rate);
                let front = frames_in(packet.trim_start).saturating_add(left).min(audio.frames() as u64);
                self.delay = Delay::Left(left.saturating_sub(front));
                // symphonia guesses the length of an MP3 without a Xing header from its first frames, and would cut
                // what goes beyond the guess; MP3 padding is dropped in `finish` instead, where it is certain.
                let back = if is_mpeg(self.format) { 0 } else { frames_in(packet.trim_end) };
                self.given += audio.frames() as u64 - front;
                self.usual = time_of(audio.frames() as u64, rate);
                heard.take(&audio, front as usize, back as usize)?;
                None
            }
            // WebM does not tell how long a packet is.
            Err(_) if packet.dur.is_zero() => Some(self.usual),
            Err(_) => Some(ticks_to_time(packet.dur, self.time_base).min(LONGEST_PACKET)),
        };
        match missed {
            Some(length) => heard.miss(length),
            None => Ok(()),
        }
    }

    /// Ends the track, dropping the encoder's padding at the end of an MP3 that is there to its last frame.
    ///
    /// # Errors
    /// As `Heard::flush`.
    pub(super) fn finish(self, heard: &mut Heard<'_>) -> Result<(), AudioError> {
        let beyond = match self.frames {
            Some((frames, padding)) if is_mpeg(self.format) => {
                Some(self.given.saturating_sub(frames)).filter(|beyond| *beyond <= padding)
            }
            _ => None,
        };
        heard.flush(beyond.unwrap_or(0))
    }

    /// When the packet begins, by the container's clock. Of a packet of another track too: Matroska's clock is one.
    pub(super) fn start_of(&self, packet: &Packet) -> Duration {
        let time = self.time_base.and_then(|base| base.calc_time(packet.pts));
        Duration::from_nanos(time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0)))
    }

    /// The time that symphonia's FLAC reader left out before `packet`: it passes over damaged frames without a word,
    /// but frames are numbered. Other containers' clocks are too coarse, or leave out silence on purpose.
    fn hole_before(&mut self, packet: &Packet) -> Duration {
        if self.format != FORMAT_ID_FLAC {
            return Duration::ZERO;
        }
        let before = self.end.replace(packet.pts.saturating_add(packet.dur));
        let hole = before.and_then(|end| packet.pts.duration_from(end));
        hole.map_or(Duration::ZERO, |hole| ticks_to_time(hole, self.time_base))
    }
}

/// MPEG audio of any layer, which has frames and no container.
pub(super) fn is_mpeg(format: FormatId) -> bool {
    matches!(format, FORMAT_ID_MP1 | FORMAT_ID_MP2 | FORMAT_ID_MP3)
}

fn make_decoder(params: &AudioCodecParameters) -> SymphoniaResult<Box<dyn AudioDecoder>> {
    let mut params = params.clone();
    if let Some(config) = params.extra_data.take_if(|_| params.codec == CODEC_ID_AAC) {
        let core = aac::low_complexity_core(&config);
        let core = core.ok_or(Error::Unsupported("AAC other than AAC-LC and HE-AAC"))?;
        params.extra_data = Some(core.into());
    }
    // CAF tells the width of the codes, the decoder asks for that of the samples.
    if matches!(params.codec, CODEC_ID_PCM_ALAW | CODEC_ID_PCM_MULAW) {
        (params.bits_per_sample, params.bits_per_coded_sample) = (None, None);
    }
    CODECS.make_audio_decoder(&params, &AudioDecoderOptions::default().gapless(false))
}

fn refusal(codec: AudioCodecId, error: &Error) -> AudioError {
    let names = [
        (CODEC_ID_AC3, "AC-3"),
        (CODEC_ID_EAC3, "E-AC-3"),
        (CODEC_ID_DCA, "DTS"),
        (CODEC_ID_TRUEHD, "TrueHD"),
        (CODEC_ID_WMA, "WMA"),
        (CODEC_ID_SPEEX, "Speex"),
        (CODEC_ID_ADPCM_MS, "ADPCM"),
        (CODEC_ID_ADPCM_IMA_WAV, "ADPCM"),
    ];
    if codec == CODEC_ID_AAC {
        let sentence =
            "the audio is AAC of a kind that cannot be decoded; AAC-LC and HE-AAC, mono or stereo, can";
        return AudioError::Unsupported(sentence.to_owned());
    }
    match (names.iter().find(|(id, _)| *id == codec), error) {
        (Some((_, name)), _) => cannot_be_decoded(name),
        (None, Error::Unsupported(_)) => {
            AudioError::Unsupported("the audio track's codec cannot be decoded".to_owned())
        }
        (None, _) => AudioError::Damaged("the audio track's header is malformed".to_owned()),
    }
}

fn cannot_be_decoded(name: &str) -> AudioError {
    AudioError::Unsupported(format!("the audio is {name}, which cannot be decoded"))
}

/// `ticks` of `base` as a time; nothing where the container has no clock.
pub(super) fn ticks_to_time(ticks: Ticks, base: Option<TimeBase>) -> Duration {
    let Some(base) = base else { return Duration::ZERO };
    let nanos =
        u128::from(ticks.get()) * 1_000_000_000 * u128::from(base.numer.get()) / u128::from(base.denom.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn frames_of(ticks: Ticks, base: Option<TimeBase>, rate: u32) -> u64 {
    let Some(base) = base else { return 0 };
    let frames = u128::from(ticks.get()) * u128::from(base.numer.get()) * u128::from(rate)
        / u128::from(base.denom.get());
    u64::try_from(frames).unwrap_or(u64::MAX)
}
