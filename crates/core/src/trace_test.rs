//! Where operations belong in traces: what headers say, and which of many operations are meant.

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn context() -> TraceContext {
    match TraceParent::from_headers(Some(PARENT), None) {
        TraceParent::Sampled(context) => context,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_traceparent_is_read_and_written_alike() {
    let context = context();
    assert_eq!(context.trace()[..2], [0x0a, 0xf7]);
    assert_eq!(context.span().map(|span| span[7]), Some(0x31));
    assert_eq!(context.traceparent().as_deref(), Some(PARENT));
}

#[test]
fn what_nobody_records_is_told_from_what_nobody_says() {
    let not_sampled = PARENT.replace("-01", "-00");
    let read = |text: &str| TraceParent::from_headers(Some(text), None);
    assert_eq!(read(&not_sampled), TraceParent::NotSampled);
    assert_eq!(TraceParent::from_headers(None, Some("a=b")), TraceParent::None);
    // Other flags do not matter, and later versions may say more.
    assert!(matches!(read(&PARENT.replace("-01", "-03")), TraceParent::Sampled(_)));
    assert!(matches!(read(&format!("cc{}-more", &PARENT[2..])), TraceParent::Sampled(_)));
}

#[test]
fn what_is_no_traceparent_counts_as_nothing() {
    for bad in [
        "",
        "00",
        &PARENT[..54],
        &format!("{PARENT}-more"),
        &PARENT.replace("00-0a", "ff-0a"),
        &PARENT.to_uppercase(),
        &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
        &PARENT.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
        &PARENT.replace('7', "g"),
    ] {
        assert_eq!(TraceParent::from_headers(Some(bad), None), TraceParent::None, "{bad:?}");
    }
}

#[test]
fn a_tracestate_goes_along_unless_it_cannot() {
    let with = |state: &str| match TraceParent::from_headers(Some(PARENT), Some(state)) {
        TraceParent::Sampled(context) => context.state().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(with("vendor=t61,other=x").as_deref(), Some("vendor=t61,other=x"));
    assert_eq!(with("a=\n"), None);
    assert_eq!(with(&"a".repeat(TRACE_STATE_BYTES_MAX + 1)), None);
    assert_eq!(context().with_state("a=b").within([1; 8]).state(), Some("a=b"));
}

#[test]
fn only_the_operations_that_were_named_are_traced() {
    let mut traces = Traces::default();
    assert!(traces.is_empty() && traces.of(0).is_none());
    let other = TraceContext::root([9; 16]).expect("a number");
    traces.push(2, 3, context());
    traces.push(4, 1, other.clone());
    traces.push(7, 0, other.clone());
    traces.push(7, 1, other.clone());
    let found: Vec<_> = (0..10).map(|place| traces.of(place).map(TraceContext::span)).collect();
    let (first, second) = (Some(context().span()), Some(None));
    let expected = [None, None, first, first, first, None, None, second, None, None];
    assert_eq!(found, expected, "what does not stand behind the others is left out");
}
