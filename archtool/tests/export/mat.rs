//! MAT-files, read by GNU Octave.

use crate::every_type;
use crate::{DAY, done, gauges, to};
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

const RANGE: [&str; 4] = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];

/// Runs a script that lies in `folder`, with +varve at hand.
fn octave(folder: &Path, script: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let clients = root.join("clients/matlab");
    let all = format!("addpath('{}');\n{script}\ndisp('all is well');\n", clients.display());
    let file = folder.join("script.m");
    std::fs::write(&file, all).unwrap();
    let output = Command::new("octave-cli").args(["--no-gui", "--norc"]).arg(&file).output();
    let output = output.expect("octave-cli is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(said.ends_with("all is well\n"), "{said}{err}");
}

#[test]
#[ignore = "needs octave: cargo xtask test"]
fn octave_finds_in_a_file_what_the_server_answers() {
    let (folder, running, _) = every_type::engine();
    let url = format!("http://{}", running.address());
    let file = folder.path().join("all.mat");
    let out = file.to_str().unwrap();
    let names = every_type::names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for group_rows in ["5", "1000"] {
        let words = [&["export", url.as_str()], &names[..], &RANGE, &to(out, "mat")].concat();
        done(&[&words[..], &["--group-rows", group_rows, "--force"]].concat());
        let script = format!(
            r"out = '{out}'; url = '{url}'; asked = {{'{}'}};
            file = load(out);
            names = fieldnames(file);
            s = varve.samples(url, asked, '2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z');
            assert(numel(names), numel(asked));
            for n = 1:numel(names)
              f = file.(names{{n}});
              for field = {{'name', 'channel', 'type', 'time_ns', 'value', 'severity', 'status', 'states', ...
                            'label', 'units', 'metadata', 'segments', 'range'}}
                found = f.(field{{1}});
                expected = s(n).(field{{1}});
                if ~isequaln(found, expected) || ~strcmp(class(found), class(expected)) || ...
                   ~isequal(size(found), size(expected))
                  found, expected, error('%s of %s', field{{1}}, f.name);
                end
              end
              assert(all(abs((f.datenum - 719529) * 86400 - double(f.time_ns) / 1e9) < 1e-4));
              assert(size(f.datenum), size(f.time_ns));
              assert({{f.gaps.state}}, {{s(n).gaps.state}}); % the last ones move with the engine's clock
              assert(f.gaps(1), s(n).gaps(1));
            end
            assert(class(file.enum.gaps(1).from_ns), 'int64');
            assert(size(file.long_wave.value), [12, 3]);
            assert(size(file.nothing.time_ns), [0, 1]);
            assert(file.enum.label(1:3), {{'off'; 'on'; '2'}});",
            names.join("','")
        );
        octave(folder.path(), &script);
    }
}

#[test]
#[ignore = "needs octave: cargo xtask test"]
fn octave_reads_many_stretches_of_a_day() {
    let (folder, archive) = gauges();
    let file = folder.path().join("day.mat");
    let out = file.to_str().unwrap();
    done(&[&["export", &archive, "*"], &DAY[..], &to(out, "mat"), &["--group-rows", "3000"]].concat());
    let csv = done(&[&["get", &archive, "SR01C-VA-GAUGE-000000:P"], &DAY[..], &["--format", "csv"]].concat());
    let lines: Vec<String> = String::from_utf8(csv).unwrap().lines().skip(1).map(str::to_owned).collect();
    let values: Vec<&str> = lines.iter().map(|line| line.split(',').nth(2).unwrap()).collect();
    let script = format!(
        r"file = load('{out}');
        assert(numel(fieldnames(file)), 5);
        assert(file.SR01C_VA_GAUGE_000000_P.value, [{}]);
        assert(file.SR01C_VA_GAUGE_000000_P.name, 'SR01C-VA-GAUGE-000000:P');",
        values.join(";")
    );
    octave(folder.path(), &script);
}

/// The variables of a file without their compression.
pub(crate) fn inflated(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let mut rest = &bytes[128..];
    let mut variables = Vec::new();
    while let Some((tag, behind)) = rest.split_first_chunk::<8>() {
        assert_eq!(tag[..4], [15, 0, 0, 0]);
        let (packed, next) = behind.split_at(u32::from_le_bytes([tag[4], tag[5], tag[6], tag[7]]) as usize);
        let mut variable = Vec::new();
        flate2::read::ZlibDecoder::new(packed).read_to_end(&mut variable).unwrap();
        variables.push(variable);
        rest = next;
    }
    variables
}

#[test]
fn the_kind_of_file_is_known_by_its_first_bytes() {
    let (folder, archive) = gauges();
    let file = folder.path().join("day.mat");
    done(&[&["export", &archive, "*"], &DAY[..], &to(file.to_str().unwrap(), "mat")].concat());
    assert_eq!(inflated(&file).len(), 5);
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"MATLAB 5.0 MAT-file") && bytes[124..128] == [0, 1, b'I', b'M']);
}
