//! State that all steps of a run share: the command line, the programs, and the best depth for the limit. It measures
//! nothing.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{arguments::Arguments, programs::Programs};

pub struct Setting {
    pub arguments: Arguments,
    pub programs: Programs,
    /// By number of objects: the depth at which the limit is measured.
    depths: Mutex<HashMap<usize, u16>>,
}

impl Setting {
    /// Without any depth yet.
    pub fn new(arguments: Arguments, programs: Programs) -> Self {
        Self { arguments, programs, depths: Mutex::default() }
    }

    /// The limit's depth with this number of objects, if it was determined.
    pub fn depth(&self, objects: usize) -> Option<u16> {
        self.depths.lock().get(&objects).copied()
    }

    pub fn set_depth(&self, objects: usize, depth: u16) {
        self.depths.lock().insert(objects, depth);
    }
}
