//! Opus packets in, samples at 48 kHz out: the pure-Rust `opus-decoder` behind symphonia's decoder trait.
//!
//! Ogg, WebM and MP4 all give the `OpusHead` of RFC 7845, section 5.1.

use opus_decoder::{OpusDecoder, OpusError, OpusMultistreamDecoder};
use symphonia::core::audio::{
    AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result, decode_error, unsupported_error};
use symphonia::core::packet::PacketRef;

/// The clock of Opus itself: pre-skip and granule positions count at 48 kHz whatever the decoder's rate.
pub(super) const CLOCK: u32 = 48_000;
/// The longest packet, 120 ms.
const LONGEST: usize = CLOCK as usize * 120 / 1000;

/// What the identification header says.
pub(super) struct OpusHead {
    channels: usize,
    /// Samples at 48 kHz that the decoder makes before the sound begins.
    pub(super) pre_skip: u32,
    /// Factor on all samples.
    gain: f32,
    /// Streams, coupled streams and the stream channel of each output channel, where there are more than one stream.
    streams: Option<(usize, usize, Vec<u8>)>,
}

impl OpusHead {
    /// `None` where `header` is no `OpusHead` that RFC 7845 allows.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let fields = header.strip_prefix(b"OpusHead")?;
        let &[
            _version,
            channels,
            skip_low,
            skip_high,
            _,
            _,
            _,
            _,
            gain_low,
            gain_high,
            family,
            ref table @ ..,
        ] = fields
        else {
            return None;
        };
        let channels = usize::from(channels);
        let streams = match (family, channels) {
            (_, 0) => return None,
            (0, 1 | 2) => None,
            (0, _) => return None,
            _ => {
                let (&[streams, coupled], mapping) = table.split_first_chunk()?;
                Some((usize::from(streams), usize::from(coupled), mapping.get(..channels)?.to_vec()))
            }
        };
        // Q7.8 decibels.
        let gain = f32::from(i16::from_le_bytes([gain_low, gain_high])) / 256.0;
        let pre_skip = u32::from(u16::from_le_bytes([skip_low, skip_high]));
        Some(OpusHead { channels, pre_skip, gain: 10f32.powf(gain / 20.0), streams })
    }
}

enum Inner {
    /// Boxed: its state is some tens of kilobytes.
    Single(Box<OpusDecoder>),
    Multi(OpusMultistreamDecoder),
}

/// The adapter.
pub(super) struct Opus {
    params: AudioCodecParameters,
    inner: Inner,
    gain: f32,
    samples: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl Opus {
    fn new(params: &AudioCodecParameters) -> Result<Self> {
        let head = params.extra_data.as_deref().and_then(OpusHead::parse);
        // Matroska without a private header is plain mono or stereo.
        let head = match (head, params.channels.as_ref().map(Channels::count)) {
            (Some(head), _) => head,
            (None, Some(channels @ (1 | 2))) => OpusHead { channels, pre_skip: 0, gain: 1.0, streams: None },
            (None, _) => return unsupported_error("opus: no usable identification header"),
        };
        let rate = CLOCK;
        let (inner, channels) = match &head.streams {
            None => {
                (OpusDecoder::new(rate, head.channels).map(|it| Inner::Single(Box::new(it))), head.channels)
            }
            Some((streams, coupled, mapping)) => {
                let multi = OpusMultistreamDecoder::new(rate, head.channels, *streams, *coupled, mapping);
                (multi.map(Inner::Multi), head.channels)
            }
        };
        let inner = inner.map_err(|_| Error::Unsupported("opus: channel mapping not supported"))?;
        let layout = Channels::Discrete(channels as u16);
        let mut params = params.clone();
        params.with_sample_rate(rate).with_channels(layout.clone());
        let buffer = AudioBuffer::new(AudioSpec::new(rate, layout), LONGEST);
        Ok(Opus { params, inner, gain: head.gain, samples: vec![0.0; LONGEST * channels], buffer })
    }
}

impl AudioDecoder for Opus {
    fn reset(&mut self) {
        match &mut self.inner {
            Inner::Single(decoder) => decoder.reset(),
            Inner::Multi(decoder) => decoder.reset(),
        }
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        // The decoder reads an empty packet as a lost one and invents sound for it.
        if packet.data.is_empty() {
            return decode_error("opus: empty packet");
        }
        let frames = match &mut self.inner {
            Inner::Single(decoder) => decoder.decode_float(packet.data, &mut self.samples, false),
            Inner::Multi(decoder) => decoder.decode_float(packet.data, &mut self.samples, false),
        };
        let frames = frames.map_err(|error| match error {
            OpusError::InvalidPacket => Error::DecodeError("opus: invalid packet"),
            _ => Error::DecodeError("opus: packet could not be decoded"),
        })?;
        let channels = self.buffer.spec().channels().count();
        let Some(samples) = self.samples.get_mut(..frames * channels) else {
            return decode_error("opus: packet longer than 120 ms");
        };
        samples.iter_mut().for_each(|sample| *sample *= self.gain);
        self.buffer.resize_uninit(frames);
        self.buffer.copy_from_slice_interleaved(&samples);
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(
        params: &AudioCodecParameters,
        _options: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Opus::new(params)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        const INFO: CodecInfo = CodecInfo { short_name: "opus", long_name: "Opus", profiles: &[] };
        &[SupportedAudioCodec { id: CODEC_ID_OPUS, info: INFO }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_gives_pre_skip_and_gain() {
        let head = OpusHead::parse(b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x06\x00").unwrap();
        assert_eq!((head.channels, head.pre_skip), (2, 312));
        // 0x0600 is 6 dB.
        assert!((head.gain - 1.995).abs() < 1e-3);
        assert!(head.streams.is_none());
    }

    #[test]
    fn a_surround_header_gives_its_streams() {
        let head = OpusHead::parse(b"OpusHead\x01\x03\0\0\x80\xbb\0\0\0\0\x01\x02\x01\x00\x02\x01").unwrap();
        assert_eq!(head.streams, Some((2, 1, vec![0, 2, 1])));
    }

    #[test]
    fn headers_that_say_nothing_usable_are_refused() {
        let forged: [&[u8]; 5] = [
            b"",
            b"OpusTags",
            b"OpusHead\x01\x02\x38",
            b"OpusHead\x01\x00\x38\x01\x80\xbb\0\0\0\0\0",
            b"OpusHead\x01\x06\0\0\x80\xbb\0\0\0\0\x01\x04\x02\x00",
        ];
        for header in forged {
            assert!(OpusHead::parse(header).is_none(), "{header:?}");
        }
    }
}
