//! An AAC AudioSpecificConfig in, that of its plain low-complexity core out.
//!
//! HE-AAC codes the lower half of the band as ordinary AAC-LC at half the rate and the upper half as hints (SBR) in
//! filler elements that an LC decoder skips. symphonia refuses files that announce the hints; told of the core alone it
//! decodes it, and a core at 22 to 24 kHz holds all that Whisper hears. The second version's parametric stereo is a
//! mono core in the same way. Layout: ISO/IEC 14496-3, 1.6.2.1.

const LOW_COMPLEXITY: u32 = 2;
const SPECTRAL_BAND_REPLICATION: u32 = 5;
const PARAMETRIC_STEREO: u32 = 29;
/// The frequency index that says that 24 bits with the rate itself follow.
const EXPLICIT_RATE: u32 = 15;

/// The config of the low-complexity core, or `None` where there is none to be found (xHE-AAC, AAC-LD, a forged header).
pub(super) fn low_complexity_core(config: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits { bytes: config, at: 0 };
    let object = bits.object_type()?;
    let index = bits.read(4)?;
    let explicit = if index == EXPLICIT_RATE { Some(bits.read(24)?) } else { None };
    let channels = bits.read(4)?;
    let core = match object {
        SPECTRAL_BAND_REPLICATION | PARAMETRIC_STEREO => {
            if bits.read(4)? == EXPLICIT_RATE {
                bits.read(24)?;
            }
            bits.object_type()?
        }
        plain => plain,
    };
    if core != LOW_COMPLEXITY {
        return None;
    }
    let short_frames = bits.read(1)?;
    let mut out = Writer::default();
    out.write(LOW_COMPLEXITY, 5);
    out.write(index, 4);
    if let Some(rate) = explicit {
        out.write(rate, 24);
    }
    out.write(channels, 4);
    // Frame length, then no core coder and no extension; what followed was the announcement of SBR.
    out.write(short_frames, 1);
    out.write(0, 2);
    Some(out.bytes())
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |value, _| {
            let byte = *self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.read(5)? {
            31 => Some(32 + self.read(6)?),
            short => Some(short),
        }
    }
}

#[derive(Default)]
struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    fn write(&mut self, value: u32, count: usize) {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn bytes(self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().enumerate().map(|(i, &bit)| u8::from(bit) << (7 - i)).sum();
        self.bits.chunks(8).map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_complexity_stays_itself_without_its_extensions() {
        // LC, 44.1 kHz, stereo; then the same with the backward-compatible announcement of SBR (0x2b7).
        assert_eq!(low_complexity_core(&[0x12, 0x10]).as_deref(), Some(&[0x12, 0x10][..]));
        assert_eq!(low_complexity_core(&[0x13, 0x88, 0x56, 0xe5, 0xa0]).as_deref(), Some(&[0x13, 0x88][..]));
    }

    #[test]
    fn he_aac_gives_its_core_at_the_core_rate() {
        // SBR, core 22.05 kHz (7), stereo, extended to 44.1 kHz (4), around LC.
        assert_eq!(low_complexity_core(&[0x2b, 0x92, 0x08, 0x00]).as_deref(), Some(&[0x13, 0x90][..]));
        // Parametric stereo: core 24 kHz (6), mono, extended to 48 kHz (3).
        assert_eq!(low_complexity_core(&[0xeb, 0x09, 0x88, 0x00]).as_deref(), Some(&[0x13, 0x08][..]));
    }

    #[test]
    fn other_kinds_and_stubs_have_no_core() {
        // xHE-AAC is object type 42.
        for config in [&[][..], &[0x12], &[0xf9, 0x4c, 0x80], &[0x2b, 0x92]] {
            assert_eq!(low_complexity_core(config), None, "{config:x?}");
        }
    }
}
