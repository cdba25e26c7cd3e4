//! Lists that are written as text.

/// The items of `{a,"b c",NULL}`.
pub fn list_items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut items, mut item, mut is_quoted) = (Vec::new(), String::new(), false);
    if inner.is_empty() {
        return Some(items);
    }
    let mut letters = inner.chars();
    let mut is_open = false;
    let done = |item: &mut String, is_quoted: &mut bool| {
        let text = std::mem::take(item);
        let is_null = !std::mem::take(is_quoted) && text.eq_ignore_ascii_case("null");
        (!is_null).then_some(text)
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => item.push(letters.next()?),
            '"' => (is_open, is_quoted) = (!is_open, true),
            ',' if !is_open => items.push(done(&mut item, &mut is_quoted)),
            '{' | '}' if !is_open => return None,
            other => item.push(other),
        }
    }
    items.push(done(&mut item, &mut is_quoted));
    (!is_open).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_items_quotes_and_nulls() {
        let items = list_items("{a,\"b,\\\"c\",NULL,\"null\",}").expect("a list");
        let items: Vec<Option<&str>> = items.iter().map(Option::as_deref).collect();
        assert_eq!(items, [Some("a"), Some("b,\"c"), None, Some("null"), Some("")]);
        assert_eq!(list_items("{\"a}"), None);
    }
}
