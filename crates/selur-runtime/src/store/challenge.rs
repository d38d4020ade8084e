//! Authentication challenges: what a registry writes in `WWW-Authenticate`.
//!
//! Source: RFC 9110, section 11.6.1; the distribution project's token authentication specification.

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best challenge among the values of all headers: bearer, else basic.
    pub(super) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        let mut basic = None;
        for (scheme, parameters) in headers.flat_map(parse) {
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                return Some(Challenge::Bearer {
                    realm,
                    service: value("service"),
                    scope: value("scope"),
                });
            }
        }
        basic
    }
}

type Parameters = Vec<(String, String)>;

/// Splits a header into schemes and their parameters; what does not fit the grammar is passed over.
fn parse(header: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = parse_value(value);
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                after
            }
            None => {
                challenges.push((word.to_owned(), Vec::new()));
                after
            }
        }
        .trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

/// A token, or a quoted string with backslashes.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let cases: [(&[&str], Option<Challenge>); 9] = [
            (&[], None),
            (&[""], None),
            (&["Digest realm=\"x\""], None),
            (&["Basic realm=\"Registry Realm\""], Some(Challenge::Basic)),
            (&["basic"], Some(Challenge::Basic)),
            (
                &[docker],
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (&["Basic realm=\"x\", Bearer realm=y"], bearer("y", None, None)),
            (
                &["Basic realm=\"x\"", "BEARER Realm=\"a\\\"b\""],
                bearer("a\"b", None, None),
            ),
            (&["Bearer service=\"no realm\""], None),
        ];
        for (headers, expected) in cases {
            assert_eq!(
                Challenge::choose(headers.iter().copied()),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn malformed_challenges_end() {
        for header in [
            "Bearer realm=\"open",
            "Bearer realm=\"open\\",
            ",,,==,\"",
            "Bearer =",
            "é=\"é\\",
        ] {
            let _ = Challenge::choose([header].into_iter());
        }
    }
}
