//! docs/api.md: the doors of a node, and the calls and messages of gRPC as tables.

use super::contract::{Call, Field, File, Members, Service, Side, Type, Value};

const HEAD: &str = "\
# API

Every node has all of these doors, and any node can be asked for anything.

| from | how | where it is told |
|---|---|---|
| Rust | the smart client: straight to the owner of each key, retries that are never done twice | `cargo doc --open -p isogrid-client --all-features`; how it works: [client.md](client.md) |
| curl, a browser, any HTTP | JSON, server-sent events, WebSocket, at `node.http_addr` (7780) | [http.md](http.md), and `GET /v1/openapi.json` of a node |
| SQL | `isogrid sql`, psql, drivers of PostgreSQL, at `node.pg_addr` | [sql.md](sql.md) |
| a shell | the command `isogrid` | [cli.md](cli.md) |
| any other language | gRPC, at `node.grpc_addr` (7700) | below; the compact frames of a session, filters and errors: [wire.md](wire.md) |

## gRPC

The rest of this page is printed by `cargo xtask api --write` from [proto/isogrid/v1](../proto/isogrid/v1/grid.proto), and `cargo xtask verify` checks that it is
up to date. Keys and values are bytes; in the JSON of grpcurl they stand in base64. Reflection is on, so no file is needed to ask:

```sh
grpcurl -plaintext 127.0.0.1:7700 list
grpcurl -plaintext -d '{\"map\":\"users\",\"key\":\"dTE=\",\"value\":\"QW5u\"}' 127.0.0.1:7700 isogrid.v1.Grid/Put
grpcurl -plaintext -d '{\"map\":\"users\",\"key\":\"dTE=\"}' 127.0.0.1:7700 isogrid.v1.Grid/Get
```

A call that fails ends with a status whose metadata has the error's number (`isogrid-error`, see [errors.md](errors.md)) and whether anything changed
(`isogrid-outcome`: 1 nothing did, 2 it did, 3 unknown). A field that is not set is zero, empty or absent. Nodes speak among themselves
through [a service of their own](../proto/isogrid/v1/peer.proto), which is not for clients.
";

/// The page.
pub(super) fn of(files: &[File]) -> String {
    let mut text = HEAD.to_owned();
    for file in files {
        for service in &file.services {
            text.push_str(&self::service(file, service));
        }
        for one in &file.types {
            text.push_str(&self::declared(one));
        }
    }
    text
}

/// Calls of which nothing is said.
pub(super) fn silent(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        for service in &file.services {
            let calls = service.calls.iter().filter(|call| call.comment.is_empty());
            findings.extend(
                calls.map(|call| format!("proto/{}: nothing is said of {}", file.path, call.name)),
            );
        }
    }
    findings
}

fn service(file: &File, service: &Service) -> String {
    let mut text = format!(
        "\n## {}\n\n`isogrid.v1.{}`, in [{}](../proto/{}). {}\n\n| call | takes | answers | what it does |\n|---|---|---|---|\n",
        service.name,
        service.name,
        file.path.rsplit('/').next().unwrap_or(file.path),
        file.path,
        linked(&file.comment),
    );
    for Call { name, comment, takes, answers } in &service.calls {
        let (takes, answers) = (side(takes), side(answers));
        text.push_str(&format!("| `{name}` | {takes} | {answers} | {} |\n", linked(comment)));
    }
    text
}

fn side(side: &Side) -> String {
    let stream = if side.is_stream { "stream of " } else { "" };
    format!("{stream}{}", link(&side.message))
}

fn declared(one: &Type) -> String {
    let mut text = format!("\n### {}\n", one.name);
    if !one.comment.is_empty() {
        text.push_str(&format!("\n{}\n", linked(&one.comment)));
    }
    match &one.members {
        Members::Fields(fields) if fields.is_empty() => text.push_str("\nIt has no fields.\n"),
        Members::Fields(fields) => {
            text.push_str("\n| | field | type | what it is |\n|--:|---|---|---|\n");
            text.extend(fields.iter().map(field));
        }
        Members::Values(values) => {
            text.push_str("\n| | value | what it means |\n|--:|---|---|\n");
            text.extend(values.iter().map(value));
        }
    }
    text
}

fn field(field: &Field) -> String {
    let kind = if field.is_declared { link(&field.kind) } else { format!("`{}`", field.kind) };
    let label = if field.label.is_empty() { String::new() } else { format!("{} ", field.label) };
    let one_of = field.one_of.as_ref().map(|name| format!("One of `{name}`. "));
    let what = one_of.unwrap_or_default() + &linked(&field.comment);
    format!("| {} | `{}` | {label}{kind} | {} |\n", field.number, field.name, what.trim_end())
}

fn value(value: &Value) -> String {
    format!("| {} | `{}` | {} |\n", value.number, value.name, linked(&value.comment))
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

/// A comment as it stands in a cell: what it says of other documents can be followed.
fn linked(comment: &str) -> String {
    let words = comment.replace('|', "\\|");
    let words = words.split(' ').map(|word| {
        let Some(at) = word.find(FOLDER) else { return word.to_owned() };
        let Some(end) = word[at..].find(".md").map(|length| at + length + ".md".len()) else {
            return word.to_owned();
        };
        let name = &word[at + FOLDER.len()..end];
        format!("{}[{name}]({name}){}", &word[..at], &word[end..])
    });
    words.collect::<Vec<_>>().join(" ")
}

const FOLDER: &str = "docs/";

#[cfg(test)]
mod tests {
    use super::*;

    fn a_file(comment: &str) -> File {
        let side = |message: &str, is_stream| Side { message: message.into(), is_stream };
        let call = Call {
            name: "Watch".into(),
            comment: comment.into(),
            takes: side("WatchRequest", false),
            answers: side("Event", true),
        };
        let field = Field {
            number: 3,
            name: "events".into(),
            kind: "Event".into(),
            is_declared: true,
            label: "repeated",
            one_of: Some("what".into()),
            comment: "This | that.".into(),
        };
        let of_message = |name: &str, fields| Type {
            name: name.into(),
            comment: String::new(),
            members: Members::Fields(fields),
        };
        File {
            path: "isogrid/v1/grid.proto",
            comment: "The door.".into(),
            services: vec![Service { name: "Grid".into(), calls: vec![call] }],
            types: vec![of_message("WatchRequest", vec![field]), of_message("Event", Vec::new())],
        }
    }

    #[test]
    fn a_call_leads_to_its_messages() {
        let page = of(&[a_file("Follows what changes (docs/wire.md).")]);
        for line in [
            "`isogrid.v1.Grid`, in [grid.proto](../proto/isogrid/v1/grid.proto). The door.",
            "| `Watch` | [WatchRequest](#watchrequest) | stream of [Event](#event) | Follows what changes ([wire.md](wire.md)). |",
            "| 3 | `events` | repeated [Event](#event) | One of `what`. This \\| that. |",
            "### Event\n\nIt has no fields.",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_call_of_which_nothing_is_said_is_found() {
        assert!(silent(&[a_file("It does.")]).is_empty());
        let finding = "proto/isogrid/v1/grid.proto: nothing is said of Watch";
        assert_eq!(silent(&[a_file("")]), [finding]);
    }
}
