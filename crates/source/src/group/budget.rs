//! How many extra requests a group may make.

use parking_lot::Mutex;

/// What a question earns: one extra request for ten.
const EARNED: u32 = 1;
/// What an extra request costs, in the same unit.
const COST: u32 = 10;
/// Extra requests that can be saved up: as many as are usually in flight when a member falls silent.
const SAVED: u32 = 16;
/// Extra requests that a group begins with, so that its very first questions can be helped.
const AT_FIRST: u32 = 1;

/// A token bucket: over any run of `n` questions at most `n / 10` extra requests, and [`SAVED`] more that
/// earlier questions did not use. Counted in whole tenths, so that nothing is lost to rounding.
#[derive(Debug)]
pub(super) struct Budget(Mutex<u32>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Mutex::new(AT_FIRST * COST))
    }

    /// A question was asked.
    pub(super) fn earn(&self) {
        let mut tenths = self.0.lock();
        *tenths = tenths.saturating_add(EARNED).min(SAVED * COST);
    }

    /// Leave for one extra request.
    pub(super) fn spend(&self) -> bool {
        let mut tenths = self.0.lock();
        match tenths.checked_sub(COST) {
            Some(left) => {
                *tenths = left;
                true
            }
            None => false,
        }
    }

    /// Extra requests that may be made now.
    pub(super) fn left(&self) -> f64 {
        f64::from(*self.0.lock()) / f64::from(COST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_questions_pay_for_one_extra_request() {
        let budget = Budget::new();
        assert!(budget.spend(), "the one that it begins with");
        let mut extra = 0;
        for _ in 0..1000 {
            budget.earn();
            extra += u32::from(budget.spend());
        }
        assert_eq!(extra, 100);
    }

    #[test]
    fn what_can_be_saved_up_is_bounded() {
        let budget = Budget::new();
        (0..10_000).for_each(|_| budget.earn());
        let saved = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(saved, 16);
        assert!(budget.left() < 1.0);
    }
}
