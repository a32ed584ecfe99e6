//! A model's shape and the memory that is free in; how many windows it takes at once out. Pure: who measures is elsewhere.

use super::config::Config;

/// Lanes beyond one a slot: the widest search that is allowed finds room beside windows that are under way.
pub const SPARE_LANES: usize = 16;

/// Beyond these more windows gain little: a step's logits still cross to the host row by row.
const MOST: usize = 64;
/// Left to the driver, to kernels that are loaded later and to what lies unused between allocations.
const RESERVE: u64 = 512 << 20;
/// On a CPU, where a step costs by the row, slots only keep others from waiting; a few a core do.
const PER_CORE: usize = 4;
const CPU_SLOTS: std::ops::RangeInclusive<usize> = 4..=16;

/// Windows encoded together where nobody said: on a CPU a batch costs as much as its windows one by one, and whoever comes in between
/// waits for it.
pub fn encode_batch(is_cpu: bool) -> usize {
    if is_cpu { 2 } else { 8 }
}

/// Where the model is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `free`: what the driver says before the weights are there; `None`: it cannot be told.
    Gpu { free: Option<u64> },
    /// `free`: memory that the system can still give.
    Cpu { cores: usize, free: Option<u64> },
}

/// What one model takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    pub weights: u64,
    /// Keys and values of one window's audio.
    pub slot: u64,
    /// Keys and values of one row's tokens.
    pub lane: u64,
    /// The largest that an encoder pass, a step or an alignment holds at once, as estimated.
    pub workspace: u64,
}

impl Needs {
    /// `bytes`: of one number. `encode_batch`: windows of one encoder pass.
    pub fn of(config: &Config, bytes: usize, encode_batch: usize) -> Needs {
        let Config { d_model: d, decoder_layers: layers, max_source_positions: frames, .. } = *config;
        let text = config.max_target_positions;
        // Of a layer: what goes in, its queries, keys and values, what is attended, and the inner layer twice; or the unrolled
        // convolutions, which are smaller.
        let activations = encode_batch * frames * (2 * config.encoder_ffn_dim + 8 * d);
        // Scores of one window at a time: as they are, masked and normed.
        let attention = 3 * config.encoder_attention_heads * frames * frames;
        let logits = (MOST + SPARE_LANES) * config.vocab_size * 2;
        let alignment = encode_batch * text * frames * config.decoder_attention_heads;
        let workspace = (activations + attention).max(logits).max(alignment) * bytes;
        Needs {
            weights: config.parameters() * bytes as u64,
            slot: (2 * layers * frames * d * bytes) as u64,
            lane: (2 * layers * text * d * bytes) as u64,
            // Pieces of other sizes are kept for later calls by the allocator.
            workspace: (workspace + workspace / 2) as u64,
        }
    }

    /// What they are where the weights of products are rounded to 8 bits with a scale for every 32, and memories to 16 bits.
    fn rounded(self, config: &Config) -> Needs {
        let in_products = config.in_products();
        Needs {
            weights: in_products + in_products / 8 + (config.parameters() - in_products) * 4,
            slot: self.slot / 2,
            lane: self.lane / 2,
            ..self
        }
    }

    /// As it is loaded. `small`: weights in 8 bits and memories in 16, as our kernels keep them.
    pub fn planned(config: &Config, bytes: usize, small: bool, encode_batch: usize) -> Needs {
        let needs = Needs::of(config, bytes, encode_batch);
        if small { needs.rounded(config) } else { needs }
    }

    /// All of it, for so many windows at once.
    pub fn at(&self, slots: usize) -> u64 {
        let lanes = (slots + SPARE_LANES) as u64;
        self.weights + self.workspace + slots as u64 * self.slot + lanes * self.lane
    }

    /// How many windows find room in so much memory, each with a lane, and the spare lanes beside them.
    fn fit(&self, free: u64) -> usize {
        let fixed = self.weights + self.workspace + SPARE_LANES as u64 * self.lane;
        (free.saturating_sub(fixed) / (self.slot + self.lane)) as usize
    }
}

/// At least one, whatever there is: whether it fits is then for the device to say.
pub fn slots(config: &Config, needs: &Needs, place: Place) -> usize {
    match place {
        Place::Gpu { free: Some(free) } => needs.fit(free.saturating_sub(RESERVE)).clamp(1, MOST),
        Place::Gpu { free: None } => usual(config),
        Place::Cpu { cores, free } => {
            let wanted = (PER_CORE * cores).clamp(*CPU_SLOTS.start(), *CPU_SLOTS.end());
            // Half: the machine is not ours alone.
            let most = free.map_or(wanted, |free| needs.fit(free / 2));
            wanted.min(most).max(1)
        }
    }
}

/// What common cards hold with room to spare.
fn usual(config: &Config) -> usize {
    match config.d_model {
        ..=512 => 32,
        513..=768 => 24,
        769..=1024 => 16,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const F16: usize = 2;
    const F32: usize = 4;
    const ENCODE_BATCH: usize = 8;
    /// As sold, in GiB: a laptop's, an A4000, an A10 or L4, an A100, an A100 or H100, an H200.
    const CARDS: [u64; 6] = [8, 16, 24, 40, 80, 141];

    /// Mels, width, layers of encoder and decoder, tokens; as the hub's `config.json` has them.
    fn shape(of: (usize, usize, usize, usize, usize)) -> Config {
        let (num_mel_bins, d_model, encoder_layers, decoder_layers, vocab_size) = of;
        Config {
            num_mel_bins,
            d_model,
            encoder_layers,
            encoder_attention_heads: d_model / 64,
            encoder_ffn_dim: 4 * d_model,
            decoder_layers,
            decoder_attention_heads: d_model / 64,
            decoder_ffn_dim: 4 * d_model,
            vocab_size,
            max_source_positions: 1500,
            max_target_positions: 448,
        }
    }

    fn tiny() -> Config {
        shape((80, 384, 4, 4, 51_865))
    }
    fn base() -> Config {
        shape((80, 512, 6, 6, 51_865))
    }
    fn small() -> Config {
        shape((80, 768, 12, 12, 51_865))
    }
    fn medium() -> Config {
        shape((80, 1024, 24, 24, 51_865))
    }
    fn large_v3() -> Config {
        shape((128, 1280, 32, 32, 51_866))
    }
    fn turbo() -> Config {
        shape((128, 1280, 32, 4, 51_866))
    }

    /// A card that nobody else uses, less what a context takes.
    fn on(config: &Config, gib: u64) -> usize {
        let needs = Needs::of(config, F16, ENCODE_BATCH);
        slots(config, &needs, Place::Gpu { free: Some(gib * GIB - GIB / 2) })
    }

    #[test]
    fn the_least_of_every_model_is_had_on_every_card() {
        let least =
            [(tiny(), 32), (base(), 32), (small(), 24), (medium(), 16), (large_v3(), 4), (turbo(), 8)];
        for (config, least) in least {
            for gib in CARDS {
                let slots = on(&config, gib);
                assert!(slots >= least, "{slots} slots of a model of {} on {gib} GiB", config.d_model);
            }
        }
    }

    #[test]
    fn the_headroom_decides_how_many_of_the_largest() {
        let slots: Vec<usize> = CARDS.iter().map(|gib| on(&large_v3(), *gib)).collect();
        assert_eq!(slots, [6, 33, 60, 64, 64, 64]);
        let slots: Vec<usize> = CARDS.iter().map(|gib| on(&medium(), *gib)).collect();
        assert_eq!(slots, [22, 64, 64, 64, 64, 64]);
    }

    #[test]
    fn what_is_chosen_fits_and_one_more_would_not() {
        for (config, gib) in [(large_v3(), 8), (large_v3(), 16), (large_v3(), 24), (medium(), 8)] {
            let needs = Needs::of(&config, F16, ENCODE_BATCH);
            let taken = |slots: u64| {
                needs.weights
                    + needs.workspace
                    + slots * needs.slot
                    + (slots + SPARE_LANES as u64) * needs.lane
                    + RESERVE
            };
            let (slots, free) = (on(&config, gib) as u64, gib * GIB - GIB / 2);
            assert!(taken(slots) <= free && taken(slots + 1) > free, "{slots} on {gib} GiB");
        }
    }

    #[test]
    fn twice_the_bytes_leave_room_for_fewer() {
        let free = Place::Gpu { free: Some(24 * GIB) };
        let of = |bytes| slots(&large_v3(), &Needs::of(&large_v3(), bytes, ENCODE_BATCH), free);
        assert!(of(F32) < of(F16) / 2, "{} and {}", of(F32), of(F16));
    }

    #[test]
    fn a_card_that_is_full_or_says_nothing_gets_a_number_all_the_same() {
        let needs = Needs::of(&large_v3(), F16, ENCODE_BATCH);
        assert_eq!(slots(&large_v3(), &needs, Place::Gpu { free: Some(GIB) }), 1);
        let unknown = |config: &Config| slots(config, &needs, Place::Gpu { free: None });
        let least = [tiny(), base(), small(), medium(), large_v3()].map(|config| unknown(&config));
        assert_eq!(least, [32, 32, 24, 16, 8]);
    }

    #[test]
    fn a_cpu_has_some_for_each_core_as_far_as_its_memory_goes() {
        let on = |config: &Config, cores, free| {
            slots(config, &Needs::of(config, F32, 2), Place::Cpu { cores, free })
        };
        assert_eq!([1, 2, 3, 64].map(|cores| on(&tiny(), cores, None)), [4, 8, 12, 16]);
        assert_eq!(on(&tiny(), 2, Some(8 * GIB)), 8);
        // 6 GB of weights and a gigabyte for every two windows.
        assert!((1..8).contains(&on(&large_v3(), 2, Some(24 * GIB))));
        assert_eq!(on(&large_v3(), 2, Some(8 * GIB)), 1);
    }
}
