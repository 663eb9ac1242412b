//! `format=chunks`: what a client decodes is what it would have been sent as columns.

mod archive;

use crate::ask::ask;
use crate::http::Server;
use crate::memory::{Channel, Memory};
use crate::search::Random;
use archive::{END, NAMES, START, Stored};
use retrieval_server::ServerState;
use retrieval_server::columns::{self, Batch, DecodeError};
use sample::{Sample, Timestamp, Value};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The blocks of a stream: kind, and where each lies.
fn blocks(bytes: &[u8]) -> Vec<(u32, std::ops::Range<usize>)> {
    let mut at = columns::STREAM_HEAD_BYTES;
    let mut found = Vec::new();
    while at < bytes.len() {
        let kind = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let len = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
        found.push((kind, at..at + len));
        at += len;
    }
    found
}

fn count(bytes: &[u8], kind: u32) -> usize {
    blocks(bytes).iter().filter(|(of, _)| *of == kind).count()
}

/// Neighbouring batches of one description joined: where answers are cut is no part of them.
fn joined(batches: Vec<Batch>) -> Vec<Batch> {
    let mut out: Vec<Batch> = Vec::new();
    for mut batch in batches {
        // Where there are chunks there is no such column.
        batch.edge = vec![batch.edge.first() == Some(&true)];
        let like = |last: &Batch| {
            (last.channel_index, &last.name, &last.json, &last.block.run, &last.edge)
                == (batch.channel_index, &batch.name, &batch.json, &batch.block.run, &batch.edge)
        };
        match out.last_mut().filter(|last| like(last)) {
            Some(last) => last.block.append(&batch.block, 0, batch.block.len()),
            None => out.push(batch),
        }
    }
    for batch in &mut out {
        // The format has no ranks.
        batch.block.rank.fill(0);
    }
    out
}

/// Asks for both and compares; gives the answer with chunks.
fn compare(state: &ServerState, query: &str) -> Vec<u8> {
    let plain = ask(state, "/api/v1/samples", &format!("{query}&format=columns")).bytes;
    let stored = ask(state, "/api/v1/samples", &format!("{query}&format=chunks"));
    assert_eq!(stored.head.media_type, "application/vnd.varve.chunks");
    let (expected, end) = columns::decode(&plain).unwrap();
    let (found, other) = columns::decode(&stored.bytes).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert_eq!(other, end, "{query}");
    let (expected, found) = (joined(expected), joined(found));
    let sizes = |batches: &[Batch]| batches.iter().map(|b| b.block.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&found), sizes(&expected), "{query}");
    // Compared as text, in which every NaN is one.
    assert!(format!("{found:?}") == format!("{expected:?}"), "{query}");
    stored.bytes
}

fn ranges(random: &mut Random) -> (i64, i64) {
    let mut ends = [0; 2].map(|_| START + random.below((END - START) as usize) as i64);
    ends.sort_unstable();
    match random.below(4) {
        0 => (START - 10, END + 10),
        1 => (ends[0], ends[0] + 3_600_000_000_000),
        _ => (ends[0], ends[1]),
    }
}

#[test]
fn an_answer_with_chunks_is_the_answer_with_columns() {
    let mut kinds: BTreeMap<u32, usize> = BTreeMap::new();
    for seed in 0..6 {
        let mut random = Random(seed);
        let stored = Stored::filled(&mut random, seed, 2500);
        let state = stored.state();
        for _ in 0..25 {
            let (from, to) = ranges(&mut random);
            let mut query = format!("from_ns={from}&to_ns={to}");
            for _ in 0..=random.below(3) {
                query += &format!("&channel={}", random.of(&NAMES));
            }
            let extras = [
                "",
                "",
                "",
                "&edge=true&after=true",
                "&limit=1500",
                "&limit=700&edge=true",
                "&order=desc",
                "&damaged=skip",
                "&as=float64",
                "&enum=label",
                "&where=severity(F)%20%3C%20MAJOR",
            ];
            query += extras[random.below(extras.len())];
            for (kind, _) in blocks(&compare(&state, &query)) {
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    // Plain batches, ends, chunks and lenders were all met.
    assert!([1, 2, 6, 7].iter().all(|kind| kinds.get(kind).is_some_and(|count| *count > 5)), "{kinds:?}");
}

#[test]
fn archives_that_share_channels_answer_as_with_columns() {
    let mut random = Random(11);
    let [early, late] = [2, 5].map(|seed| Stored::filled(&mut random, seed, 900));
    let steady = Stored::steady();
    let mut chunks = 0;
    for archives in [[&early, &late], [&steady, &early], [&late, &steady]] {
        let state = Stored::state_of(&archives);
        for _ in 0..10 {
            let (from, to) = ranges(&mut random);
            let query = format!("channel=G&channel=T&channel=M&from_ns={from}&to_ns={to}");
            chunks += count(&compare(&state, &query), columns::KIND_CHUNKS);
        }
    }
    assert!(chunks > 5, "{chunks}");
}

#[test]
fn pages_of_chunks_fill_the_range_exactly() {
    let mut random = Random(99);
    let stored = Stored::filled(&mut random, 99, 2500);
    let state = stored.state();
    let range = format!("channel=F&from_ns={START}&to_ns={END}");
    let whole = joined(columns::decode(&compare(&state, &range)).unwrap().0);
    let mut parts = Vec::new();
    let mut cursor = String::new();
    loop {
        let bytes = compare(&state, &format!("{range}&limit=3333{cursor}"));
        let (batches, end) = columns::decode(&bytes).unwrap();
        parts.extend(batches);
        match end.json["channels"][0]["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(format!("{:?}", joined(parts)), format!("{whole:?}"));
}

#[test]
fn what_is_sealed_goes_undecoded_but_for_the_ends_of_the_range() {
    let stored = Stored::steady();
    let state = stored.state();
    let bytes = compare(&state, &format!("channel=F&channel=G&from_ns={}&to_ns={}", START + 1, END));
    let samples = |kind: u32| {
        let of = |(found, at): &(u32, std::ops::Range<usize>)| {
            let count = u64::from_le_bytes(bytes[at.start + 16..at.start + 24].try_into().unwrap());
            if *found == kind { count } else { 0 }
        };
        blocks(&bytes).iter().map(of).sum::<u64>()
    };
    let (plain, chunks) = (samples(columns::KIND_BATCH), samples(columns::KIND_CHUNKS));
    // The first chunk of each channel is cut by the range.
    assert!(plain <= 2 * 8192 && chunks > 4 * plain, "{plain} plain, {chunks} in chunks");
    // Stamps that both have are sent once for all of a block.
    assert!((1..=3).contains(&count(&bytes, columns::KIND_LENDERS)));
    let explained = crate::ask::json(
        &state,
        "/api/v1/samples",
        &format!("channel=F&from_ns={START}&to_ns={END}&format=chunks&explain=true"),
    );
    let (samples, loaded) = (&explained["read"]["samples"], &explained["read"]["loaded"]);
    assert!(samples.as_u64() == Some(0) && loaded.as_u64() > Some(3), "{explained}");
}

#[test]
fn memory_and_archives_without_chunks_answer_with_batches() {
    let samples: Vec<Sample> = (0..100).map(|i| Sample::new(Timestamp(i), Value::Int64(i))).collect();
    let channel = Channel { samples, damaged: Some(15), ..Channel::default() };
    let state = Memory::of([("X", channel)]).state();
    let bytes = compare(&state, "channel=X&from_ns=0&to_ns=70");
    assert_eq!(count(&bytes, columns::KIND_CHUNKS), 0);
    // Damage ends it as it ends the other.
    let damaged = compare(&state, "channel=X&from_ns=0&to_ns=100");
    assert!(!columns::decode(&damaged).unwrap().1.complete);
}

#[test]
fn the_server_holds_little_of_a_long_answer() {
    struct Nowhere(usize);
    impl retrieval_server::Output for Nowhere {
        fn head(&mut self, _head: &retrieval_server::Head) -> std::io::Result<()> {
            Ok(())
        }
        fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            self.0 += bytes.len();
            Ok(())
        }
        fn listens(&mut self, _pending: usize) -> bool {
            true
        }
    }
    let stored = Stored::steady();
    let state = stored.state();
    let pairs = retrieval_server::from_query(&format!(
        "channel=F&channel=G&channel=N&from_ns={START}&to_ns={END}&format=chunks"
    ))
    .unwrap();
    let mut sent = Nowhere(0);
    let used = allocation_counter::measure(|| {
        retrieval_server::answer(&state, "/api/v1/samples", &pairs, &mut sent).unwrap();
    });
    // A window of the file, what is being rendered, indexes; the answer has more.
    assert!(used.bytes_max < 2 << 20, "{} bytes for an answer of {}", used.bytes_max, sent.0);
}

/// Where the stored chunks of a stream are, which its checksum does not cover.
fn unsummed(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let mut places = Vec::new();
    for (_, at) in blocks(bytes).into_iter().filter(|(kind, _)| *kind >= columns::KIND_CHUNKS) {
        // The second of two columns.
        let entry = at.start + columns::BLOCK_HEAD_BYTES + columns::COLUMN_ENTRY_BYTES;
        let start = at.start + number(entry + 8);
        places.push(start..start + number(entry + 16));
    }
    places
}

/// With the checksum at the end made to fit what was changed before it; `unsummed` as it was before.
fn resealed(mut bytes: Vec<u8>, unsummed: &[std::ops::Range<usize>]) -> Vec<u8> {
    let (mut checksum, mut from) = (crc32fast::Hasher::new(), 0);
    for place in unsummed {
        checksum.update(&bytes[from..place.start]);
        from = place.end;
    }
    let at = bytes.len() - 8;
    checksum.update(&bytes[from..at]);
    bytes[at..].copy_from_slice(&u64::from(checksum.finalize()).to_le_bytes());
    bytes
}

#[test]
fn changed_chunks_are_errors_and_do_no_harm() {
    let mut random = Random(7);
    let stored = Stored::filled(&mut random, 7, 2500);
    let state = stored.state();
    let query = format!("channel=G&channel=T&channel=A&from_ns={START}&to_ns={END}");
    let bytes = compare(&state, &query);
    let expected = format!("{:?}", joined(columns::decode(&bytes).unwrap().0));
    let chunks: Vec<_> = blocks(&bytes).into_iter().filter(|(kind, _)| *kind >= 6).collect();
    assert!(chunks.len() > 3);
    let unsummed = unsummed(&bytes);
    assert!(resealed(bytes.clone(), &unsummed) == bytes);
    let (mut refused, mut same) = (0, 0);
    for round in 0..1500 {
        let (_, at) = random.of(&chunks).clone();
        let mut changed = bytes.clone();
        let place = at.start + 16 + random.below(at.len() - 16);
        match round % 3 {
            0 => changed[place] ^= 1 << random.below(8),
            1 => {
                let end = (place + 8).min(at.end);
                let number = *random.of(&[0u64, 1, 8192, 1 << 32, u64::MAX]);
                changed[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
            }
            _ => {
                // Cut inside a block.
                assert!(columns::decode(&changed[..place]).is_err(), "cut at {place}");
                continue;
            }
        }
        let changed = resealed(changed, &unsummed);
        let mut outcome = None;
        let used = allocation_counter::measure(|| outcome = Some(columns::decode(&changed)));
        assert!(used.bytes_max < 256 << 20, "{} bytes", used.bytes_max);
        match outcome.unwrap() {
            Err(DecodeError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
            // Names, descriptions, what lies between chunks.
            Ok((batches, _)) => same += usize::from(format!("{:?}", joined(batches)) == expected),
        }
    }
    assert!(refused > 500 && same > 0, "{refused} refused, {same} the same");
}

/// The same answer as chunks and as columns, for tests of clients in other languages.
const STREAMS: [(&str, &str); 2] = [("chunks", "chunks.stream.gz"), ("columns", "columns.stream.gz")];
const STREAMS_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/python/tests/data");

#[test]
fn the_streams_for_clients_hold_the_same() {
    let [stored, plain] = STREAMS.map(|(_, file)| {
        let file = std::fs::File::open(Path::new(STREAMS_FOLDER).join(file)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert!([1, 2, 6, 7].iter().all(|kind| count(&stored, *kind) > 0));
    let [stored, plain] = [stored, plain].map(|bytes| joined(columns::decode(&bytes).unwrap().0));
    assert_eq!(format!("{stored:?}"), format!("{plain:?}"));
}

#[test]
#[ignore = "writes files of the repository"]
fn streams_for_clients_are_written() {
    let stored = Stored::filled(&mut Random(2), 2, 400);
    let state = stored.state();
    let names: String = NAMES.iter().map(|name| format!("channel={name}&")).collect();
    for (format, file) in STREAMS {
        let query = format!("{names}from_ns={START}&to_ns={END}&format={format}");
        let bytes = ask(&state, "/api/v1/samples", &query).bytes;
        std::fs::create_dir_all(STREAMS_FOLDER).unwrap();
        let file = std::fs::File::create(Path::new(STREAMS_FOLDER).join(file)).unwrap();
        let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        out.write_all(&bytes).unwrap();
        out.finish().unwrap();
    }
}

/// What a client got over HTTP/2.
fn over_http2(server: &Server, path: &str) -> Vec<u8> {
    server.runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (io, executor) = (hyper_util::rt::TokioIo::new(stream), hyper_util::rt::TokioExecutor::new());
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get(server.url(path)).body(String::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        axum::body::to_bytes(axum::body::Body::new(response.into_body()), 1 << 30).await.unwrap().to_vec()
    })
}

#[test]
fn chunks_go_from_the_files_to_whoever_asks() {
    let directory = tempfile::tempdir().unwrap();
    let stored = Stored::steady_in(directory.path());
    let server = Server::over(stored.state());
    let names: String = NAMES.iter().map(|name| format!("channel={name}&")).collect();
    let path = |format: &str| format!("/api/v1/samples?{names}from_ns={START}&to_ns={END}&format={format}");
    let read = |path: &str, headers: &[(&str, &str)]| {
        server.get(path, headers).body_mut().with_config().limit(1 << 30).read_to_vec().unwrap()
    };
    let plain = read(&path("columns"), &[]);
    let expected = format!("{:?}", joined(columns::decode(&plain).unwrap().0));
    let stored = read(&path("chunks"), &[]);
    let from_files = unsummed(&stored).iter().filter(|place| place.len() > 32 << 10).count();
    assert!(from_files > 2, "{from_files}");
    let zipped = read(&path("chunks"), &[("accept-encoding", "gzip")]);
    let mut gzip = Vec::new();
    flate2::read::GzDecoder::new(&*zipped).read_to_end(&mut gzip).unwrap();
    let zstd = zstd::decode_all(&*read(&path("chunks"), &[("accept-encoding", "zstd")])).unwrap();
    let http2 = over_http2(&server, &path("chunks"));
    let slow = slowly(&server, &path("chunks"));
    for answer in [stored, gzip, zstd, http2, slow] {
        assert!(format!("{:?}", joined(columns::decode(&answer).unwrap().0)) == expected);
    }
}

/// Reads an answer over HTTP/1.0, which has no chunks of its own, in small pieces of any length, with pauses.
fn slowly(server: &Server, path: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let (mut bytes, mut random) = (Vec::new(), Random(3));
    let mut buffer = vec![0; 50_000];
    loop {
        let most = 1 + random.below(buffer.len());
        let count = stream.read(&mut buffer[..most]).unwrap();
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    bytes.split_off(head + 4)
}

#[test]
fn a_changed_file_is_noticed_by_the_client() {
    let stored = Stored::steady();
    let query = format!("channel=F&from_ns={START}&to_ns={END}&format=chunks");
    let whole = ask(&stored.state(), "/api/v1/samples", &query).bytes;
    let (_, at) = blocks(&whole).into_iter().find(|(kind, _)| *kind == columns::KIND_CHUNKS).unwrap();
    let middle = whole[at.start + at.len() / 2..][..64].to_vec();
    assert_eq!(stored.spoil(&middle), 1, "64 bytes of a page are in one place");
    let bytes = ask(&stored.state(), "/api/v1/samples", &query).bytes;
    assert!(matches!(columns::decode(&bytes), Err(DecodeError::Corrupt { .. })));
}
