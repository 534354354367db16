//! Black-box judging of the built programs, and the demonstration data they are judged on.
#![forbid(unsafe_code)]

pub mod demo;
pub mod desk;
pub mod disk;
pub mod office;
pub mod outside;
pub mod parsers;
pub mod programs;
