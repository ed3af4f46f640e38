#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzz_targets::forgive_parsers(),
    |data: &[u8]| { fuzz_targets::avro_decode::run(data); }
);
