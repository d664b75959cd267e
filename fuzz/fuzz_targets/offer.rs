#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| registrar::fuzzing::offer(text));
