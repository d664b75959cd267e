use std::{cell::Cell, rc::Rc};

use hyper::rt::Executor;
use tokio::task::{LocalSet, yield_now};

use super::LocalExecutor;

#[tokio::test]
async fn a_stream_runs_at_once_as_far_as_it_can_and_a_panic_ends_no_other() {
    let seen = Rc::new(Cell::new(0));
    let see = |number| {
        let seen = Rc::clone(&seen);
        move || seen.set(seen.get() + number)
    };
    let steps = LocalSet::new();
    let (ready, late) = (see(1), see(10));
    let running = steps.run_until(async {
        LocalExecutor.execute(async move { ready() });
        assert_eq!(seen.get(), 1);
        LocalExecutor.execute(async { panic!("a broken invariant") });
        LocalExecutor.execute(async move {
            yield_now().await;
            late();
        });
        assert_eq!(seen.get(), 1);
    });
    running.await;
    steps.await;
    assert_eq!(seen.get(), 11);
}
