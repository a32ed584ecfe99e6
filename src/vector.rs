//! Vectors of the widest kind that this processor has: plain loops, compiled for each kind and chosen when they are called.
//!
//! `for_each_level` makes such functions, `chip` has what compilers make no use of by themselves, `eight` what no
//! compiler makes a vector of, `curves` what is no instruction.

pub mod chip;
pub mod curves;
pub mod eight;

use std::sync::OnceLock;

/// Numbers that are computed together; a loop over so many becomes one, two or four instructions.
pub const LANES: usize = 16;

pub type Lanes = [f32; LANES];

/// `-inf` of none; what is no number is passed over.
#[inline(always)]
pub fn largest(numbers: &[f32]) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = if *number > *lane { *number } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Of all of them, in halves: one after the other they would wait for each other.
#[inline(always)]
pub fn total(mut lanes: Lanes) -> f32 {
    for half in [8, 4, 2, 1] {
        for at in 0..half {
            lanes[at] += lanes[at + half];
        }
    }
    lanes[0]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What every processor of this architecture has.
    Base,
    /// Eight numbers at once, multiplied and added in one; halves of 16 bits read as they are.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Sixteen.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// And whole numbers multiplied and added in one.
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(find)
}

#[cfg(target_arch = "x86_64")]
fn find() -> Level {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw");
    match () {
        () if avx512 && is_x86_feature_detected!("avx512vnni") => Level::Vnni,
        () if avx512 => Level::Avx512,
        () if avx2 => Level::Avx2,
        () => Level::Base,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn find() -> Level {
    Level::Base
}

/// Whether the kernels are worth having here: without a fused multiplication and addition each of them would be a call.
pub fn is_fast() -> bool {
    cfg!(target_arch = "aarch64") || level() != Level::Base
}

/// A function that is compiled for every level, and calls the one for this processor. `body` is generic over the rows that the
/// inner loop keeps in registers at once, and inlined into each; `body with chip` also over what else the processor can.
macro_rules! for_each_level {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) = $body:ident) => {
        $crate::vector::for_each_level! {
            $(#[$doc])* $vis fn $name($($arg: $kind),*) = {
                $body::<6>, $body::<6>, $body::<12>, $body::<12>
            }
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) = $body:ident with chip) => {
        $crate::vector::for_each_level! {
            $(#[$doc])* $vis fn $name($($arg: $kind),*) = {
                $body::<6, $crate::vector::chip::Base>,
                $body::<6, $crate::vector::chip::Avx2>,
                $body::<12, $crate::vector::chip::Avx512>,
                $body::<12, $crate::vector::chip::Vnni>
            }
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),*) = {$base:path, $avx2:path, $avx512:path, $vnni:path}) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "each call is guarded by the detection of what it needs; see tests/tidy.rs")]
        $vis fn $name($($arg: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::vector::{Level, level};

                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $kind),*) {
                    $avx2($($arg),*);
                }
                #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw")]
                fn avx512($($arg: $kind),*) {
                    $avx512($($arg),*);
                }
                #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vnni")]
                fn vnni($($arg: $kind),*) {
                    $vnni($($arg),*);
                }
                match level() {
                    // SAFETY: the processor has what the functions are compiled for.
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    Level::Vnni => return unsafe { vnni($($arg),*) },
                    Level::Base => {}
                }
            }
            $base($($arg),*);
        }
    };
}
pub(crate) use for_each_level;
