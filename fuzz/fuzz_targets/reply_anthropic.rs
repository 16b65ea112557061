#![no_main]

use hr_core::catalog::Dialect;

libfuzzer_sys::fuzz_target!(|input: &[u8]| hr_fuzz::stream::check_whole(Dialect::Anthropic, input));
