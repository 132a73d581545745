//! The guide is complete, its configurations are the tested ones, and the documents name tests that exist.
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

/// Such code has dependencies that this crate does without. `ci/applications.sh` compiles and runs it.
#[test]
fn code_that_is_not_compiled_here_is_from_the_applications() {
    let without_indent = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let mut blocks = 0;
    for page in pages().into_iter().filter(|page| page.starts_with(root().join("docs/guide"))) {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```rust,ignore\n").skip(1) {
            let (first, code) = block.split_once("```").unwrap().0.split_once('\n').unwrap();
            let file = root().join(first.strip_prefix("// ").unwrap());
            let file = without_indent(&fs::read_to_string(file).unwrap());
            for part in without_indent(code).split("\n\n") {
                assert!(file.contains(part.trim_end()), "{}: {part}", page.display());
            }
            blocks += 1;
        }
    }
    assert!(blocks > 5, "{blocks} blocks");
}

fn pages() -> Vec<PathBuf> {
    let markdown = |folder: &str| {
        fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    };
    ["", "docs", "docs/guide", "docs/results", "tests", "tests/cases"].into_iter().flat_map(markdown).collect()
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
        assert!(compiled.contains(&format!("{name}\"")), "{name} is not compiled");
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

#[test]
fn every_test_file_is_in_the_index_of_tests() {
    let folder = root().join("tests");
    let index: BTreeSet<_> =
        links(include_str!("README.md")).map(|link| fs::canonicalize(folder.join(link)).unwrap()).collect();
    let cases = files("tests/cases").into_iter().filter(|file| file.extension().is_some_and(|end| end == "json"));
    let tests = test_files().into_iter().map(|(file, _)| file);
    for file in tests.chain(cases) {
        let file = fs::canonicalize(file).unwrap();
        assert!(index.contains(&file), "{} is not in tests/README.md", file.display());
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests: Vec<_> = test_files().iter().flat_map(|(file, text)| test_names(file, text)).collect();
    let conformance = include_str!("../src/handshake/mod.rs").lines().filter(|line| line.starts_with("//! |"));
    // Tests are in the last column of these tables.
    let conformance = conformance.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit('|').next());
    let quoted: Vec<_> = conformance.chain([include_str!("../SECURITY.md")]).flat_map(quoted_paths).collect();
    assert!(quoted.len() > 50, "{} tests are named", quoted.len());
    for path in quoted {
        let found = tests.iter().any(|test| format!("::{test}::").contains(&format!("::{path}::")));
        assert!(found, "there is no test `{path}`");
    }
}

#[test]
fn every_kind_of_rejection_is_in_the_guide() {
    let checks = include_str!("../docs/guide/checks.md");
    let kinds = include_str!("../src/handshake/rejection.rs").split_once("kinds! {").unwrap().1;
    let kinds = kinds.split_once("\n}\n").unwrap().0;
    let mut rows = 0;
    for line in kinds.lines().filter(|line| line.starts_with("    ") && line.ends_with(';')) {
        let Some((name, rest)) = line.trim().split_once(" = ") else { continue };
        let reason = rest.split_once('"').unwrap().1.trim_end_matches("\";");
        let row = checks.lines().find(|row| row.starts_with(&format!("| `{name}` |")));
        assert!(row.is_some_and(|row| row.ends_with(&format!("| {reason} |"))), "{name}");
        rows += 1;
    }
    assert!(rows > 30, "{rows} kinds");
}

/// Paths of functions and modules in backticks.
fn quoted_paths(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |span: &str| span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c));
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(move |span| span.contains("::") && is_path(span) && !span.starts_with("axum::"))
}

/// All files in a folder, and in the folders below.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// The Rust files that have tests, with their text.
fn test_files() -> Vec<(PathBuf, String)> {
    let rust =
        ["src", "tests"].into_iter().flat_map(files).filter(|file| file.extension().is_some_and(|end| end == "rs"));
    let read = rust.map(|file| (file.clone(), fs::read_to_string(file).unwrap()));
    read.filter(|(_, text)| text.lines().any(is_test_attribute)).collect()
}

fn is_test_attribute(line: &str) -> bool {
    line.trim() == "#[test]" || line.trim().starts_with("#[tokio::test")
}

/// The paths of the tests in a file, from the root of its crate.
fn test_names(file: &Path, text: &str) -> Vec<String> {
    let path = file.strip_prefix(root()).unwrap().with_extension("");
    let parts = path.iter().skip(1).map(|part| part.to_str().unwrap());
    let module: Vec<_> = parts.filter(|part| !["main", "mod", "lib"].contains(part)).collect();
    let mut inline: Vec<(&str, &str)> = Vec::new();
    let mut names = Vec::new();
    let mut expected = false;
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(name) = line.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            inline.push((indent, name));
        } else if line.trim() == "}" && inline.last().is_some_and(|(start, _)| *start == indent) {
            inline.pop();
        } else if is_test_attribute(line) {
            expected = true;
        } else if expected && let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().unwrap();
            let inline = inline.iter().map(|(_, name)| *name);
            names.push(module.iter().copied().chain(inline).chain([name]).collect::<Vec<_>>().join("::"));
            expected = false;
        }
    }
    names
}
