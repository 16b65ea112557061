#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hr_fuzz::limits::check(input));
