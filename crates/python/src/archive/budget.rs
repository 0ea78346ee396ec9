//! How much an archive may expand to.

/// Bytes that an archive may still produce.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    left: u64,
}

/// An archive produced more than it may.
#[derive(Debug, thiserror::Error)]
#[error("it expands too much (to more than {limit} bytes); split it, or ask for a higher limit")]
pub(super) struct Exhausted {
    limit: u64,
}

impl Budget {
    /// The budget of an archive of `stored` bytes: `ratio` times as much, at least `free`, never more than
    /// `absolute`.
    pub(super) fn new(stored: u64, ratio: u64, free: u64, absolute: u64) -> Self {
        let limit = stored.saturating_mul(ratio).max(free).min(absolute);
        Self { limit, left: limit }
    }

    /// Takes `bytes` out of the budget.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(bytes).ok_or(Exhausted { limit: self.limit })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_archives_may_expand_freely_and_large_ones_by_the_ratio() {
        assert_eq!(Budget::new(1, 50, 1000, 100_000).limit, 1000);
        assert_eq!(Budget::new(100, 50, 1000, 100_000).limit, 5000);
        assert_eq!(Budget::new(1_000_000, 50, 1000, 100_000).limit, 100_000);
        assert_eq!(Budget::new(u64::MAX, 50, 1000, 100_000).limit, 100_000);
    }

    #[test]
    fn what_is_spent_is_gone() {
        let mut budget = Budget::new(0, 0, 10, 10);
        budget.spend(4).unwrap();
        budget.spend(6).unwrap();
        budget.spend(0).unwrap();
        assert!(budget.spend(1).unwrap_err().to_string().contains("more than 10 bytes"));
    }
}
