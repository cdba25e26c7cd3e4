//! The contract as plain data: what is declared in the files of proto/, and what stands above each declaration.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, ServiceDescriptor,
};

/// The files that are for clients, in the order of the page. That between nodes is not.
const FILES: [&str; 3] =
    ["isogrid/v1/grid.proto", "isogrid/v1/sql.proto", "isogrid/v1/admin.proto"];

/// The number of `syntax` among the declarations of a file: the comment above it is that of the file.
const SYNTAX: [i32; 1] = [12];

/// One file.
pub(super) struct File {
    /// From the folder `proto`.
    pub(super) path: &'static str,
    pub(super) comment: String,
    pub(super) services: Vec<Service>,
    pub(super) types: Vec<Type>,
}

/// A service with its calls.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) calls: Vec<Call>,
}

/// A call.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) takes: Side,
    pub(super) answers: Side,
}

/// One side of a call.
pub(super) struct Side {
    pub(super) message: String,
    pub(super) is_stream: bool,
}

/// A message or an enum.
pub(super) struct Type {
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) members: Members,
}

/// What is in a message or an enum.
pub(super) enum Members {
    Fields(Vec<Field>),
    Values(Vec<Value>),
}

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    /// `string`, or the name of a message or an enum.
    pub(super) kind: String,
    /// Whether the kind has a head of its own on the page.
    pub(super) is_declared: bool,
    /// `repeated`, `optional`, or nothing.
    pub(super) label: &'static str,
    /// The oneof that it is in.
    pub(super) one_of: Option<String>,
    pub(super) comment: String,
}

/// A value of an enum.
pub(super) struct Value {
    pub(super) number: i32,
    pub(super) name: String,
    pub(super) comment: String,
}

/// Reads the files.
pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let set = protox::compile(FILES, [root.join("proto")])?;
    let pool = DescriptorPool::from_file_descriptor_set(set)?;
    let file = |path: &'static str| {
        let file = pool.get_file_by_name(path).with_context(|| format!("no {path}"))?;
        Ok(of_file(path, &file))
    };
    FILES.into_iter().map(file).collect()
}

/// What stands above each declaration of a file, by its path in the descriptor.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptor) -> Comments {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let places = info.into_iter().flat_map(|info| &info.location);
        let texts = places.filter_map(|place| {
            let words = place.leading_comments.as_deref()?.split_whitespace();
            Some((place.path.clone(), words.collect::<Vec<_>>().join(" ")))
        });
        Comments(texts.collect())
    }

    fn at(&self, path: &[i32]) -> String {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

fn of_file(path: &'static str, file: &FileDescriptor) -> File {
    let comments = Comments::of(file);
    let messages = file.messages().map(|message| of_message(&message, &comments));
    let enums = file.enums().map(|one| of_enum(&one, &comments));
    File {
        path,
        comment: comments.at(&SYNTAX),
        services: file.services().map(|service| of_service(&service, &comments)).collect(),
        types: messages.chain(enums).collect(),
    }
}

fn of_service(service: &ServiceDescriptor, comments: &Comments) -> Service {
    let side = |message: MessageDescriptor, is_stream: bool| Side {
        message: message.name().to_owned(),
        is_stream,
    };
    let calls = service.methods().map(|call| Call {
        name: call.name().to_owned(),
        comment: comments.at(call.path()),
        takes: side(call.input(), call.is_client_streaming()),
        answers: side(call.output(), call.is_server_streaming()),
    });
    Service { name: service.name().to_owned(), calls: calls.collect() }
}

fn of_message(message: &MessageDescriptor, comments: &Comments) -> Type {
    // Reflection sorts by number; a file tells them in the order of their meaning.
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by(|one, other| one.path().cmp(other.path()));
    Type {
        name: message.name().to_owned(),
        comment: comments.at(message.path()),
        members: Members::Fields(fields.iter().map(|field| of_field(field, comments)).collect()),
    }
}

fn of_field(field: &FieldDescriptor, comments: &Comments) -> Field {
    let one_of = field.containing_oneof();
    // An optional field is a oneof of its own, which nobody wrote.
    let is_optional = field.field_descriptor_proto().proto3_optional();
    let label = match field.cardinality() {
        Cardinality::Repeated => "repeated",
        _ if is_optional => "optional",
        _ => "",
    };
    let (kind, is_declared) = match field.kind() {
        Kind::Message(message) => (message.name().to_owned(), true),
        Kind::Enum(one) => (one.name().to_owned(), true),
        plain => (format!("{plain:?}").to_lowercase(), false),
    };
    Field {
        number: field.number(),
        name: field.name().to_owned(),
        kind,
        is_declared,
        label,
        one_of: one_of.filter(|_| !is_optional).map(|one| one.name().to_owned()),
        comment: comments.at(field.path()),
    }
}

fn of_enum(one: &EnumDescriptor, comments: &Comments) -> Type {
    let values = one.values().map(|value| Value {
        number: value.number(),
        name: value.name().to_owned(),
        comment: comments.at(value.path()),
    });
    Type {
        name: one.name().to_owned(),
        comment: comments.at(one.path()),
        members: Members::Values(values.collect()),
    }
}
