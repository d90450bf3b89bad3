//! How many messages a second, and what memory that takes.
//!
//!     cargo run --release --example throughput [SECONDS] [THREADS] [FILE...]
//!
//! Without files it makes 200 messages of 20 to 200 KB, a third of them with an attachment, the
//! same ones each time.
#![allow(clippy::print_stdout, reason = "its result is for a person")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mailkiln_inspect::{Limits, Rules, inspect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let files: Vec<String> = arguments.collect();
    let started = Instant::now();
    let rules = Rules::builtin()?;
    println!(
        "{} rules compiled in {} ms, {} KiB resident at rest",
        rules.count(),
        started.elapsed().as_millis(),
        resident()?
    );
    let messages = match files.is_empty() {
        true => corpus(),
        false => files.iter().map(std::fs::read).collect::<Result<_, _>>()?,
    };
    let size: usize = messages.iter().map(Vec::len).sum();
    println!("{} messages, {} KB on average", messages.len(), size / messages.len() / 1000);
    let (count, findings) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    let index = count.fetch_add(1, Ordering::Relaxed) % messages.len();
                    let report = inspect(
                        &messages[index],
                        &Limits::default(),
                        &rules,
                        Instant::now() + Duration::from_secs(10),
                    );
                    findings.fetch_add(report.findings.len(), Ordering::Relaxed);
                }
            });
        }
    });
    let rate = count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    println!(
        "{rate:.0} messages a second on {threads} threads, {} findings, {} KiB resident",
        findings.into_inner(),
        resident()?
    );
    Ok(())
}

/// What the kernel says this process holds, in KiB.
fn resident() -> Result<String, std::io::Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").to_owned())
}

/// Numbers that look random and are the same each time (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn words(&mut self, length: usize) -> String {
        const WORDS: [&str; 12] = [
            "the", "meeting", "on", "Thursday", "invoice", "please", "attached", "regards",
            "order", "we", "will", "team",
        ];
        let mut text = String::new();
        while text.len() < length {
            text.push_str(WORDS[(self.next() % 12) as usize]);
            text.push_str(if self.next().is_multiple_of(11) { "\r\n" } else { " " });
        }
        text
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut numbers = Numbers(7);
    (0..200).map(|index| message(index, &mut numbers)).collect()
}

fn message(index: usize, numbers: &mut Numbers) -> Vec<u8> {
    let size = 20_000 + (numbers.next() % 180_000) as usize;
    let head = format!(
        "From: a@example.org\r\nTo: b@example.org\r\nSubject: {index}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n"
    );
    let text = |length, numbers: &mut Numbers| {
        let words = numbers.words(length);
        format!(
            "--edge\r\nContent-Type: text/plain\r\n\r\n{words}\r\n--edge\r\nContent-Type: text/html\r\n\r\n<html><body>{words}</body></html>\r\n"
        )
    };
    let mut message = head;
    if index.is_multiple_of(3) {
        message.push_str(&text(2000, numbers));
        let raw = size * 3 / 4 - 4000;
        let (name, content) = match index % 9 {
            0 => ("report.pdf", [b"%PDF-1.7\n".to_vec(), noise(raw, numbers)].concat()),
            3 => ("photo.jpg", [b"\xff\xd8\xff\xe0".to_vec(), noise(raw, numbers)].concat()),
            _ => ("letter.docx", archive(&numbers.words(raw * 3))),
        };
        message.push_str(&format!("--edge\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", base64(&content)));
    } else {
        message.push_str(&text(size / 2, numbers));
    }
    message.push_str("--edge--\r\n");
    message.into_bytes()
}

fn noise(length: usize, numbers: &mut Numbers) -> Vec<u8> {
    (0..length).map(|_| numbers.next() as u8).collect()
}

fn archive(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let document = format!(
        "<w:document xmlns:w='w'><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    );
    for (name, content) in
        [("[Content_Types].xml", "<Types/>"), ("word/document.xml", document.as_str())]
    {
        // Writing into memory doesn't fail.
        let _ = writer
            .start_file(name, options)
            .and_then(|()| Ok(writer.write_all(content.as_bytes())?));
    }
    writer.finish().map(std::io::Cursor::into_inner).unwrap_or_default()
}

fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len() * 4 / 3 + data.len() / 28);
    for (index, group) in data.chunks(3).enumerate() {
        if index > 0 && index.is_multiple_of(19) {
            text.push_str("\r\n");
        }
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
