//! The chart: generated parts are what they are generated from, wrong values are refused in words, every value has an
//! effect, and a real API server takes everything that is rendered. It installs nothing into pods.

mod alerts;
pub mod generated;
mod helm;
mod rendered;
mod values;

pub use helm::{directory, helm, objects, render};
