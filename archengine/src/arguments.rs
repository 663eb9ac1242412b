//! What the command line may say.

use clap::{ArgGroup, Parser};
use disk::RealDisk;
use engine::config::{Config, ConfigErrors, ENGINE_PORT};
use std::path::PathBuf;

/// Archives channels of a control system, answers questions about them over HTTP
#[derive(Debug, Parser)]
#[command(
    name = "archengine",
    version,
    after_help = "SIGHUP reads the configuration again; SIGTERM and SIGINT stop within 10 seconds.\n\
                  Exit codes: 0 stopped when told to, 1 failed, 2 wrong usage or invalid configuration."
)]
#[command(group = ArgGroup::new("what").required(true).args(["config", "dir", "print_config"]))]
pub(crate) struct Arguments {
    /// Configuration file (docs/configuration.md)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a configuration file: where the archive lies, made if missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Channels to archive
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "dir", conflicts_with = "config")]
    channel: Vec<String>,
    /// List of channels to archive, one name a line
    #[arg(long, value_name = "FILE", requires = "dir", conflicts_with = "config")]
    channels: Vec<PathBuf>,
    /// Port of the HTTP server on 127.0.0.1 [default: 17669]
    #[arg(long, value_name = "N", requires = "dir", conflicts_with = "config", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Check the configuration, print what would be done, exit
    #[arg(long)]
    pub(crate) check: bool,
    /// Print a commented configuration with every default
    #[arg(long, exclusive = true)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) log: logging::LogOptions,
}

impl Arguments {
    /// The configuration that they mean; called again on a reload.
    pub(crate) fn configuration(&self) -> Result<Config, ConfigErrors> {
        if let Some(path) = &self.config {
            return Config::load(&RealDisk, path);
        }
        let directory = self.dir.clone().unwrap_or_default();
        let mut config = Config::without_file(&RealDisk, directory, &self.channel, &self.channels)?;
        config.http.listen.set_port(self.port.unwrap_or(ENGINE_PORT));
        Ok(config)
    }

    /// Where the configuration stands.
    pub(crate) fn source(&self) -> String {
        self.config.as_ref().map_or_else(|| "the command line".to_owned(), |path| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_file_or_a_directory_says_what_to_do() {
        let parse = |words: &[&str]| Arguments::try_parse_from([&["archengine"], words].concat());
        for words in [
            &[][..],
            &["--config", "a", "--dir", "b"],
            &["--config", "a", "--channel", "X"],
            &["--port", "1"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        let arguments = parse(&["--dir", "d", "--channel", "A", "B", "--port", "1234"]).unwrap();
        let config = arguments.configuration().unwrap();
        assert_eq!(config.channels.len(), 2);
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:1234");
        assert_eq!(config.archive.directory, PathBuf::from("d"));
    }
}
