//! How many requests with a body one user may have under way: a pipeline gone wild must not starve others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts bodies under way by user.
#[derive(Clone)]
pub(crate) struct Bodies {
    under_way: Arc<Mutex<HashMap<i64, u32>>>,
    limit: u32,
}

/// One body under way; it stops counting when this is dropped.
pub(crate) struct BodyPermit {
    bodies: Bodies,
    user_id: i64,
}

impl Bodies {
    pub(crate) fn new(limit: u32) -> Self {
        Self { under_way: Arc::default(), limit }
    }

    /// `None` when the user has as many under way as allowed.
    pub(crate) fn begin(&self, user_id: i64) -> Option<BodyPermit> {
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(user_id).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(BodyPermit { bodies: self.clone(), user_id })
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        let mut under_way = self.bodies.under_way.lock();
        if let Some(count) = under_way.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_until_it_is_dropped() {
        let bodies = Bodies::new(2);
        let first = bodies.begin(1).unwrap();
        let _second = bodies.begin(1).unwrap();
        assert!(bodies.begin(1).is_none());
        assert!(bodies.begin(2).is_some(), "another user has a count of its own");
        drop(first);
        assert!(bodies.begin(1).is_some());
    }
}
