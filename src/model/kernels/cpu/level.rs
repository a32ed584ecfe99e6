//! The processor in, the code that suits it out.

use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What every processor of this architecture has.
    Base,
    /// Eight numbers at once, multiplied and added in one.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Sixteen.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(find)
}

#[cfg(target_arch = "x86_64")]
fn find() -> Level {
    match () {
        () if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") => Level::Avx512,
        () if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => Level::Avx2,
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
/// inner loop keeps in registers at once, and inlined into each.
macro_rules! for_each_level {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $kind:ty),* $(,)?) = $body:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "each call is guarded by the detection of what it needs; see tests/tidy.rs")]
        fn $name($($arg: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $kind),*) {
                    $body::<6>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma,avx512f,avx512dq")]
                fn avx512($($arg: $kind),*) {
                    $body::<12>($($arg),*);
                }
                match $crate::model::kernels::cpu::level::level() {
                    // SAFETY: the processor has what the functions are compiled for.
                    $crate::model::kernels::cpu::level::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::model::kernels::cpu::level::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    $crate::model::kernels::cpu::level::Level::Base => {}
                }
            }
            $body::<6>($($arg),*);
        }
    };
}
pub(super) use for_each_level;
