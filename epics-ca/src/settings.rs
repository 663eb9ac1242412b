//! How libca finds servers.

use crate::error::Error;
use std::sync::{Mutex, PoisonError};

/// Search settings of Channel Access. What is `None` stays as the environment (`EPICS_CA_*`) has it.
///
/// libca takes them from the process's environment whenever a context is created. The first context of
/// a process writes them there, and later ones must agree: create it early in `main`, before the
/// program or a C library it uses starts threads that look at the environment. Another set of addresses
/// needs another process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContextSettings {
    /// Where to search, each `host[:port]`, broadcast addresses included.
    pub address_list: Option<Vec<String>>,
    /// Whether every network interface's broadcast address is searched as well.
    pub auto_address_list: Option<bool>,
    /// Name servers (CA gateways) to ask over TCP, each `host[:port]`.
    pub name_servers: Option<Vec<String>>,
    /// Port of servers where an address names none; EPICS' own default is 5064.
    pub server_port: Option<u16>,
    /// Port of the beacon repeater on this machine; EPICS' own default is 5065.
    pub repeater_port: Option<u16>,
}

static APPLIED: Mutex<Option<ContextSettings>> = Mutex::new(None);

impl ContextSettings {
    /// The `EPICS_CA_*` variables that these settings become.
    ///
    /// # Errors
    /// [`Error::Setting`] when an address is empty or holds a blank or a NUL, or a port is 0.
    pub fn variables(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut variables = Vec::new();
        let lists =
            [("EPICS_CA_ADDR_LIST", &self.address_list), ("EPICS_CA_NAME_SERVERS", &self.name_servers)];
        for (variable, list) in lists {
            let Some(list) = list else { continue };
            for address in list {
                if address.is_empty() || address.contains(|c: char| c.is_whitespace() || c == '\0') {
                    let what = format!("{address:?} is not an address; expected host or host:port");
                    return Err(Error::Setting { variable, what });
                }
            }
            variables.push((variable, list.join(" ")));
        }
        if let Some(auto) = self.auto_address_list {
            variables.push(("EPICS_CA_AUTO_ADDR_LIST", if auto { "YES" } else { "NO" }.into()));
        }
        let ports =
            [("EPICS_CA_SERVER_PORT", self.server_port), ("EPICS_CA_REPEATER_PORT", self.repeater_port)];
        for (variable, port) in ports {
            match port {
                Some(0) => return Err(Error::Setting { variable, what: "a port is 1 to 65535".into() }),
                Some(port) => variables.push((variable, port.to_string())),
                None => {}
            }
        }
        Ok(variables)
    }

    /// Applies them, then runs `create`, which makes libca read them; one thread at a time.
    pub(crate) fn applied<R>(&self, create: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        let variables = self.variables()?;
        let mut applied = APPLIED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*applied {
            Some(first) if first != self => return Err(Error::SettingsDiffer),
            Some(_) => {}
            None => {
                for (variable, value) in variables {
                    set_variable(variable, &value);
                }
                *applied = Some(self.clone());
            }
        }
        create()
    }
}

#[expect(unsafe_code, reason = "libca takes its settings from the environment and from nowhere else")]
fn set_variable(variable: &str, value: &str) {
    if std::env::var(variable).as_deref() != Ok(value) {
        // SAFETY: Rust code reads the environment under the standard library's lock, which set_var takes.
        // libca reads it in ca_context_create, which runs behind the lock held by the caller. The type's
        // documentation asks that no other C code reads it at the time of the first context.
        unsafe { std::env::set_var(variable, value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_variables() {
        let settings = ContextSettings {
            address_list: Some(vec!["10.0.0.255".into(), "ioc:5066".into()]),
            auto_address_list: Some(false),
            name_servers: Some(vec![]),
            server_port: Some(5066),
            repeater_port: None,
        };
        let expected = [
            ("EPICS_CA_ADDR_LIST", "10.0.0.255 ioc:5066"),
            ("EPICS_CA_NAME_SERVERS", ""),
            ("EPICS_CA_AUTO_ADDR_LIST", "NO"),
            ("EPICS_CA_SERVER_PORT", "5066"),
        ];
        assert_eq!(settings.variables().unwrap(), expected.map(|(k, v)| (k, v.to_owned())));
        assert_eq!(ContextSettings::default().variables().unwrap(), []);
    }

    #[test]
    fn an_address_with_a_blank_is_refused_by_name() {
        for address in ["", "a b", "a\0"] {
            let settings = ContextSettings { name_servers: Some(vec![address.into()]), ..Default::default() };
            let error = settings.variables().unwrap_err().to_string();
            assert!(error.starts_with("EPICS_CA_NAME_SERVERS: "), "{error}");
        }
        let settings = ContextSettings { repeater_port: Some(0), ..Default::default() };
        assert!(settings.variables().is_err());
    }
}
