//! Groups against counting by hand, in one part and in several.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::filter::col;

fn fold() -> Fold {
    Fold::new(vec![col("city")], vec![col("n"), col("note")]).expect("short paths")
}

proptest! {
    #[test]
    fn parts_folded_together_are_the_whole(
        rows in proptest::collection::vec((0u8..4, proptest::option::of(-9i64..9), "[ab]{0,2}"), 0..60),
        cut in any::<usize>(),
    ) {
        let mut groups: BTreeMap<String, Vec<(Option<i64>, String)>> = BTreeMap::new();
        let (mut whole, mut parts) = (fold(), [fold(), fold()]);
        let cut = cut % (rows.len() + 1);
        for (index, (city, n, note)) in rows.iter().enumerate() {
            let city = format!("c{city}");
            let value = json!({"city": city, "n": n, "note": note}).to_string();
            whole.take(b"k", value.as_bytes()).expect("few groups");
            parts[usize::from(index >= cut)].take(b"k", value.as_bytes()).expect("few groups");
            groups.entry(city).or_default().push((*n, note.clone()));
        }
        let [mut one, other] = parts;
        for (key, group) in other.finish() {
            one.add(key, group).expect("the same fields");
        }
        let whole = whole.finish();
        prop_assert_eq!(&one.finish(), &whole);
        prop_assert_eq!(whole.len(), groups.len());
        for ((key, group), (city, rows)) in whole.iter().zip(groups) {
            prop_assert_eq!(key, &[Cell::Text(city.into())]);
            let numbers: Vec<i64> = rows.iter().filter_map(|(n, _)| *n).collect();
            let [n, note] = &group.extents[..] else { panic!("two fields") };
            prop_assert_eq!((group.count, n.count), (rows.len() as u64, numbers.len() as u64));
            let sum = if numbers.is_empty() { Cell::Null } else { Cell::BigInt(numbers.iter().sum()) };
            prop_assert_eq!(n.sum(), sum);
            prop_assert_eq!(&n.least, &numbers.iter().min().map_or(Cell::Null, |n| Cell::BigInt(*n)));
            prop_assert_eq!(&n.greatest, &numbers.iter().max().map_or(Cell::Null, |n| Cell::BigInt(*n)));
            let notes = rows.iter().map(|(_, note)| note.clone());
            prop_assert_eq!(&note.greatest, &Cell::Text(notes.max().expect("one").into()));
            prop_assert_eq!((note.numbers, note.mean()), (0, None));
        }
    }
}

#[test]
fn without_groups_there_is_one_also_of_nothing() {
    let mut fold = Fold::new(Vec::new(), vec![col("n")]).expect("a short path");
    let nothing = fold.clone().finish();
    assert_eq!(nothing, [(vec![], Group { count: 0, extents: vec![Extent::default()] })]);
    for value in ["{\"n\": 9223372036854775807}", "{\"n\": 1}", "text", "{broken", "{\"n\": \"x\"}"]
    {
        fold.take(b"k", value.as_bytes()).expect("one group");
    }
    let [(_, group)] = &fold.finish()[..] else { panic!("one group") };
    assert_eq!((group.count, group.extents[0].count, group.extents[0].numbers), (5, 3, 2));
    assert_eq!(group.extents[0].sum(), Cell::Double(9_223_372_036_854_775_808.0));
}

#[test]
fn groups_are_bounded() {
    let mut fold = Fold::new(vec![col("_key")], Vec::new()).expect("a short path");
    let refused = (0..=GROUPS_MAX).find_map(|n| fold.take(format!("k{n}").as_bytes(), b"").err());
    assert_eq!(refused.map(|error| error.code()), Some(ErrorCode::TooManyMatches));
    let mut fold = Fold::new(vec![col("_key")], Vec::new()).expect("a short path");
    let long = "x".repeat(1 << 20);
    let refused = (0..17).find_map(|n| fold.take(format!("{long}{n}").as_bytes(), b"").err());
    assert!(refused.is_some(), "17 MiB");
}
