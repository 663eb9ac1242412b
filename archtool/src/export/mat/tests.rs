//! Bytes of variables, and what does not fit into one.

use super::described::array;
use super::level5::{Numbers, Variable, cells, compressed_tag, numbers, structures, text};
use crate::export::names::Names;
use crate::export::tests::{archive, empty, gathered, of_batches};
use crate::export::{Format, Part, mat};
use disk::SimDisk;
use sample::{Column, Sample, SampleBlock, Timestamp, Value};
use serde_json::json;
use std::io::{self, BufWriter, Read as _};
use std::path::Path;

/// An array's element: miMATRIX, flags with class, dimensions, no name, what it holds.
fn expected(class: u8, flags: u8, dimensions: [u8; 2], content: &[u8]) -> Vec<u8> {
    let head = [6, 0, 0, 0, 8, 0, 0, 0, class, flags, 0, 0, 0, 0, 0, 0];
    let [rows, columns] = dimensions;
    let shape = [5, 0, 0, 0, 8, 0, 0, 0, rows, 0, 0, 0, columns, 0, 0, 0];
    let name = [1, 0, 0, 0, 0, 0, 0, 0];
    let all = [&head[..], &shape, &name, content].concat();
    [&[14, 0, 0, 0, all.len() as u8, 0, 0, 0][..], &all].concat()
}

// As the elements that GNU Octave writes with `save -v6`.
#[test]
fn arrays_have_the_bytes_of_the_format() {
    let wide = [12, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    let content: Vec<u8> = [1_i64, 2].into_iter().flat_map(i64::to_le_bytes).collect();
    assert_eq!(numbers(Numbers::INT64, [2, 1], &content), expected(14, 0, [2, 1], &wide));
    // Up to four bytes stand in the tag.
    assert_eq!(numbers(Numbers::LOGICAL, [2, 1], &[1, 1]), expected(9, 2, [2, 1], &[2, 0, 2, 0, 1, 1, 0, 0]));
    assert_eq!(numbers(Numbers::DOUBLE, [0, 1], &[]), expected(6, 0, [0, 1], &[9, 0, 0, 0, 0, 0, 0, 0]));
    // UTF-16, padded to eight bytes.
    let off = [4, 0, 0, 0, 6, 0, 0, 0, b'o', 0, b'f', 0, b'f', 0, 0, 0];
    assert_eq!(text("off"), expected(4, 0, [1, 3], &off));
    assert_eq!(text("Ω"), expected(4, 0, [1, 1], &[4, 0, 2, 0, 0xa9, 0x03, 0, 0]));
    assert_eq!(text(""), expected(4, 0, [0, 0], &[4, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(cells([1, 1], &text("off")), expected(1, 0, [1, 1], &text("off")));
    let mut fields = vec![5, 0, 4, 0, 64, 0, 0, 0, 1, 0, 0, 0, 64, 0, 0, 0, b'a'];
    fields.resize(16 + 64, 0);
    fields.extend(text("off"));
    assert_eq!(structures([1, 1], &["a"], &text("off")), expected(2, 0, [1, 1], &fields));
    assert_eq!(compressed_tag(258), [15, 0, 0, 0, 2, 1, 0, 0]);
}

/// What a rehearsal and then a performance of `play` write.
fn performed(play: impl Fn(&mut Variable<'_>) -> io::Result<()>) -> Vec<u8> {
    let mut rehearsal = Variable::rehearsal();
    play(&mut rehearsal).unwrap();
    let bytes = rehearsal.bytes();
    let mut packed = Vec::new();
    let mut variable = Variable::after(rehearsal, &mut packed);
    play(&mut variable).unwrap();
    assert_eq!(variable.bytes(), bytes, "the rehearsal counts what is written");
    variable.finish().unwrap();
    let mut found = Vec::new();
    io::copy(&mut flate2::read::ZlibDecoder::new(packed.as_slice()), &mut found).unwrap();
    found
}

#[test]
fn a_variable_in_pieces_is_the_same_as_in_one() {
    let found = performed(|to| {
        to.structure("", &["numbers", "small", "cells"])?;
        to.numbers::<io::Error>(Numbers::UINT16, [3, 1], |to| {
            to.put(&[1, 0])?;
            to.put(&[2, 0, 3, 0])
        })?;
        to.numbers::<io::Error>(Numbers::UINT8, [3, 1], |to| to.put(&[1, 2, 3]))?;
        to.cells(2)?;
        to.put(&text("a"))?;
        to.put(&text("long enough"))?;
        to.end();
        to.end();
        Ok(())
    });
    let fields = [
        numbers(Numbers::UINT16, [3, 1], &[1, 0, 2, 0, 3, 0]),
        numbers(Numbers::UINT8, [3, 1], &[1, 2, 3]),
        cells([2, 1], &[text("a"), text("long enough")].concat()),
    ];
    assert_eq!(found, structures([1, 1], &["numbers", "small", "cells"], &fields.concat()));
}

#[test]
fn names_are_those_that_matlab_takes_and_differ() {
    let mut names = Names::default();
    let long = "A".repeat(70);
    let given =
        ["SR:PS1-I", "SR_PS1_I", "SR:PS1:I", "1st", "end", "_x", "µ", "", &long, &long, "x1st", "Ab", "ab"];
    let own: Vec<String> = given.iter().map(|name| names.take(name)).collect();
    let (full, cut) = ("A".repeat(63), format!("{}_2", "A".repeat(61)));
    let expected = [
        "SR_PS1_I",
        "SR_PS1_I_2",
        "SR_PS1_I_3",
        "x1st",
        "xend",
        "x_x",
        "x_",
        "x",
        &full,
        &cut,
        "x1st_2",
        "Ab",
        "ab",
    ];
    assert_eq!(own, expected);
}

#[test]
fn descriptions_become_what_the_client_makes_of_them() {
    assert_eq!(array("from_ns", &json!(5)), numbers(Numbers::INT64, [1, 1], &5_i64.to_le_bytes()));
    assert_eq!(array("precision", &json!(5)), numbers(Numbers::DOUBLE, [1, 1], &5_f64.to_le_bytes()));
    let states = cells([2, 1], &[text("off"), text("on")].concat());
    assert_eq!(array("states", &json!(["off", "on"])), states);
    let gaps = json!([{"from_ns": 1, "state": "paused"}, {"from_ns": 2, "state": "unknown"}]);
    let content = [array("from_ns", &json!(1)), text("paused"), array("from_ns", &json!(2)), text("unknown")];
    assert_eq!(array("gaps", &gaps), structures([2, 1], &["from_ns", "state"], &content.concat()));
    assert_eq!(array("gaps", &json!([])), numbers(Numbers::DOUBLE, [0, 0], &[]));
}

#[test]
fn a_variable_that_is_too_large_is_refused_with_the_way_out() {
    let (_folder, place) = archive();
    let disk = empty();
    let part = gathered(&disk, &place, Format::Mat);
    let refused = |most: u64| {
        let mut output = BufWriter::new(part.whole().unwrap());
        let limits = mat::Limits { variable_bytes: most, ..mat::LIMITS };
        mat::join_within(&part, &mut output, limits).err().map(|error| error.to_string())
    };
    assert_eq!(refused(1 << 20), None);
    let said = refused(5000).unwrap();
    for part_of_it in ["NUMBER", "at most 5000", "shorter range", "--format parquet"] {
        assert!(said.contains(part_of_it), "{said}");
    }
}

/// 40 waveforms of 7 elements, in batches of 9 and stretches of 2 batches.
fn waveforms(disk: &SimDisk) -> Part {
    let sample = |i: i16| {
        let wave = Column::Int16((0..7).map(|k| 10 * i + k).collect());
        Sample::new(Timestamp(i.into()), Value::Array(Box::new(wave)))
    };
    let mut batches = Vec::new();
    for some in (0..40_i16).collect::<Vec<_>>().chunks(9) {
        let mut block = SampleBlock::new(sample(0).run_type());
        assert!(some.iter().all(|i| block.push(&sample(*i))));
        batches.push((0, block));
    }
    let stretches: Vec<_> = batches.chunks(2).map(<[_]>::to_vec).collect();
    let channels = vec![json!({"name": "WAVE", "gaps": []})];
    of_batches(disk, "/out/wave.mat", Format::Mat, channels, &stretches)
}

#[test]
fn waveforms_stand_column_after_column_however_many_at_a_time() {
    let disk = empty();
    let part = waveforms(&disk);
    let columns: Vec<u8> =
        (0..7).flat_map(|k| (0..40_i16).flat_map(move |i| (10 * i + k).to_le_bytes())).collect();
    let expected = numbers(Numbers::INT16, [40, 7], &columns);
    // No column, one and a half, three, all.
    for columns_bytes in [0, 120, 240, 1 << 20] {
        let mut output = BufWriter::new(part.whole().unwrap());
        let limits = mat::Limits { columns_bytes, ..mat::LIMITS };
        mat::join_within(&part, &mut output, limits).unwrap();
        drop(output);
        let file = disk.content(Path::new("/out/wave.mat.part/whole")).unwrap();
        let mut variable = Vec::new();
        flate2::read::ZlibDecoder::new(&file[128 + 8..]).read_to_end(&mut variable).unwrap();
        assert!(variable.windows(expected.len()).any(|found| found == expected), "{columns_bytes}");
    }
}
