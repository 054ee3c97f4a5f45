//! Carries out a plan: verify, unpack, split, patch.
