//! A hypervisor that is played: it keeps variables, and fails as it is told.

use std::collections::BTreeMap;

use super::*;

const CHANNEL: u16 = 3;
const COOKIE: (u32, u32) = (0xdead_beef, 0x0bad_cafe);

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    NoChannel,
    /// The call of that type fails.
    Fails(u16),
    /// The call of that type meets a checkpoint, so often.
    Saved(u16, usize),
    /// An answer of that many bytes, which never ends.
    Huge(u32),
    /// There is no answer.
    Silent,
    /// The answer's pieces are called something else.
    Mislabelled,
    Forbidden,
}

struct Played {
    variables: BTreeMap<String, Vec<u8>>,
    flaw: Flaw,
    is_open: bool,
    calls: usize,
    expected: usize,
    request: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
}

impl Played {
    fn new(variables: &[(&str, &[u8])], flaw: Flaw) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        Self {
            variables: variables.collect(),
            flaw,
            is_open: false,
            calls: 0,
            expected: 0,
            request: Vec::new(),
            answer: Vec::new(),
            sent: 0,
        }
    }

    /// What vmx says to a request.
    fn answer(&mut self) -> Vec<u8> {
        let text = String::from_utf8(self.request.clone()).unwrap();
        let mut words = text.splitn(3, ' ');
        let (command, name) = (words.next().unwrap(), words.next().unwrap_or_default());
        let name = name.strip_prefix("guestinfo.").expect("only guestinfo is asked for").to_owned();
        match (command, words.next()) {
            _ if self.flaw == Flaw::Forbidden => b"0 Permission denied\x1b[2J".to_vec(),
            ("info-get", None) => match self.variables.get(&name) {
                Some(value) => [b"1 ", value.as_slice()].concat(),
                None => b"0 No value found".to_vec(),
            },
            ("info-set", Some(value)) => {
                self.variables.insert(name, value.as_bytes().to_vec());
                b"1 ".to_vec()
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Hypervisor for Played {
    fn call(&mut self, given: Registers) -> Registers {
        self.calls += 1;
        assert!(self.calls < 100_000, "it ends");
        assert_eq!(
            (given.eax, given.ecx & 0xffff, given.edx & 0xffff),
            (0x564d_5868, 0x1e, 0x5658)
        );
        let kind = upper(given.ecx);
        let status = |bits: u16| Registers { ecx: u32::from(bits) << 16, ..given };
        if kind == 0 {
            assert_eq!(given.ebx, 0xc943_5052);
            if self.flaw == Flaw::NoChannel {
                return status(0);
            }
            assert!(!self.is_open, "one channel at a time");
            self.is_open = true;
            let (esi, edi) = COOKIE;
            return Registers { edx: u32::from(CHANNEL) << 16, esi, edi, ..status(0x81) };
        }
        assert!(self.is_open && upper(given.edx) == CHANNEL && (given.esi, given.edi) == COOKIE);
        match &mut self.flaw {
            Flaw::Fails(at) if *at == kind => return status(0x04),
            Flaw::Saved(at, times) if *at == kind && *times > 0 => {
                *times -= 1;
                return status(0x40);
            }
            _ => {}
        }
        let labelled = |kind: u16| u32::from(kind) << 16 | 0x5658;
        match kind {
            1 => {
                (self.expected, self.request) = (given.ebx as usize, Vec::new());
                status(0x11)
            }
            2 => {
                let left = self.expected - self.request.len();
                self.request.extend(given.ebx.to_le_bytes().into_iter().take(left));
                status(0x01)
            }
            3 if self.flaw == Flaw::Silent => status(0x01),
            3 => {
                assert_eq!(self.request.len(), self.expected, "the whole request has arrived");
                (self.answer, self.sent) = (self.answer(), 0);
                let length = match self.flaw {
                    Flaw::Huge(length) => length,
                    _ => self.answer.len() as u32,
                };
                Registers { ebx: length, edx: labelled(1), ..status(0x13) }
            }
            4 => {
                assert_eq!(given.ebx, 1);
                let mut word = [0xaa; 4];
                for (place, byte) in word.iter_mut().zip(self.answer.iter().skip(self.sent)) {
                    *place = *byte;
                }
                self.sent += 4;
                let label = if self.flaw == Flaw::Mislabelled { 9 } else { 2 };
                let ebx = u32::from_le_bytes(word);
                Registers { ebx, edx: labelled(label), ..status(0x01) }
            }
            5 => status(0x01),
            6 => {
                self.is_open = false;
                status(0x01)
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn variables_of_every_length_arrive_whole_and_channels_are_closed() {
    for length in [0, 1, 2, 3, 4, 5, 6, 7, 8, 4095, LARGEST] {
        let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let mut played = Played::new(&[("userdata", &value)], Flaw::None);
        assert_eq!(get(&mut played, "userdata").unwrap(), Some(value));
        assert!(!played.is_open);
    }
    let mut played = Played::new(&[], Flaw::None);
    assert_eq!(get(&mut played, "userdata"), Ok(None));
    set(&mut played, "userdata", "---").unwrap();
    set(&mut played, "userdata.encoding", " ").unwrap();
    assert_eq!(get(&mut played, "userdata").unwrap().unwrap(), b"---");
    assert_eq!(get(&mut played, "userdata.encoding").unwrap().unwrap(), b" ");
}

#[test]
fn a_message_that_a_snapshot_broke_begins_anew_but_not_for_ever() {
    for kind in [2, 4, 5] {
        let mut played = Played::new(&[("userdata", b"#mailkiln\n")], Flaw::Saved(kind, 3));
        assert_eq!(get(&mut played, "userdata").unwrap().unwrap(), b"#mailkiln\n", "{kind}");
        let mut played = Played::new(&[("userdata", b"#mailkiln\n")], Flaw::Saved(kind, 4));
        assert_eq!(get(&mut played, "userdata"), Err(GuestInfoError::Checkpoints), "{kind}");
        assert!(!played.is_open);
    }
}

#[test]
fn failures_say_what_failed_and_leave_no_channel_open() {
    let name = "userdata".to_owned();
    for (flaw, expected) in [
        (Flaw::NoChannel, GuestInfoError::NoChannel),
        (Flaw::Fails(1), GuestInfoError::BrokeOff("it was asked")),
        (Flaw::Fails(2), GuestInfoError::BrokeOff("it was asked")),
        (Flaw::Fails(3), GuestInfoError::BrokeOff("it answered")),
        (Flaw::Fails(4), GuestInfoError::BrokeOff("it answered")),
        (Flaw::Fails(5), GuestInfoError::BrokeOff("it answered")),
        (Flaw::Silent, GuestInfoError::BrokeOff("it answered")),
        (Flaw::Mislabelled, GuestInfoError::BrokeOff("it answered")),
        (Flaw::Huge(LARGEST as u32 + 3), GuestInfoError::TooLarge(name.clone())),
        (Flaw::Huge(u32::MAX), GuestInfoError::TooLarge(name)),
        (
            Flaw::Forbidden,
            GuestInfoError::Refused("info-get", "Permission denied\\u{1b}[2J".to_owned()),
        ),
    ] {
        let mut played = Played::new(&[("userdata", b"x")], flaw);
        assert_eq!(get(&mut played, "userdata"), Err(expected));
        assert!(!played.is_open);
        assert!(played.calls < 50, "a size that is too large is not received");
    }
    let refused = set(&mut Played::new(&[], Flaw::Forbidden), "userdata", "---").unwrap_err();
    assert!(refused.to_string().contains("isolation.tools.setinfo.disable"), "{refused}");
}

#[test]
fn whatever_a_hypervisor_answers_it_ends() {
    for seed in 0..2000_u32 {
        let mut word = seed;
        let bytes: Vec<u8> = (0..600)
            .flat_map(|_| {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Statuses are mostly successes, so that it gets somewhere.
                (word & 0x0003_00ff | 0x0003_0000).to_le_bytes()
            })
            .collect();
        fuzz(&bytes);
    }
    fuzz(&[0xff; 4096]);
}

/// The machine of the tests is no VMware, and the instruction is not executed there.
#[test]
fn another_hypervisors_processor_is_not_asked() {
    let vendor = std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    assert_eq!(Backdoor::find().is_some(), vendor.starts_with("VMware"));
}
