use proptest::prelude::*;

use super::*;

const LIST: [&str; 15] = [
    "https://a.com",
    "http://b.com:8080",
    "https://any.com:*",
    "https://*.c.com",
    "http://*.d.com:8080",
    "https://*.e.com:*",
    "https://*.f.com.",
    "http://*.localhost:*",
    "http://127.0.0.1:*",
    "http://[::1]:3000",
    "chrome-extension://abcdef",
    "tauri://localhost",
    "null",
    "moz-extension://*",
    "wss://g.com",
];

#[test]
fn origins_are_found_where_they_are_listed() {
    let list = OriginList::new(LIST).unwrap();
    let rows = [
        ("https://a.com", true),
        ("https://A.com:443", true),
        ("http://a.com", false),
        ("http://a.com:443", false),
        ("https://a.com:8443", false),
        ("https://a.com.", false),
        ("https://x.a.com", false),
        ("http://b.com:8080", true),
        ("http://b.com", false),
        ("https://any.com", true),
        ("https://any.com:1", true),
        ("http://any.com:1", false),
        ("https://x.c.com", true),
        ("https://x.y.z.c.com", true),
        ("https://c.com", false),
        ("https://evilc.com", false),
        ("https://x.c.com:444", false),
        ("https://x.c.com.", false),
        ("https://x.c.com.evil.com", false),
        ("http://x.c.com", false),
        ("http://x.d.com:8080", true),
        ("http://x.d.com", false),
        ("https://x.e.com:5", true),
        ("https://e.com:5", false),
        ("https://x.f.com.", true),
        ("https://x.f.com", false),
        ("http://app.localhost:3000", true),
        ("http://localhost:3000", false),
        ("http://127.0.0.1:3000", true),
        ("http://127.0.0.2:3000", false),
        ("http://[0::1]:3000", true),
        ("http://[::1]:3001", false),
        ("chrome-extension://abcdef", true),
        ("chrome-extension://abcdeg", false),
        ("tauri://localhost", true),
        ("https://localhost", false),
        ("null", true),
        ("file://", false),
        ("moz-extension://0fb5a1b6-4f1b-4c3e-9d3f-1c2d3e4f5a6b", true),
        ("MOZ-EXTENSION://a:1", true),
        ("moz-extensions://a", false),
        ("vscode-webview://a", false),
        ("https://g.com", true),
        ("wss://g.com:443", true),
        ("http://g.com", false),
        ("wss://x.c.com", true),
        ("ws://127.0.0.1:3000", true),
    ];
    for (origin, listed) in rows {
        assert_eq!(list.contains(&origin.parse().unwrap()), listed, "{origin}");
    }
}

#[test]
fn custom_schemes_null_and_files_match_only_where_listed() {
    let list = OriginList::new(["https://a.com", "https://*.a.com:*"]).unwrap();
    for origin in ["null", "file://", "tauri://a.com", "app://x.a.com"] {
        assert!(!list.contains(&origin.parse().unwrap()), "{origin}");
    }
    let files = OriginList::new(["file://"]).unwrap();
    assert!(files.contains(&"file://".parse().unwrap()));
    assert!(!files.contains(&"null".parse().unwrap()));
}

#[test]
fn a_bad_list_leaves_the_old_one_in_force() {
    let list = OriginList::new(["https://a.com"]).unwrap();
    let handle = list.clone();
    assert!(handle.replace(["https://b.com", "https://c.com/"]).is_err());
    assert!(list.contains(&"https://a.com".parse().unwrap()));
    assert!(!list.contains(&"https://b.com".parse().unwrap()));
    handle.replace(["https://b.com"]).unwrap();
    assert!(!list.contains(&"https://a.com".parse().unwrap()));
    assert!(list.contains(&"https://b.com".parse().unwrap()));
}

#[test]
fn an_empty_list_lists_nobody() {
    let list = OriginList::new([] as [&str; 0]).unwrap();
    assert!(!list.contains(&"https://a.com".parse().unwrap()));
    assert!(!list.contains(&"null".parse().unwrap()));
}

fn pattern() -> impl Strategy<Value = String> {
    ("https?", "(\\*\\.)?[ab]{1,2}(\\.[ab]{1,2}){0,2}\\.?", "(:\\*|:80|:443|:81)?")
        .prop_map(|(scheme, host, port)| format!("{scheme}://{host}{port}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16 * ProptestConfig::default().cases))]

    #[test]
    fn a_wildcard_matches_only_what_is_under_its_labels(host in "[abA1.-]{0,9}", suffix in "[ab]{1,2}(\\.[ab1-]{1,3}){1,2}") {
        let (Ok(list), Ok(origin)) =
            (OriginList::new([format!("https://*.{suffix}")]), format!("https://{host}.{suffix}").parse::<Origin>())
        else { return Ok(()) };
        prop_assert!(list.contains(&origin));
        // The url crate as a second opinion: every label of the suffix, and at least one more before them.
        let url = url::Url::parse(origin.as_str()).unwrap();
        let labels: Vec<_> = url.host_str().unwrap().split('.').rev().collect();
        let listed: Vec<_> = suffix.split('.').rev().collect();
        prop_assert!(labels.len() > listed.len() && labels.iter().all(|label| !label.is_empty()));
        prop_assert_eq!(&labels[..listed.len()], &listed[..]);
        // Without a dot before the suffix, or with more after it, the name is another one.
        for other in [format!("https://{host}{suffix}"), format!("https://{suffix}"), format!("https://x.{suffix}.com")] {
            let Ok(other) = other.parse::<Origin>() else { continue };
            let ends_with_label = other.host().is_some_and(|host| host.ends_with(&format!(".{suffix}")));
            prop_assert_eq!(list.contains(&other), ends_with_label, "{}", other);
        }
    }

    #[test]
    fn a_list_says_what_its_patterns_say(
        patterns in prop::collection::vec(pattern(), 0..6), origin in "https?://[ab]{1,2}(\\.[ab]{1,2}){0,3}\\.?(:80|:81|:443)?",
    ) {
        let parsed: Vec<OriginPattern> = patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        let list = OriginList::new(parsed.iter().map(ToString::to_string)).unwrap();
        let origin: Origin = origin.parse().unwrap();
        prop_assert_eq!(list.contains(&origin), parsed.iter().any(|pattern| pattern.matches(&origin)));
    }
}

#[test]
fn a_single_wildcard_is_found_with_any_port_and_without() {
    for (pattern, on_a_port) in [("https://*.e.com:*", true), ("https://*.e.com", false)] {
        let list = OriginList::new([pattern]).unwrap();
        assert!(list.contains(&"https://x.e.com".parse().unwrap()), "{pattern}");
        assert_eq!(list.contains(&"https://x.e.com:1".parse().unwrap()), on_a_port, "{pattern}");
        assert!(!list.contains(&"https://e.com".parse().unwrap()), "{pattern}");
    }
}

#[test]
fn a_list_is_read_from_patterns_and_from_one_text() {
    let patterns: Vec<OriginPattern> = ["https://a.com", "https://*.b.com"].map(|text| text.parse().unwrap()).into();
    let of_patterns = OriginList::from_iter(patterns);
    let of_text: OriginList = " https://a.com,https://*.b.com ".parse().unwrap();
    let of_string = OriginList::try_from(String::from("https://a.com, https://*.b.com")).unwrap();
    for list in [of_patterns, of_text, of_string] {
        for (origin, listed) in [("https://a.com", true), ("https://x.b.com", true), ("https://b.com", false)] {
            assert_eq!(list.contains(&origin.parse().unwrap()), listed, "{origin}");
        }
    }
    assert!(!"".parse::<OriginList>().unwrap().contains(&"https://a.com".parse().unwrap()));
    assert_eq!("https://a.com,b.com".parse::<OriginList>().unwrap_err().value(), "b.com");
    assert_eq!(OriginPattern::try_from(String::from("b.com")).unwrap_err().value(), "b.com");
}
