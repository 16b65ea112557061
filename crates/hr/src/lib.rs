//! The program: I/O and people.
