//! Packs: what goes in comes out, and damaged ones are refused.

use proptest::prelude::*;

use super::*;

fn pack(contents: &[Vec<u8>], params: Params) -> Vec<u8> {
    let mut writer = PackWriter::new(Vec::new(), params).unwrap();
    for content in contents {
        assert_eq!(writer.add(content).unwrap(), Sha256::of(content));
    }
    writer.finish().unwrap()
}

fn small() -> Vec<u8> {
    pack(
        &[b"one".to_vec(), vec![0; 10_000], (0..=255).cycle().take(4096).collect(), vec![]],
        Params { block_size: 4096, level: 3 },
    )
}

#[test]
fn layout_is_pinned() {
    // A change of layout must change MAGIC, since caches on disk outlive the program.
    assert_eq!(
        Sha256::of(&small()).to_string(),
        "fdeac0ff040d28a60a7091ed9463467bd84be2df8a8a617d8d3762d276e0525d"
    );
}

#[test]
fn every_cut_and_every_altered_byte_is_noticed() {
    let whole = small();
    for end in 0..whole.len() {
        assert!(Pack::from_bytes(whole[..end].into()).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        let noticed = match Pack::from_bytes(altered.into()) {
            Err(_) => true,
            Ok(pack) => pack.digests().any(|sha256| pack.read(sha256).is_err()),
        };
        assert!(noticed, "altered at {at}");
    }
}

#[test]
fn lying_indexes_are_refused() {
    let index = |edit: &dyn Fn(&mut Vec<u8>)| {
        let whole = small();
        let (mut bytes, blocks_end) = index::read(&whole.as_slice()).unwrap().unwrap();
        edit(&mut bytes);
        Index::parse(&bytes, blocks_end)
    };
    assert!(index(&|_| ()).is_ok());
    type Edit<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(&str, Edit<'_>, BadIndex); 6] = [
        ("block size", &|b| b[0] = 1, BadIndex::BlockSize),
        ("too many fragments", &|b| b[7] = 0xff, BadIndex::Length),
        ("too many contents", &|b| b[11] = 0xff, BadIndex::Length),
        ("left over", &|b| b.push(0), BadIndex::Length),
        ("fragment outside", &|b| b[19] = 0xff, BadIndex::Range(0)),
        ("endless content", &|b| b[12 + 16 + 32 + 7] = 0xff, BadIndex::Length),
    ];
    for (name, edit, error) in cases {
        assert_eq!(index(edit).unwrap_err(), error, "{name}");
    }
}

#[test]
fn parameters_are_checked() {
    for (block_size, level) in [(0, 1), (4095, 1), (2 << 20, 1), (12_288, 1), (4096, 0), (4096, 23)]
    {
        assert!(PackWriter::new(Vec::new(), Params { block_size, level }).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn contents_come_back(
        sizes in prop::collection::vec(0_usize..20_000, 0..12),
        seed in any::<u32>(),
    ) {
        let contents: Vec<Vec<u8>> = sizes
            .iter()
            .map(|&size| (0..size as u32).map(|n| (n.wrapping_mul(seed | 1) >> 9) as u8).collect())
            .collect();
        let pack = Pack::from_bytes(
            pack(&contents, Params { block_size: 4096, level: 1 }).into()).unwrap();
        for content in &contents {
            let sha256 = Sha256::of(content);
            prop_assert_eq!(pack.size(&sha256), Some(content.len() as u64));
            prop_assert_eq!(&pack.read(&sha256).unwrap(), content);
        }
        prop_assert!(pack.read(&Sha256::of(b"never added")).is_err());
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Index::parse(&bytes, 1000);
        crate::fuzz::pack(&bytes);
    }
}
