//! The bureaus that may push statements: who they are, what they sign with, what they may send.

pub mod trust;
