//! The tree as a whole: random runs against a model, and transcripts.

mod model;
mod random;
mod transcripts;
