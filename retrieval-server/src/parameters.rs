//! Parameters as they arrive: query string, form or JSON object.

use crate::error::ApiError;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Names and texts in the order in which they came.
pub type Pairs = Vec<(String, String)>;

/// From a query string or a form: `+` is a blank, `%xx` a byte.
pub fn from_query(text: &str) -> Result<Pairs, ApiError> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                ApiError::parameter(name, format!("the name of parameter {name:?} is not UTF-8"))
            })?;
            let value = decode(value).ok_or_else(|| {
                ApiError::parameter(&name, format!("the value of {name} is not UTF-8 after percent-decoding"))
            })?;
            Ok((name, value))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Into::into)
}

/// From a body; JSON where the content type says so or, without one, where it begins with a brace.
pub fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Pairs, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let essence = content_type.and_then(|t| t.split(';').next()).map(|t| t.trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/x-www-form-urlencoded") => from_form(body),
        Some(t) if t == "application/json" || t.ends_with("+json") => from_json(body),
        None | Some("text/plain") if body.trim_ascii_start().starts_with(b"{") => from_json(body),
        None => from_form(body),
        Some(other) => Err(ApiError::parameter(
            "content-type",
            format!("a body of type {other} is not understood; send application/json or a form"),
        )),
    }
}

fn from_form(body: &[u8]) -> Result<Pairs, ApiError> {
    let text = std::str::from_utf8(body.trim_ascii())
        .map_err(|_| ApiError::parameter("body", "the form is not UTF-8"))?;
    from_query(text)
}

fn from_json(body: &[u8]) -> Result<Pairs, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::parameter("body", format!("the body is not JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(ApiError::parameter("body", "the JSON body is not an object of parameters"));
    };
    let mut pairs = Vec::new();
    for (name, value) in object {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            item => vec![item],
        };
        for item in items {
            let text = match item {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    let message = format!("{name} is neither a text, a number nor a list of them");
                    return Err(ApiError::parameter(&name, message));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_come_through_every_way() {
        for name in ["SR:C01{BPM:1}X-I", "A/B", "A+B", "A#1", "A;B", "A,B", "é", "a&b=c", "100%"] {
            let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
            let expected = vec![("channel".to_string(), name.to_string())];
            assert_eq!(from_query(&format!("channel={encoded}")).unwrap(), expected);
            let form = Some("application/x-www-form-urlencoded; charset=UTF-8");
            assert_eq!(from_body(form, format!("channel={encoded}").as_bytes()).unwrap(), expected);
            let json = serde_json::json!({"channel": [name]}).to_string();
            assert_eq!(from_body(Some("application/json"), json.as_bytes()).unwrap(), expected);
            assert_eq!(from_body(None, json.as_bytes()).unwrap(), expected);
        }
        assert_eq!(from_query("channel=A+B&&x").unwrap()[0].1, "A B");
    }

    #[test]
    fn json_values_become_texts_and_the_rest_is_refused() {
        let pairs =
            from_body(None, br#" {"from_ns": -5, "edge": true, "limit": null, "channel": ["A", "B"]}"#);
        let expected = [("from_ns", "-5"), ("edge", "true"), ("channel", "A"), ("channel", "B")];
        assert_eq!(pairs.unwrap(), expected.map(|(n, v)| (n.to_string(), v.to_string())));
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for body in [r#"{"channel": {"a": 1}}"#, r#"{"channel": [[1]]}"#, "{", &deep] {
            assert_eq!(from_body(None, body.as_bytes()).unwrap_err().status, 400);
        }
        for (content_type, body) in [("application/json", "[1]"), ("text/csv", "a,b")] {
            assert_eq!(from_body(Some(content_type), body.as_bytes()).unwrap_err().status, 400);
        }
        assert!(from_query("a=%ff").unwrap_err().message.contains("UTF-8"));
    }
}
