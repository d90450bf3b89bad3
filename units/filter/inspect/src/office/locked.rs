//! Documents that are encrypted with the password that Excel itself knows and tries first
//! ([MS-OFFCRYPTO] 2.3.4.10 to 2.3.4.14, agile; 2.3.4.5 to 2.3.4.9, standard).

use aes::cipher::{BlockDecrypt, KeyInit, generic_array::GenericArray};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Excel's default password, since Excel 97 ([MS-XLS] 2.2.10).
const PASSWORD: &str = "VelvetSweatshop";
/// Rounds of hashing that are done at most; Office writes 100,000.
const MOST_ROUNDS: u32 = 200_000;
const BLOCK: usize = 16;
/// Bytes of a segment, each with an initialisation vector of its own (2.3.4.15).
const SEGMENT: usize = 4096;

/// The document, if the default password opens it.
pub(crate) fn default_password(info: &[u8], package: &[u8]) -> Option<Vec<u8>> {
    let (length, data) = package.split_at_checked(8)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let mut plain = match info.get(..4)? {
        [4, 0, 4, 0] => agile(info.get(8..)?, data)?,
        [2..=4, 0, 2, 0] => standard(info, data)?,
        _ => return None,
    };
    plain.truncate(length);
    // A wrong password makes noise; a right one, a zip.
    plain.starts_with(b"PK").then_some(plain)
}

fn hash(name: &str, pieces: &[&[u8]]) -> Option<Vec<u8>> {
    fn of<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
        let mut digest = D::new();
        pieces.iter().for_each(|piece| digest.update(piece));
        digest.finalize().to_vec()
    }
    Some(match name {
        "SHA1" | "SHA-1" => of::<Sha1>(pieces),
        "SHA256" | "SHA-256" => of::<Sha256>(pieces),
        "SHA384" | "SHA-384" => of::<Sha384>(pieces),
        "SHA512" | "SHA-512" => of::<Sha512>(pieces),
        _ => return None,
    })
}

/// The password's hash, hashed again and again.
fn spun(name: &str, salt: &[u8], rounds: u32) -> Option<Vec<u8>> {
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut value = hash(name, &[salt, &password])?;
    for round in 0..rounds.min(MOST_ROUNDS) {
        value = hash(name, &[&round.to_le_bytes(), &value])?;
    }
    Some(value)
}

fn agile(xml: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    const KEY_BLOCK: [u8; 8] = [0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6];
    let xml = String::from_utf8_lossy(xml);
    let data_at = xml.find("keyData")?;
    let key_at = xml.find("encryptedKey ")?;
    let of = |from: usize, key: &str| {
        let rest = xml.get(from..)?;
        let rest = rest.get(rest.find(&format!(" {key}=\""))? + key.len() + 3..)?;
        Some(rest.get(..rest.find('"')?)?.to_owned())
    };
    let binary = |from: usize, key: &str| Some(crate::message::base64(of(from, key)?.as_bytes()));
    let name = of(key_at, "hashAlgorithm")?;
    let bits: usize = of(key_at, "keyBits")?.parse().ok()?;
    let salt = binary(key_at, "saltValue")?;
    let spun = spun(&name, &salt, of(key_at, "spinCount")?.parse().ok()?)?;
    let wrapping = sized(hash(&name, &[&spun, &KEY_BLOCK])?, bits / 8);
    let key = cbc(&wrapping, &salt, &binary(key_at, "encryptedKeyValue")?)?;
    let key = sized(key, of(data_at, "keyBits")?.parse::<usize>().ok()? / 8);
    let (name, salt) = (of(data_at, "hashAlgorithm")?, binary(data_at, "saltValue")?);
    let mut plain = Vec::with_capacity(data.len());
    for (index, segment) in data.chunks(SEGMENT).enumerate() {
        let vector = hash(&name, &[&salt, &u32::try_from(index).ok()?.to_le_bytes()])?;
        plain.extend(cbc(&key, &vector, segment)?);
    }
    Some(plain)
}

fn standard(info: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    const ROUNDS: u32 = 50_000;
    let number = |at: usize| {
        info.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes).map(|it| it as usize)
    };
    // Version, flags, the header's size, the header, the verifier: its salt's size, its salt.
    let header = number(8)?;
    let bits = number(12 + 16)?;
    let verifier = 12 + header;
    let salt = info.get(verifier + 4..verifier + 20)?;
    let spun = spun("SHA1", salt, ROUNDS)?;
    let last = hash("SHA1", &[&spun, &0u32.to_le_bytes()])?;
    let mut derived = Vec::new();
    for pad in [0x36u8, 0x5c] {
        let mut buffer = [pad; 64];
        buffer.iter_mut().zip(&last).for_each(|(byte, value)| *byte ^= value);
        derived.extend(hash("SHA1", &[&buffer])?);
    }
    let key = sized(derived, if bits == 0 { 16 } else { bits / 8 });
    let mut plain = Vec::with_capacity(data.len());
    for block in data.chunks_exact(BLOCK) {
        plain.extend(decrypt(&key, block)?);
    }
    Some(plain)
}

fn sized(mut key: Vec<u8>, bytes: usize) -> Vec<u8> {
    key.resize(bytes.min(64), 0x36);
    key
}

fn cbc(key: &[u8], vector: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut before = sized(vector.to_vec(), BLOCK);
    let mut plain = Vec::with_capacity(data.len());
    for block in data.chunks_exact(BLOCK) {
        plain.extend(decrypt(key, block)?.iter().zip(&before).map(|(byte, value)| byte ^ value));
        before = block.to_vec();
    }
    Some(plain)
}

fn decrypt(key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let mut block = GenericArray::clone_from_slice(block);
    match key.len() {
        16 => aes::Aes128::new_from_slice(key).ok()?.decrypt_block(&mut block),
        24 => aes::Aes192::new_from_slice(key).ok()?.decrypt_block(&mut block),
        32 => aes::Aes256::new_from_slice(key).ok()?.decrypt_block(&mut block),
        _ => return None,
    }
    Some(block.to_vec())
}
