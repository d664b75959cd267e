//! Supervision: no long-lived task may end, and the first one that does ends the process.

use std::{any::Any, panic::AssertUnwindSafe};

use anyhow::anyhow;
use futures::FutureExt;
use tokio::task::JoinSet;

/// The exit of a long-lived task: its name and the reason.
pub(super) type Ended = (&'static str, String);

/// Runs a named task so that its exit, including a panic, can be reported.
pub(super) async fn supervised(name: &'static str, task: impl Future<Output = String>) -> Ended {
    let ended = AssertUnwindSafe(task).catch_unwind().await;
    (name, ended.unwrap_or_else(|panic| format!("it panicked: {}", panic_message(&*panic))))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Waits until one of the tasks ends, and names it in the error.
pub(super) async fn first_to_end(tasks: &mut JoinSet<Ended>) -> anyhow::Error {
    match tasks.join_next().await {
        Some(Ok((name, why))) => anyhow!("the {name} ended: {why}"),
        Some(Err(error)) => anyhow!("a task ended: {error}"),
        None => anyhow!("no task was started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_is_named_with_its_reason() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", std::future::pending()));
        tasks.spawn(supervised("source", async { "the file watch ended".to_owned() }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the source ended: the file watch ended");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_its_message() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", async { panic!("a broken invariant") }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the publisher ended: it panicked: a broken invariant");
    }
}
