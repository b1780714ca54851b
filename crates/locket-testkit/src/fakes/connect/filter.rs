//! The one form of SCIM filter that Connect reads: `name eq "value"` (RFC 7644, section 3.4.2.2).

/// A parsed filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) attribute: String,
    pub(super) value: String,
}

impl Filter {
    /// Parses `text`; `None` when it is not of the form. The value is a JSON string, as the RFC says.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (attribute, rest) = text.trim().split_once(' ')?;
        let (operator, value) = rest.trim_start().split_once(' ')?;
        if !operator.eq_ignore_ascii_case("eq") || !attribute.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        Some(Self {
            attribute: attribute.to_ascii_lowercase(),
            value: serde_json::from_str(value.trim()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        Filter::parse(text).map(|filter| filter.value)
    }

    #[test]
    fn values_are_json_strings() {
        assert_eq!(value(r#"title eq "a b""#).as_deref(), Some("a b"));
        assert_eq!(
            value(r#"title eq "say \"hi\" \\ bye""#).as_deref(),
            Some(r#"say "hi" \ bye"#)
        );
        assert_eq!(
            Filter::parse(r#"NAME EQ "x""#)
                .map(|filter| filter.attribute)
                .as_deref(),
            Some("name")
        );
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        for text in [
            "",
            "title",
            "title eq",
            "title eq x",
            r#"title co "x""#,
            r#"title eq "say "hi"""#,
            "title eq '",
        ] {
            assert_eq!(Filter::parse(text), None, "{text}");
        }
    }
}
