//! Slots in, the next plan out; pure.
