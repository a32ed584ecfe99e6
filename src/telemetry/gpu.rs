//! The GPU as NVML sees it.
