//! Installs libca with a C IOC into the checkout.

use crate::run::{Error, root, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python packages with their exact versions: libca, the IOC, a client to write with, what they need.
const PINS: [&str; 5] = [
    "epicscorelibs==7.0.10.99.0.2",
    "pvxslibs==1.5.3",
    "setuptools_dso==2.12.4",
    "aioca==2.1",
    "numpy==2.4.6",
];

const NEEDS_PYTHON: &str = "It needs python3 (3.11 or later) with venv: `apt-get install python3 python3-venv`, \
                            or its like, or name another one in PYTHON";
const NEEDS_INDEX: &str =
    "It needs a Python package index; pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS) apply";

/// Where the installation lies.
pub(crate) struct Epics {
    libca: PathBuf,
    python: PathBuf,
}

impl Epics {
    /// Lets a program find it: `VARVE_LIBCA`, `VARVE_IOC_PYTHON`. What the caller has set stays.
    pub(crate) fn tell(&self, command: &mut Command) {
        for (variable, path) in [("VARVE_LIBCA", &self.libca), ("VARVE_IOC_PYTHON", &self.python)] {
            if std::env::var_os(variable).is_none() {
                command.env(variable, path);
            }
        }
    }
}

/// Installs what is missing; quick when nothing is.
pub(crate) fn install() -> Result<Epics, Error> {
    let folder = root().join(".epics");
    let arch = format!("linux-{}", std::env::consts::ARCH);
    let python = folder.join("venv/bin/python");
    let libca = folder.join("base/lib").join(&arch).join("libca.so");
    let stamp = folder.join("installed");
    let pins = PINS.join("\n");
    let installed = fs::read_to_string(&stamp).is_ok_and(|text| text == pins);
    if !(installed && python.is_file() && libca.is_file()) {
        eprintln!("xtask: installing libca and a C IOC into {}", folder.display());
        let system_python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        run(Command::new(system_python).args(["-m", "venv"]).arg(folder.join("venv")), NEEDS_PYTHON)?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(PINS), NEEDS_INDEX)?;
        link_base(&folder, &python, &arch)?;
        if !libca.is_file() {
            return Err(Error::Missing { path: libca, advice: "Remove .epics and try again" });
        }
        fs::write(&stamp, pins).map_err(|source| Error::File { op: "write", path: stamp, source })?;
    }
    Ok(Epics { libca, python })
}

/// Gives the Python package the folders of an EPICS Base: `.epics/base/lib/ARCH`.
fn link_base(folder: &Path, python: &Path, arch: &str) -> Result<(), Error> {
    let ask = "import epicscorelibs.path as p; print(p.lib_path)";
    let mut command = Command::new(python);
    let output = command.args(["-c", ask]).output();
    let output =
        output.map_err(|source| Error::Start { program: "python".into(), advice: NEEDS_PYTHON, source })?;
    if !output.status.success() {
        let program = format!("{} -c '{ask}'", python.display());
        return Err(Error::Failed { program, advice: "Remove .epics and try again", status: output.status });
    }
    let lib = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let folder = folder.join("base/lib");
    fs::create_dir_all(&folder).map_err(|source| Error::File {
        op: "create",
        path: folder.clone(),
        source,
    })?;
    let link = folder.join(arch);
    if let Err(source) = fs::remove_file(&link)
        && source.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::File { op: "replace", path: link, source });
    }
    std::os::unix::fs::symlink(lib, &link).map_err(|source| Error::File { op: "create", path: link, source })
}
