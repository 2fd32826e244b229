//! Signed notes, checkpoints, proof texts and tile paths, as their specifications write them.

use super::*;

#[test]
fn key_id_and_note_of_the_go_reference() {
    // The example of golang.org/x/mod/sumdb/note: key PeterNeumann+c74f20a3.
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR\
         Zb6KE6RyyBwJnAM=\n"
    );
    let vkey = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    )
    .unwrap();
    let key = PublicKey::from_slice(&vkey[1..]).unwrap();
    let parsed = Note::parse(&note).unwrap();
    assert_eq!(hex::encode(parsed.signatures()[0].key_id), "c74f20a3");
    parsed.verify("PeterNeumann", &key).unwrap();
    assert_eq!(parsed.to_string(), note);
    assert!(matches!(parsed.verify("EnochRoot", &key), Err(LedgerError::Unsigned { .. })));
}

#[test]
fn tlog_proof_text_round_trips_and_verifies() {
    let world = world();
    let proof = world.receipt().to_tlog_proof().unwrap();
    let text = proof.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 5\n"), "{text}");
    let parsed = TlogProof::parse(&text).unwrap();
    assert_eq!(parsed, proof);
    let entry = world.commitment.digest();
    parsed.verify(&entry, "oncology", &world.engine.public()).unwrap();
    assert!(parsed.verify(&Digest([0; 32]), "oncology", &world.engine.public()).is_err());
    assert!(matches!(
        parsed.verify(&entry, "cardiology", &world.engine.public()),
        Err(LedgerError::Origin { .. })
    ));
    // A tree of one leaf has an empty proof.
    let single = World::new(0).receipt().to_tlog_proof().unwrap();
    assert_eq!(TlogProof::parse(&single.to_text()).unwrap(), single);
    for bad in ["index 05", "index x", "extra eA==\nindex 5"] {
        assert!(TlogProof::parse(&text.replacen("index 5", bad, 1)).is_err(), "{bad}");
    }
}

#[test]
fn notes_and_checkpoints_parse_as_signed_note_and_tlog_tiles_do() {
    let world = world();
    let note = world.cosigned().to_string();
    let oracle = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(oracle.to_bytes(), note.as_bytes());
    assert_eq!(oracle.text(), Note::parse(&note).unwrap().text().as_bytes());
    let encoded = [&[1], &world.engine.public().as_bytes()[..]].concat();
    let id = signed_note::key_id("ward/oncology/log", &encoded);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, encoded);
    let vkey = format!("ward/oncology/log+{id:08x}+{base64}");
    let verifier = signed_note::StandardVerifier::new(&vkey).unwrap();
    let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let (verified, others) = oracle.verify(&list).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 3));
    let checkpoint = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
    assert_eq!(checkpoint.head, world.tree.head(6));
}

#[test]
fn malformed_notes_are_refused() {
    let good = world().cosigned().to_string();
    let bad = [
        good.trim_end().to_owned(),
        good.replacen("\n\n", "\n", 1),
        good.replacen('\u{2014}', "-", 1),
        good.replacen("\n6\n", "\n\u{1}6\n", 1),
        format!("{good}\n"),
        format!("{good}\u{2014} x AAAA\n"),
        format!("{good}\u{2014} a+b AAAAAAAA\n"),
        format!("{good}\u{2014} x AAAAAAB=\n"),
        good.repeat(400),
    ];
    for note in bad {
        assert!(Note::parse(&note).is_err(), "{}", note.chars().take(300).collect::<String>());
    }
    let line = "\u{2014} x AAAAAAAA\n";
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(64))).is_ok());
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(65))).is_err());
}

#[test]
fn malformed_checkpoints_are_refused() {
    let good = "ward/c/log\n6\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_eq!(Checkpoint::parse(good).unwrap().to_text(), good);
    let bad = [
        good.replacen("\n6\n", "\n06\n", 1),
        good.replacen("\n6\n", "\n+6\n", 1),
        good.replacen("\n6\n", "\n-6\n", 1),
        good.replacen("\n6\n", "\n18446744073709551616\n", 1),
        good.replacen("Cs", "C", 1),
        good.replacen("2I=", "2J=", 1),
        good.replacen("ward/c/log", "", 1),
        good.replacen("ward/c/log", "ward c", 1),
        format!("{good}extension\n"),
        good.trim_end().to_owned(),
    ];
    for text in bad {
        assert!(Checkpoint::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    let hashes = |level, index, width| Tile { kind: TileKind::Hashes { level }, index, width };
    let known = [
        (hashes(0, 0, 256), "tile/0/000"),
        (hashes(1, 1_234_067, 256), "tile/1/x001/x234/067"),
        (hashes(0, 273, 112), "tile/0/273.p/112"),
        (Tile { kind: TileKind::Entries, index: 1000, width: 1 }, "tile/entries/x001/000.p/1"),
    ];
    for (tile, path) in known {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path).unwrap(), tile);
    }
    let bad = [
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/8/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/",
        "tile/0/001/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/000",
    ];
    for path in bad {
        assert!(Tile::parse(path).is_err(), "{path}");
    }
}
