//! An upload that names a fault in, that fault out: for tests and rehearsals, and in no release build without `faults`.

/// `REHEARSED:abort`, and so on. No container begins like it.
const WORD: &[u8] = b"REHEARSED:";

pub(super) fn rehearse(upload: &[u8]) {
    let Some(fault) = upload.strip_prefix(WORD) else { return };
    match fault.trim_ascii_end() {
        b"abort" => std::process::abort(),
        b"exit" => std::process::exit(7),
        b"overflow" => drop(deeper(0)),
        b"balloon" => {
            let mut held = Vec::new();
            loop {
                held.push(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        b"hang" => loop {
            std::thread::park();
        },
        b"spin" => loop {
            std::hint::spin_loop();
        },
        _ => {}
    }
}

/// For ever, in a way that no optimiser makes a loop of.
fn deeper(depth: u64) -> Vec<u64> {
    let mut path = if depth == u64::MAX { Vec::new() } else { deeper(std::hint::black_box(depth + 1)) };
    path.push(depth);
    path
}
