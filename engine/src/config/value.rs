//! TOML values turned into settings.

use super::section::{Parsed, describe, nearest};
use crate::config::{Percent, parse_duration, parse_size};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use toml::de::DeValue;

/// A text in quotes, not empty.
pub(super) fn text(value: &DeValue<'_>) -> Parsed<String> {
    match value.as_str() {
        Some("") => Err("expected a text, found an empty one".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("expected a text in quotes, found {}", describe(value))),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Parsed<bool> {
    value.as_bool().ok_or_else(|| format!("expected true or false, found {}", describe(value)))
}

/// A duration such as `"10s"`.
pub(super) fn duration(value: &DeValue<'_>) -> Parsed<Duration> {
    let Some(text) = value.as_str() else {
        return Err(format!("expected a duration in quotes such as \"10s\", found {}", describe(value)));
    };
    parse_duration(text).map_err(|error| error.to_string())
}

/// A duration that is not zero.
pub(super) fn positive_duration(value: &DeValue<'_>) -> Parsed<Duration> {
    match duration(value)? {
        Duration::ZERO => Err("expected a duration above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// A size such as `"256MiB"`, at least `min` bytes.
pub(super) fn size(min: u64) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    move |value| {
        let Some(text) = value.as_str() else {
            return Err(format!("expected a size in quotes such as \"256MiB\", found {}", describe(value)));
        };
        let bytes = parse_size(text).map_err(|error| error.to_string())?;
        if bytes < min {
            return Err(format!(
                "\"{text}\" is too small; expected at least {}",
                crate::config::format_size(min)
            ));
        }
        Ok(bytes)
    }
}

/// A percentage such as `"5%"`.
pub(super) fn percent(value: &DeValue<'_>) -> Parsed<Percent> {
    let Some(text) = value.as_str() else {
        return Err(format!("expected a percentage in quotes such as \"5%\", found {}", describe(value)));
    };
    Percent::parse(text).map_err(|error| error.to_string())
}

/// A whole number from `min` to `max`: a count or a port, never a duration or a size.
pub(super) fn integer(min: i64, max: i64) -> impl Fn(&DeValue<'_>) -> Parsed<i64> {
    move |value| {
        let number = value.as_integer().and_then(|n| {
            let digits = n.as_str().replace('_', "");
            i64::from_str_radix(&digits, n.radix()).ok()
        });
        match number {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(format!("expected a whole number from {min} to {max}, found {}", describe(value))),
        }
    }
}

/// A network port.
pub(super) fn port(value: &DeValue<'_>) -> Parsed<u16> {
    integer(1, i64::from(u16::MAX))(value).map(|port| u16::try_from(port).unwrap_or(u16::MAX))
}

/// A finite number, not negative.
pub(super) fn magnitude(value: &DeValue<'_>) -> Parsed<f64> {
    let number = match value {
        DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
        DeValue::Integer(number) if number.radix() == 10 => {
            number.as_str().replace('_', "").parse::<f64>().ok()
        }
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("expected a number that is not negative, found {}", describe(value))),
    }
}

/// One word of several.
pub(super) fn choice<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Parsed<T> {
    move |value| {
        if let Some((_, chosen)) = words.iter().find(|(word, _)| value.as_str() == Some(word)) {
            return Ok(*chosen);
        }
        let names: Vec<&'static str> = words.iter().map(|(word, _)| *word).collect();
        let listed: Vec<String> = names.iter().map(|word| format!("\"{word}\"")).collect();
        let hint = match value.as_str() {
            Some(text) => format!("; did you mean \"{}\"?", nearest(text, &names)),
            None => String::new(),
        };
        Err(format!("expected {}, found {}{hint}", listed.join(" or "), describe(value)))
    }
}

/// An address to listen on: `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`.
pub(super) fn listen_address(value: &DeValue<'_>) -> Parsed<SocketAddr> {
    let text = text(value)?;
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    if let Some(port) = local {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        format!(
            "\"{}\" is no address to listen on; expected IP:PORT such as \"127.0.0.1:17669\"",
            text.escape_debug()
        )
    })
}

/// A `host` or `host:port` as Channel Access lists hold them.
pub(super) fn host(value: &DeValue<'_>) -> Parsed<String> {
    let text = text(value)?;
    let (host, port) = text.split_once(':').map_or((text.as_str(), None), |(host, port)| (host, Some(port)));
    let host_fits =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !host_fits || !port_fits {
        return Err(format!(
            "\"{}\" is no host; expected HOST or HOST:PORT, one a text",
            text.escape_debug()
        ));
    }
    Ok(text)
}

/// The address of a machine.
pub(super) fn address(value: &DeValue<'_>) -> Parsed<IpAddr> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        format!("\"{}\" is no IP address; expected something like \"10.0.0.7\"", text.escape_debug())
    })
}

/// The base address of an HTTP server.
pub(super) fn http_url(value: &DeValue<'_>) -> Parsed<String> {
    let text = text(value)?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty()
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#')
    {
        return Err(format!(
            "\"{}\" is no address of a server; expected something like \"http://arch07:17669\"",
            text.escape_debug()
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The base address of an HTTP server that is asked from here, which is done without encryption.
pub(super) fn asked_url(value: &DeValue<'_>) -> Parsed<String> {
    let url = http_url(value)?;
    if !url.starts_with("http://") {
        return Err(format!(
            "\"{url}\" is encrypted, and archives are asked over http:// only; give the address of the engine or server \
             itself in place of that of a proxy"
        ));
    }
    Ok(url)
}

/// What a browser calls an origin, or `*` for all.
pub(super) fn cors_origin(value: &DeValue<'_>) -> Parsed<String> {
    if value.as_str() == Some("*") {
        return Ok("*".to_owned());
    }
    let url = http_url(value)?;
    if url.splitn(4, '/').count() > 3 {
        return Err(format!(
            "\"{url}\" has a path; expected \"*\" or scheme and host such as \"https://panel.lab\""
        ));
    }
    Ok(url)
}
