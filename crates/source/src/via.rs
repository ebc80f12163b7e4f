//! How a request that has passed through this very server is known (RFC 9110, section 7.6.3).

/// The name under which a server of this instance enters itself in `Via`.
pub fn via_name(instance: &str) -> String {
    format!("larder-{instance}")
}

/// The value of the `Via` header that goes with each request to an upstream.
pub fn via_value(instance: &str) -> String {
    format!("1.1 {}", via_name(instance))
}

/// True if one of a request's `Via` values names the server of this instance: the request went round in a
/// circle and must be answered with 508.
pub fn has_passed_through<'a>(
    instance: &str,
    via_values: impl IntoIterator<Item = &'a str>,
) -> bool {
    let name = via_name(instance);
    via_values
        .into_iter()
        .flat_map(|value| value.split(','))
        .any(|hop| hop.split_whitespace().nth(1) == Some(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_its_own_name_among_others() {
        let own = via_value("7f3a");
        let check = |values: &[&str], expected: bool| {
            assert_eq!(
                has_passed_through("7f3a", values.iter().copied()),
                expected,
                "{values:?}"
            );
        };
        check(&[], false);
        check(&[&own], true);
        check(&["1.1 nginx", &format!("1.0 fred, {own} (comment)")], true);
        check(&["1.1 larder-7f3b"], false);
        check(&["1.1 larder-7f3a-and-more"], false);
    }
}
