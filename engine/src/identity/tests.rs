//! What `ARCHIVE` says survives; what it does not say is never believed.

use super::*;
use disk::SimDisk;
use std::path::Path;

const ID: ArchiveId = ArchiveId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

fn created() -> (SimDisk, Layout, Identity) {
    let disk = SimDisk::new(1);
    let layout = Layout::new("/");
    let identity = Identity::create(&disk, &layout, ID, Timestamp(-5)).unwrap();
    (disk, layout, identity)
}

#[test]
fn an_identity_survives_a_power_cut_and_is_never_replaced() {
    let (disk, layout, identity) = created();
    disk.power_cut(3);
    disk.power_on();
    assert_eq!(Identity::load(&disk, &layout).unwrap(), Some(identity));
    assert!(matches!(Identity::create(&disk, &layout, ID, Timestamp(0)), Err(Error::Exists(_))));
    assert_eq!(Identity::load(&disk, &Layout::new("/elsewhere")).unwrap(), None);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let (disk, layout, _) = created();
    let path = layout.identity();
    let whole = disk.content(&path).unwrap();
    assert_eq!(whole.len(), IDENTITY_BYTES);
    for at in 0..whole.len() {
        assert!(Identity::decode(&whole[..at], Path::new("x")).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(Identity::decode(&bytes, Path::new("x")).is_err(), "bit {bit} of {at}");
        }
    }
}

#[test]
fn ids_are_text_and_back() {
    assert_eq!(ID.to_string(), "0123456789abcdef0011223344556677");
    assert_eq!(ID.to_string().parse(), Ok(ID));
    for text in ["", "0123", "+123456789abcdef0011223344556677", "0123456789abcdef00112233445566778"] {
        assert_eq!(text.parse::<ArchiveId>(), Err(ArchiveIdError), "{text}");
    }
    assert_ne!(ArchiveId::random().unwrap(), ArchiveId::random().unwrap());
}

#[test]
fn a_lock_file_says_who_holds_it() {
    let holder = Holder { host: "arch1".into(), pid: 17, address: "127.0.0.1:8080".into() };
    assert_eq!(Holder::decode(&holder.encode()), holder);
    assert_eq!(holder.to_string(), "process 17 on arch1 (127.0.0.1:8080)");
    assert_eq!(Holder::decode(b"\xff\n=\npid=x"), Holder::default());
}
