//! Fields and what stands in them, to and from their wire forms.

use isogrid_value::{Cell, Extent, Field, Group};

use crate::pb;
use crate::pb::scalar::Scalar as Wire;

/// A field by its path; without names the key.
pub fn field_from_pb(path: pb::FieldPath) -> Field {
    if path.names.is_empty() { Field::Key } else { Field::Path(path.names) }
}

/// A field as its path.
pub fn field_to_pb(field: &Field) -> pb::FieldPath {
    match field {
        Field::Key => pb::FieldPath::default(),
        Field::Path(names) => pb::FieldPath { names: names.clone() },
    }
}

/// What stands somewhere.
pub fn scalar_to_pb(cell: Cell<'_>) -> pb::Scalar {
    let scalar = match cell {
        Cell::Null => None,
        Cell::Boolean(value) => Some(Wire::Boolean(value)),
        Cell::BigInt(value) => Some(Wire::Bigint(value)),
        Cell::Double(value) => Some(Wire::Double(value)),
        Cell::Text(value) => Some(Wire::Text(value.into_owned())),
        Cell::Bytes(value) => Some(Wire::Bytes(value.into_owned().into())),
        Cell::Nested(value) => Some(Wire::Json(value.to_string())),
    };
    pb::Scalar { scalar }
}

/// What a node says stands somewhere. JSON that is none is text.
pub fn scalar_from_pb(scalar: pb::Scalar) -> Cell<'static> {
    match scalar.scalar {
        None => Cell::Null,
        Some(Wire::Boolean(value)) => Cell::Boolean(value),
        Some(Wire::Bigint(value)) => Cell::BigInt(value),
        Some(Wire::Double(value)) => Cell::Double(value),
        Some(Wire::Text(value)) => Cell::Text(value.into()),
        Some(Wire::Bytes(value)) => Cell::Bytes(value.to_vec().into()),
        Some(Wire::Json(text)) => Cell::json(text),
    }
}

/// A group that was folded.
pub fn group_to_pb(key: Vec<Cell<'static>>, group: Group) -> pb::AggregateGroup {
    let extent = |extent: Extent| pb::FieldExtent {
        count: extent.count,
        numbers: extent.numbers,
        whole: extent.whole,
        other: extent.other,
        least: Some(scalar_to_pb(extent.least)),
        greatest: Some(scalar_to_pb(extent.greatest)),
    };
    pb::AggregateGroup {
        key: key.into_iter().map(scalar_to_pb).collect(),
        count: group.count,
        extents: group.extents.into_iter().map(extent).collect(),
    }
}

/// A group that a node has folded.
pub fn group_from_pb(group: pb::AggregateGroup) -> (Vec<Cell<'static>>, Group) {
    let extent = |extent: pb::FieldExtent| Extent {
        count: extent.count,
        numbers: extent.numbers,
        whole: extent.whole,
        other: extent.other,
        least: scalar_from_pb(extent.least.unwrap_or_default()),
        greatest: scalar_from_pb(extent.greatest.unwrap_or_default()),
    };
    let extents = group.extents.into_iter().map(extent).collect();
    let key = group.key.into_iter().map(scalar_from_pb).collect();
    (key, Group { count: group.count, extents })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_they_are_written() {
        let cells = [
            Cell::Null,
            Cell::Boolean(true),
            Cell::BigInt(-3),
            Cell::Double(1.5),
            Cell::Text("a".into()),
            Cell::Bytes(vec![1, 255].into()),
            Cell::json("[1,{\"a\":null}]".into()),
        ];
        for cell in cells {
            let extent = Extent {
                count: 4,
                numbers: 3,
                whole: -2,
                other: 0.5,
                least: cell.clone(),
                greatest: Cell::Null,
            };
            let group = Group { count: 9, extents: vec![extent] };
            let read = group_from_pb(group_to_pb(vec![cell.clone()], group.clone()));
            assert_eq!(read, (vec![cell], group));
        }
        for field in [isogrid_value::col("_key"), isogrid_value::col("a.b")] {
            assert_eq!(field_from_pb(field_to_pb(&field)), field);
        }
    }
}
