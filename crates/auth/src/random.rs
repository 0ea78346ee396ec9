//! Randomness that nobody else can guess.

/// Bytes from the operating system's generator.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A server that cannot make secrets must not run on with predictable ones.
    getrandom::fill(&mut bytes).expect("the operating system has a source of randomness");
    bytes
}
