use super::Exposition::{self, OpenMetrics, Text};
use crate::testing::for_each_row;

#[test]
fn the_format_is_the_one_that_the_client_prefers() {
    let rows: [(&[&str], Exposition); 16] = [
        (&[], Text),
        (&["*/*"], Text),
        (&["text/html,*/*;q=0.8"], Text),
        (&["text/plain"], Text),
        (&["text/plain;version=0.0.4"], Text),
        (&["application/openmetrics-text"], OpenMetrics),
        (&["application/openmetrics-text; version=1.0.0; charset=utf-8"], OpenMetrics),
        (&["APPLICATION/OpenMetrics-Text;Version=\"1.0.0\""], OpenMetrics),
        // What Prometheus sends.
        (
            &["application/openmetrics-text;version=1.0.0;q=0.5,\
               application/openmetrics-text;version=0.0.1;q=0.4,\
               text/plain;version=0.0.4;q=0.3,*/*;q=0.1"],
            OpenMetrics,
        ),
        (&["application/openmetrics-text;q=0.2, text/plain;q=0.9"], Text),
        (&["application/openmetrics-text;q=0"], Text),
        (&["application/openmetrics-text;q=high"], Text),
        (&["application/openmetrics-text;version=9.0.0"], Text),
        (&["text/plain;q=0.1", "application/openmetrics-text;q=0.1"], OpenMetrics),
        (&["application/json"], Text),
        (&[",;=,;q"], Text),
    ];
    for_each_row(rows, |(accept, expected)| {
        assert_eq!(Exposition::accepted(accept.iter().copied()), expected, "{accept:?}");
    });
}

#[test]
fn counters_infos_units_and_the_end_are_translated() {
    let open_metrics = "\
# HELP a_requests Answers, by \"route\".\n# TYPE a_requests counter\n\
a_requests_total{route=\"/\"} 7\n\
# HELP a_build The version.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
# HELP a_age_seconds An age.\n# TYPE a_age_seconds gauge\n# UNIT a_age_seconds seconds\n\
a_age_seconds NaN\n\
# HELP a_size Sizes.\n# TYPE a_size histogram\na_size_sum 3.0\na_size_count 1\n\
a_size_bucket{le=\"+Inf\"} 1\n# TYPE a_thing unknown\na_thing 1\n# EOF\n";
    let text = "\
# HELP a_requests_total Answers, by \"route\".\n# TYPE a_requests_total counter\n\
a_requests_total{route=\"/\"} 7\n\
# HELP a_build_info The version.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
# HELP a_age_seconds An age.\n# TYPE a_age_seconds gauge\n\
a_age_seconds NaN\n\
# HELP a_size Sizes.\n# TYPE a_size histogram\na_size_sum 3.0\na_size_count 1\n\
a_size_bucket{le=\"+Inf\"} 1\n# TYPE a_thing untyped\na_thing 1\n";
    assert_eq!(Text.translate(open_metrics.to_owned()), text);
    assert_eq!(OpenMetrics.translate(open_metrics.to_owned()), open_metrics);
}
