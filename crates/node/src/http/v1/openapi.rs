//! The description of the API, as OpenAPI 3.1.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::Api;
use super::answer::Answer;
use super::ask::Ask;
use crate::clients::Did;

const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /v1/openapi.json`
pub(super) async fn document(State(_): State<Api>, request: Request) -> Answer {
    Ask::new(request, Did::Look, &[])?;
    let mut response = Response::new(Body::from(DOCUMENT));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::routes;
    use super::DOCUMENT;

    fn described() -> Value {
        serde_json::from_str(DOCUMENT).expect("the document is JSON")
    }

    #[test]
    fn every_address_is_described_and_nothing_else_is() {
        let document = described();
        let paths = document["paths"].as_object().expect("paths");
        let told: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods");
                let names = methods.keys().filter(|name| *name != "parameters");
                names.map(|name| (path.clone(), name.clone())).collect::<Vec<_>>()
            })
            .collect();
        let served: BTreeSet<(String, String)> = routes()
            .into_iter()
            .flat_map(|(path, methods, _)| {
                methods.iter().map(|method| (path.to_owned(), (*method).to_owned()))
            })
            .collect();
        assert_eq!(told, served);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = described();
        assert_eq!(document["openapi"], "3.1.0");
        let mut left = vec![&document];
        let mut references = 0;
        while let Some(value) = left.pop() {
            match value {
                Value::Array(values) => left.extend(values),
                Value::Object(fields) => {
                    if let Some(Value::String(to)) = fields.get("$ref") {
                        let pointer = to.strip_prefix('#').expect("within the document");
                        assert!(document.pointer(pointer).is_some(), "{to}");
                        references += 1;
                    }
                    left.extend(fields.values());
                }
                _ => {}
            }
        }
        assert!(references > 10, "{references}");
    }

    #[test]
    fn names_in_paths_are_described() {
        let document = described();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let named = path.matches('{').count();
            let told = item["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(told, named, "{path}");
        }
    }
}
