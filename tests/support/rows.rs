//! Table tests that report every failing row, for the unit tests and for the integration tests.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
};

use futures::FutureExt;

/// Runs a table test to its end: one failing row does not hide the next.
pub(crate) fn for_each_row<R>(rows: impl IntoIterator<Item = R>, mut check: impl FnMut(R)) {
    let rows = rows.into_iter();
    report(rows.map(|row| panic::catch_unwind(AssertUnwindSafe(|| check(row)))).collect());
}

/// The same for rows whose check is asynchronous.
pub(crate) async fn for_each_row_async<R>(
    rows: impl IntoIterator<Item = R>,
    mut check: impl AsyncFnMut(R),
) {
    let mut outcomes = Vec::new();
    for row in rows {
        outcomes.push(AssertUnwindSafe(check(row)).catch_unwind().await);
    }
    report(outcomes);
}

fn report(outcomes: Vec<Result<(), Box<dyn Any + Send>>>) {
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(Result::err)
        .map(|failure| match failure.downcast::<String>() {
            Ok(message) => *message,
            Err(_) => "see the panic above".to_owned(),
        })
        .collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}
