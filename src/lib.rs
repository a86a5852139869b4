//! Concurrency limits on named resources.
