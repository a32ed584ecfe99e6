//! Nothing in; whether the NVIDIA driver's library for CUDA can be loaded and started, its version and its devices out.
//!
//! In any build: the library is loaded by hand, as NVML's is. A broken one may end the process, so only a process that may die should ask.

use std::ffi::{c_int, c_uint};

use libloading::{Library, Symbol};

use super::gpu::is_missing;

const LIBRARY: &str = "libcuda.so.1";

/// A driver that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The newest CUDA that it runs: 12090 is 12.9.
    pub version: u32,
    pub devices: u32,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum CudaError {
    #[error("{LIBRARY} is not here")]
    Missing,
    #[error("{LIBRARY} cannot be loaded: {0}")]
    Broken(String),
    /// What `cuInit` said; 100 is `CUDA_ERROR_NO_DEVICE`.
    #[error("{LIBRARY} was loaded and cannot be started: cuInit says {code}{}", in_words(*code))]
    Refused { code: i32 },
}

/// What the driver's header calls the commonest refusals.
fn in_words(code: i32) -> &'static str {
    match code {
        100 => " (CUDA_ERROR_NO_DEVICE: no GPU can be seen)",
        34 => " (CUDA_ERROR_STUB_LIBRARY: it is the toolkit's stand-in for the driver)",
        802 => " (CUDA_ERROR_SYSTEM_NOT_READY: the fabric manager does not run)",
        803 => {
            " (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: the kernel's module and the library are of different versions)"
        }
        804 => {
            " (CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: the forward compatibility package is not for this card)"
        }
        999 => " (CUDA_ERROR_UNKNOWN: often the device files /dev/nvidia* are missing)",
        _ => "",
    }
}

/// `12090` as `12.9`.
pub fn version(number: u32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

#[allow(unsafe_code, reason = "a library is loaded by hand; see tests/tidy.rs")]
pub fn look() -> Result<Driver, CudaError> {
    let refused = |error: libloading::Error| match is_missing(&error.to_string()) {
        true => CudaError::Missing,
        false => CudaError::Broken(error.to_string()),
    };
    let (mut version, mut devices): (c_int, c_int) = (0, 0);
    // SAFETY: the names and types are those of cuda.h, which have never changed; each takes plain numbers or a pointer to one that outlives
    // the call. What the library does while it is loaded is the driver's own; nobody but this function holds anything of it.
    unsafe {
        let library = Library::new(LIBRARY).map_err(refused)?;
        let init: Symbol<unsafe extern "C" fn(c_uint) -> c_int> =
            library.get(b"cuInit\0").map_err(refused)?;
        let get: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> =
            library.get(b"cuDriverGetVersion\0").map_err(refused)?;
        let count: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> =
            library.get(b"cuDeviceGetCount\0").map_err(refused)?;
        for code in [init(0), get(&mut version), count(&mut devices)] {
            if code != 0 {
                return Err(CudaError::Refused { code });
            }
        }
        // Unloaded, it would take its threads' code with it.
        std::mem::forget(library);
    }
    Ok(Driver { version: version.try_into().unwrap_or(0), devices: devices.try_into().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_as_people_do() {
        assert_eq!([version(12_090), version(13_000), version(11_080)], ["12.9", "13.0", "11.8"]);
    }

    #[test]
    fn common_refusals_have_words() {
        assert!(CudaError::Refused { code: 100 }.to_string().contains("NO_DEVICE"));
        assert!(CudaError::Refused { code: 1 }.to_string().ends_with("cuInit says 1"));
    }
}
