//! Hash trees: pinned, checked, judged by veritysetup.

use std::io::Write as _;

use super::*;
use crate::judge::judge;

fn data(blocks: usize) -> Vec<u8> {
    let mut data = vec![0; blocks * BLOCK];
    for (number, block) in data.chunks_mut(BLOCK).enumerate() {
        block.fill(number as u8);
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    data
}

fn verity(data: &[u8], piece: usize) -> Verity {
    let mut hasher = Hasher::new(Sha256::of(b"salt"));
    for part in data.chunks(piece) {
        hasher.write_all(part).unwrap();
    }
    hasher.finish().unwrap()
}

/// Sizes around every border: one block, one full hash block, one more, two levels and more.
const SIZES: [usize; 7] = [1, 2, 127, 128, 129, 700, 16_385];

#[test]
fn veritysetup_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (folder.path().join("data"), folder.path().join("hashes"));
    for blocks in SIZES {
        let data = data(blocks);
        let verity = verity(&data, 100_000);
        assert_eq!(verity.data_blocks, blocks as u64);
        assert_eq!(verity.image.len() as u64, image_size(blocks as u64), "{blocks}");
        std::fs::write(&left, &data).unwrap();
        std::fs::write(&right, &verity.image).unwrap();
        let hash = verity.root_hash.to_string();
        judge("veritysetup", &["verify".as_ref(), left.as_ref(), right.as_ref(), hash.as_ref()]);
        check(&data.as_slice(), &verity.image.as_slice(), &verity.root_hash).unwrap();
    }
}

#[test]
fn root_hashes_are_pinned_and_pieces_do_not_matter() {
    let data = data(700);
    let whole = verity(&data, data.len());
    for piece in [1000, 4096, 1 << 20] {
        assert_eq!(verity(&data, piece), whole);
    }
    assert_eq!(
        Sha256::of(&whole.image).to_string(),
        "7cf80bc6b80a57b8b375bec3857fbe351c857cbb2d40f3973552bb0097e6c577"
    );
}

#[test]
fn every_altered_block_is_noticed() {
    let data = data(130);
    let verity = verity(&data, 4096);
    let check = |data: &[u8], image: &[u8]| check(&data, &image, &verity.root_hash);
    for block in 0..130 {
        let mut altered = data.clone();
        altered[block * BLOCK + block] ^= 1;
        let error = check(&altered, &verity.image).unwrap_err();
        assert!(matches!(error, BadVerity::RootHash { .. }), "{block}");
    }
    for block in 1..verity.image.len() / BLOCK {
        let mut altered = verity.image.clone();
        altered[block * BLOCK] ^= 1;
        let error = check(&data, &altered).unwrap_err();
        assert!(matches!(error, BadVerity::Tree { block: b } if b == block as u64), "{block}");
    }
}

#[test]
fn lying_superblocks_are_refused() {
    let data = data(3);
    let verity = verity(&data, 4096);
    for at in (0..16).chain(32..39).chain(64..82) {
        let mut altered = verity.image.clone();
        altered[at] ^= 0x40;
        let found = check(&data.as_slice(), &altered.as_slice(), &verity.root_hash);
        assert!(found.is_err(), "byte {at}");
    }
    assert!(Superblock::parse(&[0; 511]).is_err());
    assert!(Hasher::new(Sha256::of(b"")).finish().is_err());
    let mut short = Hasher::new(Sha256::of(b""));
    short.write_all(&[1; 4095]).unwrap();
    assert!(short.finish().is_err());
}
