//! What holds for the files of this repository.

mod files;
mod layers;
mod readme;
mod source;
