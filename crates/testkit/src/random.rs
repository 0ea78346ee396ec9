//! Content and secrets that no cache has met.

/// `length` bytes from the operating system.
pub fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A word of 24 lower case hexadecimal digits: good as a password, a tag or a name.
pub fn random_word() -> String {
    hex::encode(random_bytes(12))
}
