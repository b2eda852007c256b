//! What all steps of a run share: the command line, the programs, and what was learnt about the limit. It measures
//! nothing.

use std::sync::{Mutex, PoisonError};

use crate::{arguments::Arguments, programs::Programs};

/// In flight at the limit, of which the best counts.
const DEPTHS: [u16; 4] = [4, 8, 16, 32];

/// See the module.
pub struct Setting {
    pub arguments: Arguments,
    pub programs: Programs,
    /// The depths that the next limit step tries, best first.
    depths: Mutex<Vec<u16>>,
}

impl Setting {
    /// Nothing is known of the limit yet.
    pub fn new(arguments: Arguments, programs: Programs) -> Self {
        Self { arguments, programs, depths: Mutex::new(DEPTHS.to_vec()) }
    }

    /// All depths at first; then the two that were best, which is where the best will be.
    pub fn depths(&self) -> Vec<u16> {
        self.depths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A limit step has tried some depths; the best is first.
    pub fn learnt(&self, mut best_first: Vec<u16>) {
        best_first.truncate(2);
        *self.depths.lock().unwrap_or_else(PoisonError::into_inner) = best_first;
    }
}
