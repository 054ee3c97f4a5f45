//! A folder of archives and wheels, listed as a redistrib manifest.
