//! Questions to an engine or server over kept connections.

use crate::Failure;
use retrieval_server::columns::{Batch, decode};
use serde_json::Value;
use std::io::Read;
use std::time::Duration;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(300);

/// One client; each thread has its own.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    /// A client of the server at `url`.
    pub(crate) fn new(url: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A limit of the whole call would have the name looked up in a thread of its own each time.
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_recv_body(Some(TIMEOUT))
            .proxy(None)
            .build()
            .new_agent();
        Client { agent, url: url.to_owned() }
    }

    /// The body of an answer with status 200.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let url = format!("{}{path}", self.url);
        let answer = self.agent.get(&url).call()?;
        let status = answer.status();
        let mut body = Vec::new();
        answer.into_body().into_reader().read_to_end(&mut body)?;
        if status != 200 {
            return Err(format!("{url}: {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }

    /// A JSON answer.
    pub(crate) fn json(&self, path: &str) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&self.bytes(path)?)?)
    }

    /// Samples of a complete answer.
    pub(crate) fn samples(&self, query: &str) -> Result<Vec<Batch>, Failure> {
        let body = self.bytes(&format!("/api/v1/samples?format=columns&{query}"))?;
        let (batches, end) = decode(&body)?;
        if !end.complete {
            return Err(format!("{query}: the answer is incomplete: {}", end.json["problems"]).into());
        }
        Ok(batches)
    }

    /// `/api/v1/status`.
    pub(crate) fn status(&self) -> Result<Value, Failure> {
        self.json("/api/v1/status")
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<u64, Failure> {
        let text = String::from_utf8(self.bytes("/metrics")?)?;
        Ok(metric(&text, name))
    }

    /// Received, stored, redelivered, dropped of the whole engine at one moment.
    pub(crate) fn totals(&self) -> Result<[u64; 4], Failure> {
        let text = String::from_utf8(self.bytes("/metrics")?)?;
        let of = |what: &str| metric(&text, &format!("varve_samples_{what}_total"));
        Ok([of("received"), of("stored"), of("redelivered"), of("dropped")])
    }

    /// Received, stored, redelivered, dropped of one channel at one moment.
    pub(crate) fn ledger(&self, channel: &str) -> Result<[u64; 4], Failure> {
        let row = self.json(&format!("/api/v1/channel?channel={channel}"))?;
        let count = |key: &str| row[key].as_u64().ok_or_else(|| format!("{channel}: no {key}: {row}"));
        let dropped = row["dropped"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        Ok([count("received")?, count("stored")?, count("redelivered")?, dropped])
    }
}

/// Whether received = stored + redelivered + dropped.
pub(crate) fn balanced(ledger: [u64; 4]) -> bool {
    let [received, stored, redelivered, dropped] = ledger;
    received == stored + redelivered + dropped
}

fn metric(text: &str, name: &str) -> u64 {
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let found = series.split('{').next()? == name;
        if found { value.parse::<f64>().ok() } else { None }
    });
    values.sum::<f64>() as u64
}
