#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ws_handshake_fuzz::fields(data));

#[cfg(not(fuzzing))]
fn main() {}
