//! Archives: strict unpacking into a directory, and the re-laying of wheels.
