//! [`Redactor`]: takes secrets out of text. It knows some by their value, from the environment and the cluster's key file, and finds
//! others by the name that stands before them, by their form, or between the lines of a private key.

/// What stands where a secret was.
const REMOVED: &str = "[removed]";

/// Shorter values are words that occur anywhere.
const SECRET_BYTES_MIN: usize = 6;

/// A name with one of these in it has a secret behind it.
const NAMES: [&str; 11] = [
    "secret",
    "passwd",
    "password",
    "token",
    "credential",
    "access_key",
    "accesskey",
    "api_key",
    "apikey",
    "private_key",
    "authorization",
];

/// How an access key of S3 begins, and how long it is.
const ACCESS_KEYS: [&str; 2] = ["AKIA", "ASIA"];
const ACCESS_KEY_BYTES: usize = 20;

/// Takes secrets out of text.
#[derive(Default)]
pub(super) struct Redactor {
    /// Secrets that are known by their value, the longest first.
    values: Vec<String>,
}

/// Whether a name is one of a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', '.', ' '], "_");
    NAMES.iter().any(|part| name.contains(part))
}

impl Redactor {
    /// One that knows the secrets in these variables.
    pub(super) fn new(environment: impl Iterator<Item = (String, String)>) -> Redactor {
        let mut redactor = Redactor::default();
        for (name, value) in environment {
            if is_secret(&name) {
                redactor.learn(&value);
            }
        }
        redactor
    }

    /// This is a secret too.
    pub(super) fn learn(&mut self, value: &str) {
        let value = value.trim();
        if value.len() >= SECRET_BYTES_MIN {
            self.values.push(value.to_owned());
            self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        }
    }

    /// The text without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut is_in_key = false;
        for line in text.split_inclusive('\n') {
            let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
            is_in_key |= begins;
            if !is_in_key {
                clean.push_str(&self.clean_line(line));
            } else if begins {
                clean.push_str(REMOVED);
                clean.push('\n');
            }
            is_in_key &= !(line.contains("-----END") && line.contains("PRIVATE KEY"));
        }
        clean
    }

    fn clean_line(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for value in &self.values {
            if line.contains(value.as_str()) {
                line = line.replace(value.as_str(), REMOVED);
            }
        }
        without_access_keys(&without_users(&without_named(&line)))
    }
}

/// Removes what stands behind the name of a secret: `name = "value"`, `name: value`, `"name":"value"`.
fn without_named(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(place) = rest.find(['=', ':']) {
        let (before, behind) = rest.split_at(place + 1);
        clean.push_str(before);
        rest = behind;
        let name = before[..place].trim_end_matches([' ', '"', '\'', '\\']);
        let begin = name
            .rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.'))
            .map_or(0, |place| place + name[place..].chars().next().map_or(1, char::len_utf8));
        if !is_secret(&name[begin..]) {
            continue;
        }
        let value = rest.trim_start_matches([' ', '\t', '\\']);
        clean.push_str(&rest[..rest.len() - value.len()]);
        let (open, end) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                (1, value[1..].find([quote, '\n']).map_or(value.len(), |end| end + 1))
            }
            // A header has a scheme before what is secret.
            _ if is_header(&name[begin..]) => (0, value.find('\n').unwrap_or(value.len())),
            _ => (0, value.find([' ', ',', ';', '}', ']', '\n']).unwrap_or(value.len())),
        };
        if end > open {
            clean.push_str(&value[..open]);
            clean.push_str(REMOVED);
        }
        rest = &value[end..];
    }
    clean.push_str(rest);
    clean
}

fn is_header(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

/// Removes who logs in with which password from addresses: `scheme://user:password@host`.
fn without_users(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(place) = rest.find("://") {
        let (before, behind) = rest.split_at(place + 3);
        clean.push_str(before);
        let end = behind.find(['/', ' ', '"', '\'', '\n', '?']).unwrap_or(behind.len());
        rest = match behind[..end].rfind('@') {
            Some(at) => {
                clean.push_str(REMOVED);
                &behind[at..]
            }
            None => behind,
        };
    }
    clean.push_str(rest);
    clean
}

/// Removes what looks like an access key of S3.
fn without_access_keys(line: &str) -> String {
    let mut clean = line.to_owned();
    for start in ACCESS_KEYS {
        let mut from = 0;
        while let Some(place) = clean[from..].find(start).map(|place| place + from) {
            let letters = clean[place..].bytes();
            let length =
                letters.take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
            if length == ACCESS_KEY_BYTES {
                clean.replace_range(place..place + length, REMOVED);
            }
            from = place + start.len();
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        Redactor::default().clean(text)
    }

    #[test]
    fn what_stands_behind_the_name_of_a_secret_is_removed() {
        for (text, expected) in [
            ("aws_secret_access_key = \"abc/123\"\n", "aws_secret_access_key = \"[removed]\"\n"),
            ("AWS_SECRET_ACCESS_KEY=abc123 next", "AWS_SECRET_ACCESS_KEY=[removed] next"),
            (r#"{"password":"p w","n":1}"#, r#"{"password":"[removed]","n":1}"#),
            (r#"{"line":"{\"token\": \"t1\"}"}"#, r#"{"line":"{\"token\": \"[removed]"}"}"#),
            ("Authorization: Bearer abc.def\nx", "Authorization: [removed]\nx"),
            ("level=info api-key: k9, n=1", "level=info api-key: [removed], n=1"),
            ("secret=\n", "secret=\n"),
            ("Schlüssel: ja, größe=3", "Schlüssel: ja, größe=3"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "cluster.key_file = /etc/isogrid/cluster.key",
            "{\"key\":\"u1\",\"map\":\"tokens\"}",
            "http://10.0.0.1:7780/metrics at 10:42:01",
            "MAKIAVELLI AKIA",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        assert_eq!(clean("s3://u:p@ss@host/x"), "s3://[removed]@host/x");
        assert_eq!(clean("id AKIAIOSFODNN7EXAMPLE."), "id [removed].");
        let key = "a\n-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----\nb\n";
        assert_eq!(clean(key), "a\n[removed]\nb\n");
    }

    #[test]
    fn secrets_are_known_by_their_value_wherever_they_stand() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [
            variable("AWS_SECRET_ACCESS_KEY", "wJalrXUtn"),
            variable("SHORT_TOKEN", "on"),
            variable("HOME", "/srv/grid"),
        ];
        let mut redactor = Redactor::new(environment.into_iter());
        redactor.learn("cluster-secret\n");
        let text = "seen wJalrXUtnFEMI on /srv/grid with cluster-secret";
        assert_eq!(redactor.clean(text), "seen [removed]FEMI on /srv/grid with [removed]");
    }
}
