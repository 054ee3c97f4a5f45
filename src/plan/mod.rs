//! The plan of one package: what a derivation asks its builder to do.
