//! The two grammars, against regular expressions written from their specifications.

use proptest::prelude::*;
use regex::Regex;
use selur_protocol::{ContainerId, ContainerName, ContainerRef, ImageReference, Reason};

thread_local! {
    /// Source: the reference grammar of the distribution project (reference.go and regexp.go), whole.
    static IMAGE: Regex = {
        let component = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*";
        let label = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
        let host = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])");
        let path = format!(r"{component}(?:/{component})*");
        let tag = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
        let digest = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}";
        let grammar = format!(r"\A(?:(?P<domain>{host}(?::[0-9]+)?)/)?{path}(?::(?:{tag}))?(?:@(?:{digest}))?\z");
        Regex::new(&grammar).expect("a grammar")
    };
    static NAME: Regex = Regex::new(r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}\z").expect("a grammar");
}

fn is_image(text: &str) -> bool {
    if text.len() == 64 && text.chars().all(|it| matches!(it, '0'..='9' | 'a'..='f')) {
        return false;
    }
    let domain = IMAGE.with(|grammar| {
        let found = grammar.captures(text)?;
        Some(found.name("domain").map_or("", |it| it.as_str()))
    });
    let domain = match domain {
        Some(domain) => domain,
        None => return false,
    };
    // Docker's rule: a first component that could not be a repository is a domain.
    let first = text.split_once('/').map_or("", |(first, _)| first);
    let must_be_domain = first == "localhost"
        || first
            .chars()
            .any(|it| it == '.' || it == ':' || it.is_ascii_uppercase());
    if must_be_domain && domain != first {
        return false;
    }
    // A port is a number that a connection can be made to, and an address in brackets has a colon.
    let port = domain.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let port_is_good = port.map_or(true, |(_, port)| {
        port.parse::<u16>().map_or(false, |port| port > 0)
    });
    let address_is_good = !domain.starts_with('[') || domain.split(']').next().unwrap_or("").contains(':');
    port_is_good && address_is_good
}

/// Pieces that references are made of, good and bad.
fn reference_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9]{1,4}",
        Just("localhost".to_string()),
        Just("Example.COM".to_string()),
        Just("[::1]".to_string()),
        Just(format!("sha256:{}", "ab".repeat(32))),
        Just("ab".repeat(32)),
        "[._-]{1,3}",
        Just(":".to_string()),
        Just("/".to_string()),
        Just("@".to_string()),
        "[0-9]{1,6}",
    ];
    // The length of names is another test's.
    proptest::collection::vec(piece, 1..9)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("longer than names are", |text| text.len() < 240)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn an_image_reference_is_what_the_distribution_grammar_says(text in reference_like()) {
        prop_assert_eq!(ImageReference::parse(&text).is_ok(), is_image(&text), "{}", text);
    }

    #[test]
    fn a_container_name_is_what_its_grammar_says(text in "[a-zA-Z0-9_.\\- é\0]{0,4}[a-z0-9]{0,66}") {
        prop_assert_eq!(ContainerName::parse(&text).is_ok(), NAME.with(|grammar| grammar.is_match(&text)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_reference_in_full_means_the_same(
        domain in proptest::option::of("([a-z0-9]{1,5}\\.){1,2}[a-z]{2,3}(:[1-9][0-9]{0,3})?|localhost|\\[::1\\]:80"),
        path in "[a-z0-9]{1,6}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,6}){0,2}",
        tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,8}"),
        digest in proptest::option::of("sha256:[0-9a-f]{64}"),
    ) {
        let mut text = domain.as_ref().map_or(String::new(), |domain| format!("{domain}/"));
        text += &path;
        text += &tag.as_ref().map_or(String::new(), |tag| format!(":{tag}"));
        text += &digest.as_ref().map_or(String::new(), |digest| format!("@{digest}"));
        let image = ImageReference::parse(&text).expect("a reference");
        prop_assert_eq!(image.digest(), digest.as_deref());
        let expected_tag = tag.as_deref().or(if digest.is_none() { Some("latest") } else { None });
        prop_assert_eq!(image.tag(), expected_tag);
        let in_full = image.to_string();
        let again = ImageReference::parse(&in_full).expect("a reference");
        prop_assert_eq!(again.to_string(), in_full.clone());
        prop_assert_eq!((again.domain(), again.tag(), again.digest()), (image.domain(), image.tag(), image.digest()));
    }

    #[test]
    fn an_id_survives_its_digits_and_is_found_by_each_of_its_prefixes(bytes in any::<[u8; 16]>(), length in 0..40usize) {
        let id = ContainerId::from_bytes(bytes);
        let hex = id.to_string();
        prop_assert_eq!(hex.as_bytes(), &id.to_hex()[..]);
        prop_assert_eq!(ContainerId::parse(&hex), Some(id));
        prop_assert_eq!(ContainerRef::parse(&hex), Ok(ContainerRef::Id(id)));
        prop_assert_eq!(ContainerName::parse(&hex), Err(Reason::NameLooksLikeId));
        let prefix = &hex[..length.min(32)];
        prop_assert!(id.starts_with(prefix));
        if let Ok(argument @ ContainerRef::Name(_)) = ContainerRef::parse(prefix) {
            prop_assert_eq!(argument.as_prefix(), Some(prefix).filter(|prefix| prefix.len() >= 4));
        }
        prop_assert_eq!(ContainerId::parse(&hex.to_uppercase()), Some(id).filter(|_| hex == hex.to_uppercase()));
    }
}

#[test]
fn docker_s_defaults_complete_a_reference() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let cases = [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("ghcr.io/org/app:v1", "ghcr.io/org/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("Host/app", "Host/app:latest"),
    ];
    for (text, full) in cases {
        assert_eq!(
            ImageReference::parse(text)
                .map(|image| image.to_string())
                .as_deref(),
            Ok(full)
        );
    }
    let pinned = ImageReference::parse("nginx@sha256:0").map(|_| ());
    assert_eq!(pinned, Err(Reason::BadImage));
    let text = format!("nginx@{digest}");
    let pinned = ImageReference::parse(&text).expect("a reference");
    assert_eq!((pinned.tag(), pinned.digest()), (None, Some(&*digest)));
}

#[test]
fn a_registry_is_a_host_or_an_address_with_a_port_that_can_be_connected_to() {
    let good = [
        ("localhost", "localhost"),
        ("a.b-c.example:1", "a.b-c.example:1"),
        ("x.example:65535", "x.example:65535"),
        ("[::1]", "[::1]"),
        ("[fe80::1]:80", "[fe80::1]:80"),
        ("index.docker.io", "docker.io"),
    ];
    for (domain, read) in good {
        let text = format!("{domain}/app");
        let image = ImageReference::parse(&text).expect("a reference");
        assert_eq!((image.domain(), image.path()), (read, "app"));
    }
    let bad = [
        "a.example:0",
        "a.example:65536",
        "a.example:",
        "a.example:8x",
        "-a.example",
        "a-.example",
        "a..example",
        ".example",
        "a_b.example",
        "[1]",
        "[::g]",
        "[::1]80",
        "[::1]:0",
        "[::1",
    ];
    for domain in bad {
        let text = format!("{domain}/app");
        assert_eq!(ImageReference::parse(&text), Err(Reason::BadImage), "{text}");
    }
}

#[test]
fn a_digest_is_as_long_as_its_algorithm_says() {
    for (algorithm, digits, is_good) in [
        ("sha256", 64, true),
        ("sha256", 63, false),
        ("sha256", 128, false),
        ("sha512", 128, true),
        ("sha512", 64, false),
        ("sha512", 129, false),
        ("md5", 32, false),
    ] {
        let digest = format!("{algorithm}:{}", "a".repeat(digits));
        let text = format!("app@{digest}");
        let read = ImageReference::parse(&text).map(|image| image.digest());
        assert_eq!(read.ok(), is_good.then(|| Some(&*digest)), "{text}");
    }
}

#[test]
fn the_id_of_an_image_is_no_reference() {
    let id = "0123456789abcdef".repeat(4);
    assert_eq!(ImageReference::parse(&id), Err(Reason::BadImage));
    let others = [
        id[1..].to_string(),
        format!("{id}0"),
        format!("{id}:v1"),
        format!("team/{id}"),
        id.replace('f', "g"),
    ];
    for text in &others {
        assert!(ImageReference::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn an_image_name_has_at_most_255_bytes_in_full_and_a_tag_128() {
    let path = |bytes: usize| "a".repeat(bytes);
    for (written, in_full) in [
        ("localhost/", "localhost/"),
        ("docker.io/team/", "docker.io/team/"),
        ("team/", "docker.io/team/"),
        ("index.docker.io/team/", "docker.io/team/"),
        // Docker counts what it puts before a name of its own registry.
        ("", "docker.io/library/"),
        ("docker.io/", "docker.io/library/"),
        ("index.docker.io/", "docker.io/library/"),
    ] {
        let longest = format!("{written}{}", path(255 - in_full.len()));
        let image = ImageReference::parse(&longest).expect("a name of 255 bytes");
        let text = image.to_string();
        assert_eq!(
            ImageReference::parse(&text).map(|again| again.to_string()),
            Ok(text.clone())
        );
        let too_long = format!("{written}{}", path(256 - in_full.len()));
        assert_eq!(
            ImageReference::parse(&too_long),
            Err(Reason::BadImage),
            "{written}"
        );
    }
    assert!(ImageReference::parse(&format!("a:{}", "t".repeat(128))).is_ok());
    assert_eq!(
        ImageReference::parse(&format!("a:{}", "t".repeat(129))),
        Err(Reason::BadImage)
    );
    assert_eq!(ImageReference::parse(""), Err(Reason::MissingImage));
}
