//! One step into JSON text: the member of an object, or the item of a list. The text is read whole, so that what is no JSON has nothing in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Where to go within a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'s> {
    /// To the member of this name.
    Name(&'s str),
    /// To the item at this place: 0 is the first, -1 the last.
    Place(i64),
}

/// The text of the value that is there; `None` where there is none.
pub(super) fn find<'j>(json: &'j str, step: Step<'_>) -> Option<&'j str> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = (&mut deserializer).deserialize_any(Walk(step)).ok()?;
    deserializer.end().ok()?;
    found.map(RawValue::get)
}

/// A value as text: what a text says, nothing of null, and of all else its JSON.
pub(super) fn text(json: &str) -> Option<String> {
    match json.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => serde_json::from_str(json).ok(),
        _ => Some(compact(json)),
    }
}

/// JSON without the space between its parts.
pub(super) fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |letter: &char| {
        let is_kept = is_text || !letter.is_ascii_whitespace();
        match letter {
            '"' if !is_escaped => is_text = !is_text,
            _ => {}
        }
        is_escaped = is_text && *letter == '\\' && !is_escaped;
        is_kept
    };
    json.chars().filter(keep).collect()
}

/// Takes one step, from whatever is there.
struct Walk<'s>(Step<'s>);

type Found<'j> = Option<&'j RawValue>;

impl<'j> Visitor<'j> for Walk<'_> {
    type Value = Found<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Found<'j>, A::Error> {
        let name = match self.0 {
            Step::Name(name) => Some(name),
            Step::Place(_) => None,
        };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(name))? {
            // Of several with one name the last counts, as for columns.
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut items: A) -> Result<Found<'j>, A::Error> {
        let Step::Place(place) = self.0 else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        if place < 0 {
            let mut all: Vec<&RawValue> = Vec::new();
            while let Some(item) = items.next_element()? {
                all.push(item);
            }
            let back = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
            return Ok(all.len().checked_sub(back).map(|place| all[place]));
        }
        let (mut at, mut found) = (0, None);
        loop {
            if at == place {
                match items.next_element()? {
                    Some(item) => found = Some(item),
                    None => return Ok(found),
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'j>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'j>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'j>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'j>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found<'j>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Found<'j>, E> {
        Ok(None)
    }
}

/// Whether a member has this name.
struct Is<'s>(Option<&'s str>);

impl<'j> DeserializeSeed<'j> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(json: &str, step: Step<'_>) -> Option<String> {
        find(json, step).map(compact)
    }

    #[test]
    fn members_and_items_are_found() {
        let json =
            r#" {"a": {"b": [1, 2.50, "x y", null]}, "ü\"": "é\u00e9\n", "a b": true, "": -1e3} "#;
        let name = |name| at(json, Step::Name(name));
        assert_eq!(name("a").as_deref(), Some(r#"{"b":[1,2.50,"x y",null]}"#));
        assert_eq!(name("ü\"").as_deref(), Some(r#""é\u00e9\n""#));
        assert_eq!(name("a b").as_deref(), Some("true"));
        assert_eq!(name("").as_deref(), Some("-1e3"));
        assert_eq!(name("A"), None);
        assert_eq!(at(json, Step::Place(0)), None, "an object has no places");
        let list = "[10, [20], 30]";
        for (place, item) in [(0, Some("10")), (1, Some("[20]")), (2, Some("30")), (3, None)] {
            assert_eq!(at(list, Step::Place(place)).as_deref(), item, "{place}");
        }
        assert_eq!(at(list, Step::Place(-1)).as_deref(), Some("30"));
        assert_eq!(at(list, Step::Place(-4)), None);
        assert_eq!(at(list, Step::Place(i64::MIN)), None);
        assert_eq!(at(list, Step::Name("0")), None, "a list has no names");
        assert_eq!(at(r#"{"a": 1, "a": 2}"#, Step::Name("a")).as_deref(), Some("2"));
    }

    #[test]
    fn what_is_no_json_has_nothing_in_it() {
        for json in [
            "",
            "x",
            "{",
            r#"{"a": 1"#,
            r#"{"a": 1} 2"#,
            "[1,]",
            r#"{"a": x}"#,
            "7",
            "\"a\"",
            "null",
        ] {
            assert_eq!(at(json, Step::Name("a")), None, "{json}");
            assert_eq!(at(json, Step::Place(0)), None, "{json}");
        }
    }

    #[test]
    fn deep_values_are_walked_without_depth() {
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(at(&deep, Step::Name("a")).map(|found| found.len()), Some(200_001));
    }

    #[test]
    fn text_is_what_a_value_says() {
        assert_eq!(text(r#""a\n\"ü\u00e9😀""#).as_deref(), Some("a\n\"üé😀"));
        assert_eq!(text("null"), None);
        assert_eq!(text("1.50").as_deref(), Some("1.50"));
        assert_eq!(text("false").as_deref(), Some("false"));
        assert_eq!(text(r#"{"a \" b": [ 1 ]}"#).as_deref(), Some(r#"{"a \" b":[1]}"#));
        assert_eq!(text(r#""\ud800""#), None, "half a letter");
    }
}
