//! Who satisfies which NEEDED in a set of trees.
