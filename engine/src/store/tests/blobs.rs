use std::io::Read as _;

use super::*;

fn opened() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    (folder, blobs)
}

#[test]
fn blob_of_abc_has_the_known_name_and_place() {
    let (folder, blobs) = opened();
    let id = blobs.put(b"abc").unwrap();
    let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(id.to_string(), name);
    assert_eq!(std::fs::read(folder.path().join("ba").join(name)).unwrap(), b"abc");
    assert_eq!(blobs.get(&id, 3).unwrap(), b"abc");
    assert_eq!(blobs.put(b"abc").unwrap(), id, "the same bytes are the same blob");
}

#[test]
fn streamed_blob_reads_back_in_any_pieces() {
    let (_folder, blobs) = opened();
    let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    let mut writer = blobs.writer(100_000).unwrap();
    bytes.chunks(777).for_each(|chunk| writer.write(chunk).unwrap());
    assert_eq!(writer.written(), 100_000);
    let id = writer.finish().unwrap();
    let mut reader = blobs.reader(&id).unwrap();
    assert_eq!(reader.length(), 100_000);
    let (mut read, mut piece) = (Vec::new(), [0; 1009]);
    loop {
        let count = reader.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        read.extend_from_slice(&piece[..count]);
    }
    assert_eq!(read, bytes);
}

#[test]
fn changed_or_cut_blob_is_refused() {
    let (folder, blobs) = opened();
    let id = blobs.put(b"ciphertext").unwrap();
    let path = folder.path().join(&id.to_string()[..2]).join(id.to_string());
    for bytes in [&b"ciphertexT"[..], b"cipher", b"", b"ciphertext and more"] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(blobs.get(&id, 100), Err(StoreError::Corrupt { .. })));
    }
}

#[test]
fn blob_over_its_limit_is_refused_and_leaves_nothing() {
    let (folder, blobs) = opened();
    let mut writer = blobs.writer(4).unwrap();
    writer.write(b"abcd").unwrap();
    assert!(matches!(writer.write(b"e"), Err(StoreError::BlobTooLarge { bytes_max: 4 })));
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    let id = blobs.put(b"abcd").unwrap();
    assert!(matches!(blobs.get(&id, 3), Err(StoreError::BlobTooLarge { bytes_max: 3 })));
}

#[test]
fn leftovers_of_a_dead_writer_are_removed_at_opening() {
    let (folder, blobs) = opened();
    std::mem::forget(blobs.writer(10).unwrap());
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
    Blobs::open(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn absent_blob_is_not_found_and_removing_it_is_no_error() {
    let (_folder, blobs) = opened();
    let id = blobs.put(b"x").unwrap();
    assert!(blobs.contains(&id));
    blobs.remove(&id).unwrap();
    blobs.remove(&id).unwrap();
    assert!(!blobs.contains(&id));
    assert!(matches!(blobs.get(&id, 1), Err(StoreError::NotFound { what: "blob", .. })));
}
