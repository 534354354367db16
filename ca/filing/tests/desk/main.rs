//! The desk in process: a filing goes the whole line, every check refuses what it is there for, faults lose and double nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../pki/tests/city/mod.rs"]
mod city;
mod burst;
mod checks;
mod examine;
mod faults;
mod files;
mod known;
mod line;
mod office;
mod operators;
mod ready;
mod verify;
