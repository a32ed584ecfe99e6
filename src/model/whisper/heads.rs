//! A network's shape in, the cross-attention heads of OpenAI's own checkpoint of that shape out.
//!
//! From the masks `_ALIGNMENT_HEADS` of openai/whisper `__init__.py` at c0d2f624, lines 36-51, decoded as its model.py does
//! (lines 278-284): base85, gzip, one byte for each head, layer after layer.

use super::config::Config;

/// One of OpenAI's checkpoints, by what its `config.json` says.
struct Known {
    #[cfg(test)]
    name: &'static str,
    /// `d_model`, encoder layers, decoder layers, heads of each decoder layer, tokens.
    shape: [usize; 5],
    /// `(layer, head)` of the decoder.
    heads: &'static [(usize, usize)],
}

/// `(layer, head)` of the decoder, where the shape is that of one of OpenAI's checkpoints. large-v1 and large-v2 share
/// theirs; v2's heads are given, because v1 is hardly used any more.
pub(super) fn known(config: &Config) -> Option<&'static [(usize, usize)]> {
    let shape = [
        config.d_model,
        config.encoder_layers,
        config.decoder_layers,
        config.decoder_attention_heads,
        config.vocab_size,
    ];
    KNOWN.iter().find(|known| known.shape == shape).map(|known| known.heads)
}

/// large-v2 stands before large-v1: the first of a shape is found.
const KNOWN: [Known; 12] = [
    Known {
        #[cfg(test)]
        name: "tiny.en",
        shape: [384, 4, 4, 6, 51864],
        heads: &[(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)],
    },
    Known {
        #[cfg(test)]
        name: "tiny",
        shape: [384, 4, 4, 6, 51865],
        heads: &[(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)],
    },
    Known {
        #[cfg(test)]
        name: "base.en",
        shape: [512, 6, 6, 8, 51864],
        heads: &[(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)],
    },
    Known {
        #[cfg(test)]
        name: "base",
        shape: [512, 6, 6, 8, 51865],
        heads: &[(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)],
    },
    Known {
        #[cfg(test)]
        name: "small.en",
        shape: [768, 12, 12, 12, 51864],
        heads: &[
            (6, 6),
            (7, 0),
            (7, 3),
            (7, 8),
            (8, 2),
            (8, 5),
            (8, 7),
            (9, 0),
            (9, 4),
            (9, 8),
            (9, 10),
            (10, 0),
            (10, 1),
            (10, 2),
            (10, 3),
            (10, 6),
            (10, 11),
            (11, 2),
            (11, 4),
        ],
    },
    Known {
        #[cfg(test)]
        name: "small",
        shape: [768, 12, 12, 12, 51865],
        heads: &[(5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)],
    },
    Known {
        #[cfg(test)]
        name: "medium.en",
        shape: [1024, 24, 24, 16, 51864],
        heads: &[
            (11, 4),
            (14, 1),
            (14, 12),
            (14, 14),
            (15, 4),
            (16, 0),
            (16, 4),
            (16, 9),
            (17, 12),
            (17, 14),
            (18, 7),
            (18, 10),
            (18, 15),
            (20, 0),
            (20, 3),
            (20, 9),
            (20, 14),
            (21, 12),
        ],
    },
    Known {
        #[cfg(test)]
        name: "medium",
        shape: [1024, 24, 24, 16, 51865],
        heads: &[(13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4)],
    },
    Known {
        #[cfg(test)]
        name: "large-v2",
        shape: [1280, 32, 32, 20, 51865],
        heads: &[
            (10, 12),
            (13, 17),
            (16, 11),
            (16, 12),
            (16, 13),
            (17, 15),
            (17, 16),
            (18, 4),
            (18, 11),
            (18, 19),
            (19, 11),
            (21, 2),
            (21, 3),
            (22, 3),
            (22, 9),
            (22, 12),
            (23, 5),
            (23, 7),
            (23, 13),
            (25, 5),
            (26, 1),
            (26, 12),
            (27, 15),
        ],
    },
    Known {
        #[cfg(test)]
        name: "large-v1",
        shape: [1280, 32, 32, 20, 51865],
        heads: &[(9, 19), (11, 2), (11, 4), (11, 17), (22, 7), (22, 11), (22, 17), (23, 2), (23, 15)],
    },
    Known {
        #[cfg(test)]
        name: "large-v3",
        shape: [1280, 32, 32, 20, 51866],
        heads: &[
            (7, 0),
            (10, 17),
            (12, 18),
            (13, 12),
            (16, 1),
            (17, 14),
            (19, 11),
            (21, 4),
            (24, 1),
            (25, 6),
        ],
    },
    Known {
        #[cfg(test)]
        name: "large-v3-turbo",
        shape: [1280, 32, 4, 20, 51866],
        heads: &[(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(name: &str) -> &'static [(usize, usize)] {
        KNOWN.iter().find(|known| known.name == name).unwrap().heads
    }

    #[test]
    fn the_lists_are_as_long_as_the_masks() {
        let counts: Vec<(&str, usize)> = KNOWN.iter().map(|known| (known.name, known.heads.len())).collect();
        let masks = [
            ("tiny.en", 8),
            ("tiny", 6),
            ("base.en", 5),
            ("base", 8),
            ("small.en", 19),
            ("small", 10),
            ("medium.en", 18),
            ("medium", 6),
            ("large-v2", 23),
            ("large-v1", 9),
            ("large-v3", 10),
            ("large-v3-turbo", 6),
        ];
        assert_eq!(counts, masks);
        assert_eq!((heads("tiny")[0], heads("base.en")[4]), ((2, 2), (5, 7)));
        assert_eq!(heads("large-v3")[1], (10, 17));
        assert_eq!(heads("large-v3-turbo"), [(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)]);
    }

    #[test]
    fn every_head_lies_within_its_network_and_stands_once() {
        for known in &KNOWN {
            let [d_model, _, layers, heads, _] = known.shape;
            assert_eq!(d_model, heads * 64, "{}", known.name);
            assert!(
                known.heads.iter().all(|(layer, head)| *layer < layers && *head < heads),
                "{}",
                known.name
            );
            assert!(known.heads.is_sorted_by(|a, b| a < b), "{}", known.name);
        }
    }
}
