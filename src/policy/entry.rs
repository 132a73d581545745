//! Splits and checks the entries of a list in the configuration.

use super::config_error::ConfigError;

/// Splits a comma-separated list into entries, without the whitespace around each. An empty text has no entries.
pub(super) fn comma_separated(list: &str) -> Result<Vec<&str>, ConfigError> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<_> = list.split(',').map(str::trim).collect();
    if entries.contains(&"") {
        return Err(ConfigError::new(
            list,
            "has an empty entry: write one comma between two entries, and none at the ends",
        ));
    }
    Ok(entries)
}

/// Checks that `value` is a single entry. The caller checks everything else.
pub(super) fn check_entry(value: &str) -> Result<(), ConfigError> {
    if value.contains([',', ';']) {
        return Err(ConfigError::new(value, "is more than one entry: list each separately"));
    }
    let trimmed = value.trim();
    if trimmed.contains(char::is_whitespace) {
        return Err(ConfigError::new(value, "has whitespace in it: list each entry separately"));
    }
    if trimmed != value {
        return Err(ConfigError::new(value, format!("has whitespace around it: write `{trimmed}`")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_between_commas() {
        assert_eq!(comma_separated("a").unwrap(), ["a"]);
        assert_eq!(comma_separated(" a ,\tb,c ").unwrap(), ["a", "b", "c"]);
        assert_eq!(comma_separated("  ").unwrap(), [""; 0]);
        for wrong in [",", "a,", ",a", "a,,b", "a, ,b"] {
            let error = comma_separated(wrong).unwrap_err();
            assert_eq!(error.value(), wrong);
            assert!(error.to_string().contains("has an empty entry"), "{error}");
        }
    }
}
