//! Tests of globs: the forms, the errors, a slow and obviously right matcher, and patterns that explode elsewhere.

use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, key: &str) -> bool {
    Glob::new(pattern.as_bytes()).expect("a valid pattern").matches(key.as_bytes(), &mut 0)
}

#[test]
fn patterns_mean_what_they_mean_in_redis() {
    let cases = [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "anything", true),
        ("a*c", "abbbc", true),
        ("a*c", "ac", true),
        ("a*c", "acb", false),
        ("a**b*", "axxb", true),
        ("?", "", false),
        ("??", "ab", true),
        ("h[ae]llo", "hello", true),
        ("h[ae]llo", "hillo", false),
        ("h[^e]llo", "hello", false),
        ("h[!e]llo", "hallo", true),
        ("[a-c][0-9]", "b7", true),
        ("[c-a]", "b", true),
        ("[a-c]", "d", false),
        ("[a-]", "-", true),
        ("[-a]", "-", true),
        ("[a\\]b]", "]", true),
        ("[\\^a]", "^", true),
        ("[^]", "x", true),
        ("[]", "x", false),
        ("\\*", "*", true),
        ("\\*", "x", false),
        ("\\\\", "\\", true),
        ("user:*:name", "user:1:2:name", true),
    ];
    for (pattern, key, expected) in cases {
        assert_eq!(matches(pattern, key), expected, "{pattern:?} on {key:?}");
    }
}

#[test]
fn unfinished_patterns_are_errors() {
    for pattern in ["[", "[a", "[^", "[a-", "[a\\", "\\", "abc\\", "[a\\]"] {
        let error = Glob::new(pattern.as_bytes()).expect_err(pattern);
        assert_eq!(error.code(), ErrorCode::PatternInvalid);
    }
    assert!(Glob::new(&vec![b'a'; KEY_BYTES_HARD_MAX + 1]).is_err());
}

#[test]
fn no_pattern_explodes() {
    let glob =
        Glob::new("a*".repeat(50).as_bytes().split_last().expect("not empty").1).expect("valid");
    let (key, mut steps) = (vec![b'a'; 1_000], 0);
    assert!(glob.matches(&key, &mut steps));
    let glob = Glob::new(["*a".repeat(50), "b".into()].concat().as_bytes()).expect("valid");
    steps = 0;
    assert!(!glob.matches(&key, &mut steps));
    assert!(steps < 101 * 1_000, "{steps}");
}

/// Tries everything: exponential and obviously right.
fn matches_slowly(tokens: &[Token], key: &[u8]) -> bool {
    match tokens {
        [] => key.is_empty(),
        [Token::Any, rest @ ..] => (0..=key.len()).any(|taken| matches_slowly(rest, &key[taken..])),
        [one, rest @ ..] => {
            key.first().is_some_and(|&byte| one.accepts(byte)) && matches_slowly(rest, &key[1..])
        }
    }
}

proptest! {
    #[test]
    fn matching_agrees_with_trying_everything(pattern in "([ab?*]|\\[[^!]?[a-c]\\]){0,8}", key in "[abc]{0,10}") {
        let glob = Glob::new(pattern.as_bytes()).expect("valid");
        let expected = matches_slowly(&glob.tokens, key.as_bytes());
        prop_assert_eq!(glob.matches(key.as_bytes(), &mut 0), expected);
    }

    #[test]
    fn reading_never_panics(pattern in prop::collection::vec(prop::sample::select(b"[]^!-\\*?ab".to_vec()), 0..12)) {
        if let Ok(glob) = Glob::new(&pattern) {
            glob.matches(b"ab-[]", &mut 0);
        }
    }
}
