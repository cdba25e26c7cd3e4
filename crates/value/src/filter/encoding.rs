//! How a filter is written on the wire. Numbers are frozen; `docs/wire.md` has the table.
//!
//! ```text
//! filter:   version u8 = 1 · node
//! node:     1 comparison u8 · field · constant      a comparison
//!           2 field · count u16 · constants         equality with one of these
//!           3 field                                 nothing is there
//!           4 field · length u32 · text             text begins with this
//!           5 field · constant                      text or a list has this
//!           6 count u16 · nodes                     all
//!           7 count u16 · nodes                     any
//!           8 node                                  the opposite
//!           9 count u16 · (length u32 · text)…      the partition key is one of these
//! field:    count u8 · (length u16 · name)…         zero names: the key
//! constant: 0 false · 1 true · 2 i64 · 3 f64 · 4 length u32, text · 5 length u32, bytes
//! ```

use isogrid_core::Result;

use super::{
    BYTES_MAX, Comparison, Constant, DEPTH_MAX, Field, Filter, NODES_MAX, PATH_LEN_MAX, invalid,
};

const VERSION: u8 = 1;

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

impl Filter {
    /// The filter in bytes.
    ///
    /// # Errors
    /// `FilterInvalid` if it is larger than the bounds.
    pub fn encode(&self) -> Result<Vec<u8>> {
        self.check()?;
        let mut out = vec![VERSION];
        put_node(self, &mut out)?;
        check_bytes(out.len())?;
        Ok(out)
    }

    /// The filter that these bytes are.
    ///
    /// # Errors
    /// `FilterInvalid` if they are none, or it is larger than the bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        check_bytes(bytes.len())?;
        let mut reader = Reader { rest: bytes, nodes: 0 };
        let version = reader.u8()?;
        if version != VERSION {
            return Err(invalid(format!("version {version} of filters is not known here")));
        }
        let filter = reader.node(1)?;
        if !reader.rest.is_empty() {
            return Err(invalid(format!("{} bytes behind it", reader.rest.len())));
        }
        Ok(filter)
    }
}

fn check_bytes(bytes: usize) -> Result<()> {
    if bytes > BYTES_MAX {
        return Err(invalid(format!("it has {bytes} bytes, at most {BYTES_MAX}")));
    }
    Ok(())
}

fn put_node(filter: &Filter, out: &mut Vec<u8>) -> Result<()> {
    match filter {
        Filter::Compare(field, comparison, constant) => {
            let at = COMPARISONS.iter().position(|one| one == comparison);
            out.extend([1, at.expect("all are listed") as u8]);
            put_field(field, out)?;
            put_constant(constant, out)?;
        }
        Filter::In(field, constants) => {
            out.push(2);
            put_field(field, out)?;
            put_count(constants.len(), out);
            constants.iter().try_for_each(|constant| put_constant(constant, out))?;
        }
        Filter::IsNull(field) => {
            out.push(3);
            put_field(field, out)?;
        }
        Filter::StartsWith(field, prefix) => {
            out.push(4);
            put_field(field, out)?;
            put_bytes(prefix.as_bytes(), out)?;
        }
        Filter::Contains(field, constant) => {
            out.push(5);
            put_field(field, out)?;
            put_constant(constant, out)?;
        }
        Filter::All(filters) | Filter::Any(filters) => {
            out.push(if matches!(filter, Filter::All(_)) { 6 } else { 7 });
            put_count(filters.len(), out);
            filters.iter().try_for_each(|filter| put_node(filter, out))?;
        }
        Filter::Not(filter) => {
            out.push(8);
            put_node(filter, out)?;
        }
        Filter::OfPartitionKeys(keys) => {
            out.push(9);
            put_count(keys.len(), out);
            keys.iter().try_for_each(|key| put_bytes(key.as_bytes(), out))?;
        }
    }
    Ok(())
}

/// The count of a list, which the bound on nodes keeps small.
fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend((count as u16).to_le_bytes());
}

pub(crate) fn put_field(field: &Field, out: &mut Vec<u8>) -> Result<()> {
    let Field::Path(path) = field else {
        out.push(0);
        return Ok(());
    };
    out.push(path.len() as u8);
    for name in path {
        let length = u16::try_from(name.len())
            .map_err(|_| invalid(format!("a name of {} bytes", name.len())))?;
        out.extend(length.to_le_bytes());
        out.extend(name.as_bytes());
    }
    Ok(())
}

fn put_constant(constant: &Constant, out: &mut Vec<u8>) -> Result<()> {
    match constant {
        Constant::Boolean(value) => out.push(u8::from(*value)),
        Constant::BigInt(value) => {
            out.push(2);
            out.extend(value.to_le_bytes());
        }
        Constant::Double(value) => {
            out.push(3);
            out.extend(value.to_le_bytes());
        }
        Constant::Text(value) => {
            out.push(4);
            put_bytes(value.as_bytes(), out)?;
        }
        Constant::Bytes(value) => {
            out.push(5);
            put_bytes(value, out)?;
        }
    }
    Ok(())
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    check_bytes(bytes.len())?;
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
    Ok(())
}

/// Reads bytes that may be anything.
struct Reader<'a> {
    rest: &'a [u8],
    nodes: usize,
}

impl Reader<'_> {
    fn node(&mut self, depth: usize) -> Result<Filter> {
        if depth > DEPTH_MAX {
            return Err(invalid(format!("it is deeper than {DEPTH_MAX}")));
        }
        self.grows(1)?;
        Ok(match self.u8()? {
            1 => {
                let at = self.u8()?;
                let comparison = COMPARISONS.get(usize::from(at)).copied();
                let comparison =
                    comparison.ok_or_else(|| invalid(format!("comparison {at} is not known")))?;
                Filter::Compare(self.field()?, comparison, self.constant()?)
            }
            2 => {
                let field = self.field()?;
                let count = self.count()?;
                let constants = (0..count).map(|_| self.constant()).collect::<Result<_>>()?;
                Filter::In(field, constants)
            }
            3 => Filter::IsNull(self.field()?),
            4 => Filter::StartsWith(self.field()?, self.text()?),
            5 => Filter::Contains(self.field()?, self.constant()?),
            6 => Filter::All(self.list(depth)?),
            7 => Filter::Any(self.list(depth)?),
            8 => Filter::Not(Box::new(self.node(depth + 1)?)),
            9 => {
                let count = self.count()?;
                Filter::OfPartitionKeys((0..count).map(|_| self.text()).collect::<Result<_>>()?)
            }
            unknown => return Err(invalid(format!("node {unknown} is not known"))),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>> {
        let count = u16::from_le_bytes(self.array()?);
        (0..count).map(|_| self.node(depth + 1)).collect()
    }

    /// How many constants follow.
    fn count(&mut self) -> Result<u16> {
        let count = u16::from_le_bytes(self.array()?);
        self.grows(usize::from(count))?;
        Ok(count)
    }

    fn grows(&mut self, nodes: usize) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(invalid(format!(
                "it has more than {NODES_MAX} comparisons, constants and connectives"
            )));
        }
        Ok(())
    }

    fn field(&mut self) -> Result<Field> {
        let count = usize::from(self.u8()?);
        if count == 0 {
            return Ok(Field::Key);
        }
        if count > PATH_LEN_MAX {
            return Err(invalid(format!("a path of {count} names, at most {PATH_LEN_MAX}")));
        }
        let name = |_| {
            let length = u16::from_le_bytes(self.array()?);
            text(self.bytes(usize::from(length))?)
        };
        Ok(Field::Path((0..count).map(name).collect::<Result<_>>()?))
    }

    fn constant(&mut self) -> Result<Constant> {
        Ok(match self.u8()? {
            0 => Constant::Boolean(false),
            1 => Constant::Boolean(true),
            2 => Constant::BigInt(i64::from_le_bytes(self.array()?)),
            3 => Constant::Double(f64::from_le_bytes(self.array()?)),
            4 => Constant::Text(self.text()?),
            5 => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                Constant::Bytes(self.bytes(length)?.to_vec())
            }
            unknown => return Err(invalid(format!("constant {unknown} is not known"))),
        })
    }

    fn text(&mut self) -> Result<String> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        text(self.bytes(length)?)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, length: usize) -> Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn ends_early() -> isogrid_core::Error {
    invalid("it ends early")
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| invalid("a name or text that is no UTF-8"))
}
