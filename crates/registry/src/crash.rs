//! Places where a test can end the process, as a power cut would.

/// Ends the process when a test asked for it here; compiles to nothing without the feature `failpoints`.
macro_rules! crash_point {
    ($name:expr) => {
        fail::fail_point!($name, |_| std::process::abort());
    };
}
