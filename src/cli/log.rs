//! Messages for people: a terminal, or Nix's `@nix` lines.
