//! Programs made of bytes, run by a pool and by its specification: tests/model, led by coverage.
//!
//! A failing one is printed as the code that tests/model/programs.rs keeps.

#![no_main]

#[path = "../../tests/model/body.rs"]
mod body;
#[path = "../../tests/model/both.rs"]
mod both;
mod bytes;
#[path = "../../tests/model/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "../../tests/model/real.rs"]
mod real;
#[path = "../../tests/model/spec.rs"]
mod spec;
#[path = "../../tests/model/state.rs"]
mod state;

libfuzzer_sys::fuzz_target!(|program: bytes::Program| {
    both::run(&program.settings, &program.steps);
});
