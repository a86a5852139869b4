//! What holds for the files of this repository.

mod layers;
mod readme;
