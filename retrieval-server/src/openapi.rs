//! The OpenAPI document, made from the table of requests.

use crate::routes::{Kind, Parameter, ROUTES, Route};
use serde_json::{Map, Value, json};

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Channel => json!({"type": "array", "items": {"type": "string", "maxLength": 1024}}),
        Kind::Time => json!({
            "type": "string",
            "description": "RFC 3339, now, or [now]±N with ns us ms s m h d w",
            "examples": ["2026-11-20T08:00:00Z", "-1h"],
        }),
        Kind::Nanoseconds => json!({"type": "integer", "format": "int64"}),
        Kind::Count => json!({"type": "integer", "minimum": 0}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Choice(choices) => json!({"type": "string", "enum": choices}),
        Kind::Slice => json!({"type": "string", "pattern": "^[0-9]*:[0-9]*$"}),
        Kind::Width => json!({"type": "string", "examples": ["60s", "1d", "1mo"]}),
        Kind::Duration => json!({"type": "string", "examples": ["10s"]}),
        Kind::Words(words) => json!({
            "type": "string",
            "description": format!("With commas between: {}", words.join(" ")),
        }),
        Kind::Zone | Kind::Glob | Kind::Regex | Kind::Cursor | Kind::After | Kind::Text => {
            json!({"type": "string"})
        }
    }
}

fn in_query(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "schema": schema(parameter.kind),
        "explode": true,
    })
}

fn responses(route: &Route) -> Value {
    let content: Map<String, Value> =
        route.produces.iter().map(|media| ((*media).to_string(), json!({}))).collect();
    let mut responses = json!({"200": {"description": route.about, "content": content}});
    if route.reads() {
        let error = json!({"$ref": "#/components/responses/Error"});
        for status in ["400", "404", "413", "422", "429", "500", "503"] {
            responses[status] = error.clone();
        }
    }
    responses
}

fn path_item(route: &Route) -> Value {
    let parameters: Vec<Value> = route.parameters.iter().map(in_query).collect();
    let mut item =
        json!({"get": {"summary": route.about, "parameters": parameters, "responses": responses(route)}});
    if route.reads() {
        let properties: Map<String, Value> =
            route.parameters.iter().map(|p| (p.name.to_string(), schema(p.kind))).collect();
        let body = json!({"schema": {
            "type": "object", "properties": properties, "additionalProperties": false,
        }});
        item["post"] = json!({
            "summary": route.about,
            "requestBody": {
                "content": {"application/json": body, "application/x-www-form-urlencoded": body},
            },
            "responses": responses(route),
        });
    }
    item
}

/// The document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> =
        ROUTES.iter().map(|route| (route.path.to_string(), path_item(route))).collect();
    if let Some(channel) = ROUTES.iter().find(|route| route.path == "/api/v1/channel") {
        let mut item = path_item(channel);
        if let Some(parameters) = item["get"]["parameters"].as_array_mut() {
            parameters.retain(|p| p["name"] != "channel");
            parameters.push(json!({
                "name": "name", "in": "path", "required": true, "schema": {"type": "string"},
                "description": "The channel's name, percent-encoded; it may hold slashes.",
            }));
        }
        paths.insert("/api/v1/channels/{name}".into(), json!({"get": item["get"].take()}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Varve",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Samples of EPICS channels over time. PROTOCOL.md holds the rules.",
        },
        "paths": paths,
        "components": {"responses": {"Error": {
            "description": "What is wrong, and with which parameter or channel.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                        "channel": {"type": "string"},
                        "parameter": {"type": "string"},
                        "near": {"type": "array", "items": {"type": "string"}},
                    },
                }},
            }}},
        }}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Request;

    #[test]
    fn every_request_and_parameter_is_documented() {
        let document = document();
        for route in ROUTES {
            let get = &document["paths"][route.path]["get"];
            assert_eq!(get["summary"], route.about);
            let names: Vec<&str> =
                get["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
            assert_eq!(names, route.parameters.iter().map(|p| p.name).collect::<Vec<_>>());
            assert_eq!(document["paths"][route.path].get("post").is_some(), route.reads());
            assert!(std::ptr::eq(crate::routes::row(route.request), route));
        }
        assert_eq!(crate::routes::row(Request::Samples).path, "/api/v1/samples");
    }

    #[test]
    fn no_request_has_two_parameters_of_one_name() {
        for route in ROUTES {
            let mut names: Vec<&str> = route.parameters.iter().map(|p| p.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), route.parameters.len(), "{}", route.path);
        }
    }
}
