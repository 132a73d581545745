//! The table.

use std::{fmt::Write, fs, path::Path, time::Duration};

use super::{
    Flooded,
    floods::{HEAD_TIMEOUT, LIMIT, RATE, RATE_WINDOW},
};

fn cells(flooded: &Flooded) -> [String; 6] {
    let Flooded { name, came, quiet, during, visits, heap, files, .. } = flooded;
    let ms = |[p50, p99]: [Duration; 2]| format!("{:.1}, {:.1}", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
    let [before, most, after] = heap.map(|bytes| bytes as f64 / f64::from(1 << 20));
    [
        format!("{name}: {came}"),
        visits.to_string(),
        ms(*quiet),
        ms(*during),
        format!("{before:.1}, {most:.1}, {after:.1}"),
        files.map(|count| count.to_string()).join(", "),
    ]
}

pub(super) fn line(flooded: &Flooded) -> String {
    let [what, visits, quiet, during, heap, files] = cells(flooded);
    format!("{what}\n  {visits} others served; ms {quiet} quiet, {during} meanwhile; MiB {heap}; files {files}")
}

pub(super) fn write(all: &[Flooded]) {
    let mut text = format!(
        "# Floods\n\n\
         `cargo bench -p ws-handshake --all-features --bench floods -- --write` writes this file. The server accepts {LIMIT} \
         connections at most. It waits {HEAD_TIMEOUT:?} for a request head, for the handler's answer, and for the client to take the 101. With a rate limit \
         (`rate_per`), each address may try {RATE} times in {RATE_WINDOW:?}. During a flood, other clients connect one after the other: each sends a \
         handshake, and then a byte that is echoed. The flood, the server and the other clients share two cores. The benchmark fails if \
         another client is not served, if memory or files are not free in the end, or if a rate limit takes more than 12 MiB.\n\n\
         | flood | others served | ms quiet: p50, p99 | ms meanwhile: p50, p99 | MiB allocated before, at most, after | files before, at most, after |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for flooded in all {
        let _ = writeln!(text, "| {} |", cells(flooded).join(" | "));
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/results/floods.md"), text).unwrap();
}
