//! The guide is whole, and what it shows of other programs is what is tested with them.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_proxies_configurations_are_the_files_that_are_tested() {
    let guide = include_str!("../docs/guide/proxies.md");
    let files = [
        ("nginx", include_str!("../docs/proxies/nginx.conf")),
        ("haproxy", include_str!("../docs/proxies/haproxy.cfg")),
        ("apache", include_str!("../docs/proxies/apache.conf")),
        ("caddyfile", include_str!("../docs/proxies/Caddyfile")),
    ];
    for (name, file) in files {
        assert!(guide.contains(&format!("```{name}\n{file}```\n")), "{name}");
    }
}

fn pages() -> Vec<PathBuf> {
    let markdown = |folder: &str| {
        fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    };
    ["", "docs", "docs/guide", "docs/results", "tests/cases"].into_iter().flat_map(markdown).collect()
}

/// The places that a page links to, without what is elsewhere on the web.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.match_indices("](").map(|(at, opening)| &text[at + opening.len()..]);
    ends.filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://"))
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let there = fs::read_to_string(&target).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|heading| heading == anchor), "{}: {link}", page.display());
            }
        }
    }
}

/// A heading's anchor, as on the repository's page.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn every_page_of_the_guide_is_in_its_summary_and_its_code_compiled() {
    let summary = include_str!("../docs/SUMMARY.md");
    let listed: BTreeSet<_> = links(summary).map(|link| root().join("docs").join(link)).collect();
    let compiled = include_str!("../src/guide.rs");
    for page in fs::read_dir(root().join("docs/guide")).unwrap() {
        let page = page.unwrap().path();
        assert!(listed.contains(&page), "{} is not in the summary", page.display());
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(compiled.contains(&format!("guide/{name}\")]")), "{name} is not compiled");
    }
}

#[test]
fn every_report_is_in_the_summary_and_in_the_index_of_results() {
    let results = root().join("docs/results");
    let summary: BTreeSet<_> =
        links(include_str!("../docs/SUMMARY.md")).map(|link| root().join("docs").join(link)).collect();
    let index: BTreeSet<_> = links(include_str!("../docs/results/index.md")).map(|link| results.join(link)).collect();
    for report in fs::read_dir(&results).unwrap() {
        let report = report.unwrap().path();
        let is_page = report.extension().is_some_and(|extension| extension == "md");
        assert!(!is_page || summary.contains(&report), "{} is not in the summary", report.display());
        assert!(report.ends_with("index.md") || index.contains(&report), "{} is not in the index", report.display());
    }
}
