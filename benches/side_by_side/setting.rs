//! What all steps of a run share: the command line, the programs, and what was learnt about the limit. It measures
//! nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{arguments::Arguments, programs::Programs};

/// See the module.
pub struct Setting {
    pub arguments: Arguments,
    pub programs: Programs,
    /// By number of objects: at which depth the limit is measured.
    depths: Mutex<HashMap<usize, u16>>,
}

impl Setting {
    /// Nothing is known of the limit yet.
    pub fn new(arguments: Arguments, programs: Programs) -> Self {
        Self { arguments, programs, depths: Mutex::default() }
    }

    /// The limit's depth with so many objects, once it was learnt.
    pub fn depth(&self, objects: usize) -> Option<u16> {
        self.depths().get(&objects).copied()
    }

    /// It is this one from now on.
    pub fn learnt(&self, objects: usize, depth: u16) {
        self.depths().insert(objects, depth);
    }

    fn depths(&self) -> MutexGuard<'_, HashMap<usize, u16>> {
        self.depths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
