//! Where a libca may lie, in the order in which the places are tried.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names under which the system's loader may know it: a site's link, then sonames of EPICS 7 packages.
const SYSTEM_NAMES: [&str; 3] = ["libca.so", "libca.so.4.14", "libca.so.4.13.5"];

/// Everything that decides where libca is looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LibraryPlaces {
    /// From the configuration file; nothing else is tried.
    pub configured: Option<PathBuf>,
    /// `VARVE_LIBCA`; nothing else is tried.
    pub varve_libca: Option<PathBuf>,
    /// `EPICS_BASE`
    pub epics_base: Option<PathBuf>,
    /// `EPICS_HOST_ARCH`; else `linux-` and the processor.
    pub host_arch: Option<OsString>,
    /// The running program's file.
    pub program: Option<PathBuf>,
}

impl LibraryPlaces {
    /// As this process finds them. `configured` comes from the configuration file.
    pub fn of_this_process(configured: Option<PathBuf>) -> LibraryPlaces {
        let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        LibraryPlaces {
            configured,
            varve_libca: variable("VARVE_LIBCA").map(PathBuf::from),
            epics_base: variable("EPICS_BASE").map(PathBuf::from),
            host_arch: variable("EPICS_HOST_ARCH"),
            program: std::env::current_exe().ok(),
        }
    }

    /// The places in order. A place somebody named outright stands alone: if it is wrong, that is an
    /// error and no reason to take another library.
    pub fn candidates(&self) -> Vec<PathBuf> {
        if let Some(path) = self.configured.as_ref().or(self.varve_libca.as_ref()) {
            return vec![path.clone()];
        }
        let arch =
            self.host_arch.clone().unwrap_or_else(|| format!("linux-{}", std::env::consts::ARCH).into());
        let in_base = |base: &Path| base.join("lib").join(&arch).join("libca.so");
        let mut places: Vec<PathBuf> = self.epics_base.iter().map(|base| in_base(base)).collect();
        let folder = self.program.as_deref().and_then(Path::parent);
        places.extend(folder.and_then(Path::parent).map(|above| above.join("lib/libca.so")));
        for above in folder.into_iter().flat_map(Path::ancestors) {
            let base = above.join(".epics/base");
            if base.is_dir() {
                places.push(in_base(&base));
                break;
            }
        }
        places.extend(SYSTEM_NAMES.map(PathBuf::from));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_library_stands_alone() {
        let places = LibraryPlaces {
            configured: Some("/a/libca.so".into()),
            varve_libca: Some("/b/libca.so".into()),
            epics_base: Some("/base".into()),
            ..LibraryPlaces::default()
        };
        assert_eq!(places.candidates(), [Path::new("/a/libca.so")]);
        let places = LibraryPlaces { configured: None, ..places };
        assert_eq!(places.candidates(), [Path::new("/b/libca.so")]);
    }

    #[test]
    fn base_then_program_then_checkout_then_system() {
        let checkout = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(checkout.path().join(".epics/base")).unwrap();
        let places = LibraryPlaces {
            epics_base: Some("/base".into()),
            host_arch: Some("linux-arm".into()),
            program: Some(checkout.path().join("target/debug/archtool")),
            ..LibraryPlaces::default()
        };
        let expected = [
            PathBuf::from("/base/lib/linux-arm/libca.so"),
            checkout.path().join("target/lib/libca.so"),
            checkout.path().join(".epics/base/lib/linux-arm/libca.so"),
            "libca.so".into(),
            "libca.so.4.14".into(),
            "libca.so.4.13.5".into(),
        ];
        assert_eq!(places.candidates(), expected);
    }

    #[test]
    fn without_anything_the_system_is_asked() {
        assert_eq!(LibraryPlaces::default().candidates(), SYSTEM_NAMES.map(PathBuf::from));
    }
}
