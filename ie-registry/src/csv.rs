//! The one line format of our tables and of user files: comma separated, double quotes around a field that holds
//! a comma or a quote (RFC 4180). Shared with `build.rs`.

/// The fields of one line, without the blanks around them.
///
/// # Errors
/// What is wrong with the quoting.
pub fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start();
        let (field, after) = match start.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = start.find(',').unwrap_or(start.len());
                let (field, after) = start.split_at(end);
                (field.trim_end().to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err("text after the closing quote; put a comma there"),
        }
    }
}

/// The text up to the closing quote, and what comes behind it.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('"') else {
            return Err("a quote is not closed");
        };
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after.trim_start())),
        }
    }
}

/// The lines that hold data, with their number from 1: neither empty nor a comment.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_end()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_plain_and_quoted_fields() {
        assert_eq!(fields("a, b ,,c").unwrap(), ["a", "b", "", "c"]);
        assert_eq!(fields(r#""a, ""b""", c"#).unwrap(), [r#"a, "b""#, "c"]);
        assert_eq!(fields("").unwrap(), [""]);
        assert_eq!(fields(r#""""#).unwrap(), [""]);
        assert!(fields(r#""a"#).is_err());
        assert!(fields(r#""a"b"#).is_err());
    }

    #[test]
    fn passes_over_comments_and_empty_lines() {
        let text = "# comment\n\r\na,b\r\n  \nc";
        assert_eq!(lines(text).collect::<Vec<_>>(), [(3, "a,b"), (5, "c")]);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_split_or_refused(line in ".*") {
            let _ = fields(&line);
        }

        #[test]
        fn quoting_leads_back(cells in proptest::collection::vec(r#"[a-z ,"]*"#, 1..6)) {
            let line: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
            proptest::prop_assert_eq!(fields(&line.join(",")).unwrap(), cells);
        }
    }
}
