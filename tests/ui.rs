//! What must not compile: programs in `tests/ui` in which something borrowed would be used after its
//! end, or on two threads at a time. Each is rejected for the reason that it is there for, which the
//! compiler's own words beside it show.
//!
//! Those words change from one compiler to the next, so they are compared with the one that they were
//! recorded with. (That the like does not compile is checked with every other one, by examples in
//! `src/scope/misuse.rs`.) For a newer one: `TRYBUILD=overwrite cargo test --test ui -- --ignored`,
//! and read what has changed.

#[rustversion::attr(not(stable(1.95)), ignore = "the compiler's words are those of Rust 1.95")]
#[test]
fn what_borrows_for_too_long_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/scope_*.rs");
}
