//! Keys and values are bytes. Here is how they are shown: safely on a terminal, and without loss in JSON.

use serde_json::{Map, Value};

/// Bytes for a terminal: readable text as it is, everything else as `\n`, `\t`, `\r`, `\\` or `\xNN`. No byte of a value
/// reaches the terminal as a control character.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => shown.push_str("\\\\"),
                '\n' => shown.push_str("\\n"),
                '\t' => shown.push_str("\\t"),
                '\r' => shown.push_str("\\r"),
                other if other.is_control() || is_direction(other) => {
                    let mut utf8 = [0; 4];
                    push_hex(&mut shown, other.encode_utf8(&mut utf8).as_bytes());
                }
                other => shown.push(other),
            }
        }
        push_hex(&mut shown, chunk.invalid());
    }
    shown
}

/// Characters that reorder the text around them: a value must not be able to rewrite the line it stands in.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_hex(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        shown.push_str(&format!("\\x{byte:02x}"));
    }
}

/// Puts bytes into a JSON object: as text under `name`, or in hexadecimal under `name_hex` if they are not UTF-8.
pub(crate) fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), Value::from(text)),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert(format!("{name}_hex"), Value::from(hex))
        }
    };
}

/// How much of a key a table shows.
const KEY_SHOWN_CHARS: usize = 48;

/// The beginning of a key of so many bytes, for a table.
pub(crate) fn key_start(start: &[u8], key_bytes: usize) -> String {
    if start.is_empty() && key_bytes > 0 {
        return format!("({key_bytes} bytes)");
    }
    let shown = escaped(start);
    if start.len() == key_bytes {
        return shortened(&shown, KEY_SHOWN_CHARS);
    }
    let kept: String = shown.chars().take(KEY_SHOWN_CHARS - 1).collect();
    format!("{kept}…")
}

/// A text, or its beginning if it has more letters than this.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max - 1).collect();
    format!("{kept}…")
}

/// A share in hundredths, with one digit behind the point.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_unescaped() {
        for (bytes, shown) in [
            (b"plain" as &[u8], "plain"),
            ("Käse".as_bytes(), "Käse"),
            (b"a\tb\nc\\d\re", "a\\tb\\nc\\\\d\\re"),
            (b"\x1b[31mred", "\\x1b[31mred"),
            (b"\xff\xfea", "\\xff\\xfea"),
            ("\u{202e}abc".as_bytes(), "\\xe2\\x80\\xaeabc"),
            ("\u{85}".as_bytes(), "\\xc2\\x85"),
        ] {
            assert_eq!(escaped(bytes), shown);
        }
    }

    #[test]
    fn json_loses_no_byte() {
        let mut object = Map::new();
        put_bytes(&mut object, "key", b"u1");
        put_bytes(&mut object, "value", b"\xff\x00");
        assert_eq!(Value::Object(object).to_string(), r#"{"key":"u1","value_hex":"ff00"}"#);
    }

    #[test]
    fn of_a_long_key_the_beginning_is_shown() {
        assert_eq!(key_start(b"u1", 2), "u1");
        assert_eq!(key_start(b"", 7), "(7 bytes)");
        assert_eq!(key_start(b"", 0), "");
        assert_eq!(key_start(b"user", 100), "user…");
        assert_eq!(key_start(&[b'k'; 100], 100).chars().count(), KEY_SHOWN_CHARS);
        assert_eq!(key_start(b"\n", 1), "\\n");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!((percent(1, 8), percent(0, 0)), ("12.5 %".into(), "0.0 %".into()));
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(size(1_023), "1023 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
    }
}
