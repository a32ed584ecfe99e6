//! What all targets share: the entry points of `tests/support/hostile_bytes.rs`, an allocator with a limit, and which panics count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic;

#[path = "../../tests/support/hostile_bytes.rs"]
pub mod hostile_bytes;

#[doc(hidden)]
pub use libfuzzer_sys;

/// A whole target: one function of `hostile_bytes`.
#[macro_export]
macro_rules! target {
    ($entry:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::heed_our_own_panics(),
            |bytes: &[u8]| $crate::hostile_bytes::$entry(bytes)
        );
    };
}

/// libFuzzer's own hook ends the process at any panic. The decoders' are caught and answered as damage, which is what a client
/// sees, and so those alone may pass.
pub fn heed_our_own_panics() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        if !GUARDED.iter().any(|guarded| file.contains(guarded)) {
            end(panic);
        }
    }));
}

/// Crates of decoders that `audio::decode` calls behind a guard.
const GUARDED: &[&str] = &["/symphonia-", "/ruopus-"];

/// More than any decoder may ask for at once: the limits of `hostile_bytes` allow it 4 MiB of samples.
const MOST_AT_ONCE: usize = 64 << 20;

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// SAFETY: all of it is the system's; a request beyond the limit ends the process.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

fn check(size: usize) {
    if size > MOST_AT_ONCE {
        eprintln!("{size} bytes were asked for at once");
        std::process::abort();
    }
}
