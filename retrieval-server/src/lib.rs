//! Retrieval over archives: HTTP for people and programs, over [`engine::read::Reader`] alone.
//!
//! [`router`] is the HTTP interface, [`serve`] runs it on a listener; [`answer`] answers the same requests
//! without HTTP. [`columns`] is the binary format with its reference decoder. Nothing here can write.
//!
//! PROTOCOL.md beside this crate is the description for those who write clients.

mod answer;
pub mod archives;
mod bin_fold;
mod bin_table;
mod blocks;
pub mod columns;
mod condition;
mod cursor;
mod error;
mod fairness;
mod follow;
mod json;
pub mod limits;
mod memory;
mod metrics;
mod names;
mod negotiate;
mod noted;
mod openapi;
mod opening;
mod output;
mod page;
mod parameters;
mod pattern;
mod pieces;
mod program;
mod query;
mod render;
mod routes;
mod segments;
mod selection;
mod sendfile;
mod serve;
mod server;
mod settings;
mod short;
mod stream;
mod table;
pub mod tail;
mod time;
mod transform;
mod undecoded;
mod validator;
mod width;

pub use answer::answer;
pub use error::{ApiError, Code};
pub use openapi::document as openapi_document;
pub use opening::Opening;
pub use output::{Head, Output, Plain, Stopped};
pub use parameters::{Pairs, from_body, from_query};
pub use pattern::Pattern;
pub use program::main;
pub use render::{ARROW_METADATA_KEY, ArrowRows, CsvRows};
pub use routes::{Kind, Parameter, ROUTES, Request, Route};
pub use serve::{listen, serve};
pub use server::{ServerState, router};
pub use settings::HttpSettings;
pub use time::{IsoWriter, TimeContext, TimeError, parse as parse_time};
pub use validator::Validator;
