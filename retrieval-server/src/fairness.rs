//! Who is answered when not all can be: clients share places and processors, not requests.

mod client;
mod places;
mod spare;
mod turns;

pub(crate) use client::Client;
pub(crate) use places::{Place, Places, Share};
pub(crate) use spare::SpareTurns;
pub(crate) use turns::{Turns, pass_on, rest};
