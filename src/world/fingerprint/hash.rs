//! The hash behind the fingerprint of a world.

use std::time::Duration;

use crate::{api::Direction, world::state::attempt::AttemptRef};

/// A running hash of 128 bits.
pub(super) struct StateHash<'a> {
    sum: u128,
    /// The numbers of the replicas, in the order in which they are hashed.
    order: &'a [usize],
}

impl<'a> StateHash<'a> {
    /// Returns the hash of nothing, with the replicas in this order.
    pub(super) const fn new(order: &'a [usize]) -> Self {
        Self { sum: 1, order }
    }

    pub(super) const fn order(&self) -> &'a [usize] {
        self.order
    }

    pub(super) const fn sum(&self) -> u128 {
        self.sum
    }

    pub(super) fn put(&mut self, word: u64) {
        self.sum =
            (self.sum ^ u128::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.sum ^= self.sum >> 59;
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.put(u64::from(flag));
    }

    pub(super) fn flags(&mut self, flags: &[bool]) {
        for flag in flags {
            self.flag(*flag);
        }
    }

    pub(super) fn numbers(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.number(*number);
        }
    }

    pub(super) fn count(&mut self, count: usize) {
        self.put(count as u64);
    }

    pub(super) fn number(&mut self, number: i64) {
        self.put(number.cast_unsigned());
    }

    pub(super) fn attempt(&mut self, attempt: AttemptRef) {
        self.count(attempt.place);
        self.flag(attempt.direction == Direction::Action);
        self.number(attempt.number);
    }

    pub(super) fn duration(&mut self, duration: Duration) {
        self.put(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}
