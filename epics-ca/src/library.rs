//! A libca that was found and opened.

use crate::api::{self, Api, OpenError};
use crate::error::Error;
use crate::lookup::LibraryPlaces;
use std::path::{Path, PathBuf};

/// An open libca. It stays open until the process ends, whatever becomes of this handle.
#[derive(Clone, Debug)]
pub struct Library {
    api: Api,
    path: PathBuf,
}

impl Library {
    /// Opens the first libca among [`LibraryPlaces::candidates`].
    ///
    /// # Errors
    /// [`Error::NoLibrary`] when none can be opened, [`Error::Library`] when the first that can is not
    /// a libca of EPICS 7.
    pub fn open(places: &LibraryPlaces) -> Result<Library, Error> {
        let mut tried = Vec::new();
        for place in places.candidates() {
            match api::open(&place) {
                Ok((api, path)) => return Ok(Library { api, path }),
                Err(OpenError::NotOpened(reason)) => tried.push((place, reason)),
                Err(OpenError::NotLibca(what)) => return Err(Error::Library { path: place, what }),
            }
        }
        Err(Error::NoLibrary { tried })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `ca_version()` says, such as `CA Client Library 4.14, 7.0.10 ..`.
    pub fn version(&self) -> String {
        self.api.version()
    }

    /// libca's words for an `ECA_*` status.
    pub fn status_text(&self, status: i32) -> String {
        self.api.message(status.into())
    }

    /// The C functions.
    pub fn api(&self) -> &Api {
        &self.api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Error {
        let places = LibraryPlaces { configured: Some(path.into()), ..LibraryPlaces::default() };
        Library::open(&places).unwrap_err()
    }

    #[test]
    fn the_error_names_every_place_with_its_reason() {
        let error = open(Path::new("/nowhere/libca.so")).to_string();
        assert!(error.contains("/nowhere/libca.so: "), "{error}");
        assert!(error.contains("No such file"), "{error}");
        assert!(error.contains("cargo xtask epics") && error.contains("VARVE_LIBCA"), "{error}");
    }

    #[test]
    fn a_library_that_is_no_libca_says_what_it_lacks() {
        let error = open(Path::new("libc.so.6"));
        assert!(
            matches!(&error, Error::Library { what, .. } if what.contains("ca_context_create")),
            "{error}"
        );
        let text = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(open(text.path()), Error::NoLibrary { .. }));
    }
}
