//! Work in the destructors of thread-locals.

use std::{cell::RefCell, thread, time::Duration};

use futures_util::FutureExt;
use tower_concurrency_limiter::{Limiter, Resource};

struct AtExit(Limiter, Resource);

impl Drop for AtExit {
    fn drop(&mut self) {
        let outcome = self.0.run([&self.1], async || "flushed").now_or_never();
        assert_eq!(outcome.expect("at once").expect("idle"), "flushed");
    }
}

thread_local! {
    static BEFORE: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

/// A panic there would end the process.
#[test]
fn run_works_in_the_destructor_of_a_thread_local() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let (own, held) = (limiter.clone(), db.clone());
    let thread = thread::spawn(move || {
        // Whichever way round they are dropped, one of them is dropped late.
        BEFORE.set(Some(AtExit(own.clone(), held.clone())));
        drop(AtExit(own.clone(), held.clone()));
        AFTER.set(Some(AtExit(own, held)));
    });
    thread.join().expect("no panics");
    assert_eq!(db.in_use(), 0);
}
