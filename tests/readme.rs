//! What README shows of other programs is what is tested with them.

#[test]
fn the_proxies_configurations_are_the_files_that_are_tested() {
    let readme = include_str!("../README.md");
    let files = [
        ("nginx", include_str!("../docs/proxies/nginx.conf")),
        ("haproxy", include_str!("../docs/proxies/haproxy.cfg")),
        ("apache", include_str!("../docs/proxies/apache.conf")),
        ("caddyfile", include_str!("../docs/proxies/Caddyfile")),
    ];
    for (name, file) in files {
        assert!(readme.contains(&format!("```{name}\n{file}```\n")), "{name}");
    }
}
