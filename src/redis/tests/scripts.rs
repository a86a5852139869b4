//! One promise after another.
