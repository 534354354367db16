#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| certs_test::parsers::run("ocsp_answer", input));
