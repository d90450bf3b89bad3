//! VBA: the compression of its sources ([MS-OVBA] 2.4.1) and what in a source is dangerous.

/// A chunk holds at most this many bytes of source.
const CHUNK: usize = 4096;

/// Every source in a module's stream, at `offset` where the project's directory says so, and
/// wherever something decompresses to text: an attacker may have changed the directory.
pub(crate) fn sources(stream: &[u8], offset: Option<usize>, most: usize) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    let mut until = 0;
    let places = memchr::memchr_iter(1, stream).filter(|at| is_container(stream, *at));
    for at in offset.into_iter().chain(places) {
        if sources.len() >= MOST_SOURCES {
            break;
        }
        let Some(container) = stream.get(at..).filter(|it| it.first() == Some(&1)) else {
            continue;
        };
        if at < until {
            continue;
        }
        let source = decompress(container, most);
        let is_given = Some(at) == offset;
        if is_given && !source.is_empty() || is_source(&source) {
            until = at + 3;
            let text = crate::message::decode_text(&source, "windows-1252");
            // Basic ends lines at any of these.
            let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
            if !sources.contains(&text) {
                sources.push(text);
            }
        }
    }
    sources
}

/// Sources in one stream: one, and what attackers leave beside it.
const MOST_SOURCES: usize = 8;

/// Whether the header of a chunk follows (2.4.1.1.5), compressed or not, that fits the stream.
fn is_container(stream: &[u8], at: usize) -> bool {
    let Some([low, high]) = stream.get(at + 1..at + 3) else { return false };
    let header = u16::from_le_bytes([*low, *high]);
    let size = usize::from(header & 0x0fff) + 3;
    header >> 12 & 0b111 == 0b011 && size > 8 && at + 1 + size <= stream.len() + CHUNK
}

/// Text with a word of the language in it.
fn is_source(text: &[u8]) -> bool {
    let head = text.get(..4096).unwrap_or(text).to_ascii_lowercase();
    let printable =
        head.iter().filter(|it| **it >= b' ' || matches!(it, b'\r' | b'\n' | b'\t')).count();
    let words: [&[u8]; 8] = [
        b"attribut",
        b"sub ",
        b"sub\t",
        b"function ",
        b"end sub",
        b"declare ",
        b"dim ",
        b"private ",
    ];
    head.len() > 8
        && printable * 100 >= head.len() * 95
        && words.iter().any(|word| memchr::memmem::find(&head, word).is_some())
}

/// What the directory of a project says: streams of modules and where in them the source begins
/// (2.3.4.2.3.2: MODULESTREAMNAME 0x1a, its Unicode form 0x32, MODULEOFFSET 0x31).
pub(crate) fn modules(dir: &[u8], most: usize) -> Vec<(String, usize)> {
    let records = decompress(dir, most);
    let mut modules = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut at = 0usize;
    while let Some(header) = records.get(at..at.saturating_add(6)) {
        let id = u16::from_le_bytes([header[0], header[1]]);
        let mut length = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        // PROJECTVERSION's length is not that of its data.
        if id == 0x09 {
            length = 6;
        }
        let value =
            records.get(at + 6..at.saturating_add(6).saturating_add(length)).unwrap_or_default();
        match id {
            0x1a => names = vec![crate::message::decode_text(value, "windows-1252")],
            0x32 => names.push(crate::message::decode_text(value, "utf-16le")),
            0x31 => {
                let offset = value.try_into().map_or(0, u32::from_le_bytes) as usize;
                modules.extend(names.drain(..).map(|name| (name, offset)));
            }
            _ => {}
        }
        at = at.saturating_add(6).saturating_add(length);
    }
    modules
}

/// Undoes the compression up to the first chunk that is none, or to `most` bytes.
pub(crate) fn decompress(container: &[u8], most: usize) -> Vec<u8> {
    let mut output = Vec::new();
    let mut rest = container.get(1..).unwrap_or_default();
    while let Some(header) =
        rest.get(..2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes)
    {
        // 2.4.1.1.5: size less three in 12 bits, the signature 0b011, whether it is compressed.
        let size = usize::from(header & 0x0fff) + 3;
        if header >> 12 & 0b111 != 0b011 || output.len() >= most {
            break;
        }
        let chunk = rest.get(2..size.min(rest.len())).unwrap_or_default();
        if header & 0x8000 == 0 {
            output.extend_from_slice(chunk.get(..CHUNK).unwrap_or(chunk));
        } else {
            decompress_chunk(chunk, &mut output);
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    output
}

fn decompress_chunk(mut chunk: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    while let Some((flags, tokens)) = chunk.split_first() {
        chunk = tokens;
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some((literal, after)) = chunk.split_first() else { return };
                output.push(*literal);
                chunk = after;
                continue;
            }
            let Some(token) =
                chunk.get(..2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes)
            else {
                return;
            };
            chunk = chunk.get(2..).unwrap_or_default();
            if !copy(token, start, output) {
                return;
            }
            if output.len() - start >= CHUNK {
                return;
            }
        }
    }
}

/// 2.4.1.3.19: how many bits of a token are its offset depends on how far the chunk is.
fn copy(token: u16, start: usize, output: &mut Vec<u8>) -> bool {
    let far = output.len() - start;
    let bits = (4..12).find(|bits| far <= 1 << bits).unwrap_or(12);
    let length = usize::from(token & (0xffff >> bits)) + 3;
    let offset = usize::from(token >> (16 - bits)) + 1;
    let Some(mut from) = output.len().checked_sub(offset).filter(|from| *from >= start) else {
        return false;
    };
    for _ in 0..length {
        let Some(byte) = output.get(from).copied() else { return false };
        output.push(byte);
        from += 1;
    }
    true
}

/// Whether there is more than the attributes that every module has.
pub(crate) fn has_code(source: &str) -> bool {
    source.lines().map(str::trim).any(|line| {
        let line = line.get(..line.len().min(64)).unwrap_or("x").to_ascii_lowercase();
        !line.is_empty()
            && !line.starts_with("attribute ")
            && !line.starts_with('\'')
            && !line.starts_with("option ")
            && !line.starts_with("rem ")
    })
}

/// Returns true if compiled code holds the name of a procedure that the program calls of itself,
/// in one byte or two bytes a character.
pub(crate) fn names_a_trigger(code: &[u8]) -> bool {
    let narrow: Vec<u8> =
        code.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    TRIGGERS.iter().any(|name| memchr::memmem::find(&narrow, name.as_bytes()).is_some())
}

/// Procedures that the program calls of itself.
const TRIGGERS: &[&str] = &[
    "autoexec",
    "autoopen",
    "auto_open",
    "autoexit",
    "autoclose",
    "auto_close",
    "autonew",
    "auto_new",
    "document_open",
    "documentopen",
    "document_close",
    "document_beforeclose",
    "documentbeforeclose",
    "document_new",
    "newdocument",
    "documentchange",
    "document_beforesave",
    "workbook_open",
    "workbook_activate",
    "workbook_close",
    "workbook_beforeclose",
    "workbook_deactivate",
    "worksheet_activate",
    "worksheet_followhyperlink",
    "app_workbookopen",
    "onload",
    "ribbon_onload",
    "auto_add",
    "auto_activate",
    "auto_deactivate",
    "presentation_open",
    "onslideshowpagechange",
    "onslideshowterminate",
    "autoremove",
];

/// Events of controls that fire without a click.
const EVENTS: &[&str] = &[
    "_painted",
    "_painting",
    "_gotfocus",
    "_lostfocus",
    "_mousehover",
    "_mousemove",
    "_layout",
    "_resize",
    "_initialize",
    "_beforenavigate2",
    "_navigatecomplete2",
    "_documentcomplete",
    "_progresschange",
    "_statustextchange",
    "_titlechange",
    "_contentcontrolonenter",
];

/// What the procedures are called that run by themselves.
pub(crate) fn triggers(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    // A line goes on after ` _`.
    let joined = continued(source);
    for line in joined.split(['\n', ':']) {
        let Some(name) = procedure(line) else { continue };
        let lower = name.to_lowercase();
        let is_trigger = TRIGGERS.contains(&lower.as_str())
            || EVENTS.iter().any(|event| lower.ends_with(event))
            || OBJECTS.iter().any(|it| lower.starts_with(it))
                && !BY_HAND.iter().any(|it| lower.ends_with(it));
        let name = crate::shown(&name);
        if is_trigger && !found.contains(&name) && found.len() < 5 {
            found.push(name);
        }
    }
    found
}

/// Events of documents and applications: a program fires them, whichever there are.
const OBJECTS: &[&str] = &[
    "document_",
    "workbook_",
    "app_",
    "application_",
    "auto_",
    "presentation_",
    "chart_",
    "documentopen",
    "documentbefore",
];

/// Those that only what a person does to a sheet's cells fires, as in everyday bookkeeping.
const BY_HAND: &[&str] = &["_sheetchange", "_beforedoubleclick", "_beforerightclick"];

fn continued(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n").replace(" _\n", " ").replace("\t_\n", " ")
}

/// The name that a line declares a procedure by.
fn procedure(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| {
        ["public", "private", "friend", "static", "global"]
            .iter()
            .any(|modifier| word.eq_ignore_ascii_case(modifier))
    });
    let kind = words.next()?;
    if !["sub", "function", "property"].iter().any(|it| kind.eq_ignore_ascii_case(it)) {
        return None;
    }
    Some(words.next()?.split('(').next().unwrap_or_default().to_owned())
}

/// Words that reach out of the document, with what they do.
const CALLS: &[&str] = &[
    "shell",
    "shellexecute",
    "wscript.shell",
    "shell.application",
    "getobject",
    "winmgmts",
    "win32_process",
    "powershell",
    "cmd.exe",
    "cmd /c",
    "mshta",
    "rundll32",
    "regsvr32",
    "certutil",
    "bitsadmin",
    "wmic",
    "msiexec",
    "curl ",
    "urldownloadtofile",
    "urldownloadtofilea",
    "msxml2.xmlhttp",
    "microsoft.xmlhttp",
    "winhttp.winhttprequest",
    "serverxmlhttp",
    "adodb.stream",
    "savetofile",
    "callbyname",
    "strreverse",
    "regwrite",
    "regread",
    "virtualalloc",
    "rtlmovememory",
    "createthread",
    "createprocess",
    "writeprocessmemory",
    "heapcreate",
    "enumwindows",
    "codemodule",
    "vbcomponents",
    "vbproject",
    "macscript",
    "applescripttask",
    "execute4macro",
    "executeexcel4macro",
    "sendkeys",
    "wscript",
];

/// The calls that a source makes, of those that documents have no need of.
pub(crate) fn calls(source: &str) -> Vec<String> {
    // A line may be continued, and words be put together from pieces.
    let joined = continued(source);
    let lower: String = joined
        .lines()
        .filter(|line| !line.trim_start().to_ascii_lowercase().starts_with("attribute "))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .to_lowercase();
    let glued = lower
        .replace("\" & \"", "")
        .replace("\"&\"", "")
        .replace("\" + \"", "")
        .replace("\"+\"", "");
    let mut found: Vec<String> = CALLS
        .iter()
        .filter(|call| has_word(&glued, call))
        .map(|call| call.trim().to_owned())
        .collect();
    if lower.lines().any(|line| line.contains("declare ") && line.contains(" lib ")) {
        found.push("a library of the system".to_owned());
    }
    let letters = lower.matches("chr(").count()
        + lower.matches("chrw(").count()
        + lower.matches("chr$(").count();
    if letters > 8 {
        found.push("text hidden as numbers".to_owned());
    }
    // Alone these are everyday; with a name that is put together they hide what is called.
    let creates = has_word(&glued, "createobject") || has_word(&glued, "getobject");
    let hides = has_word(&glued, "strreverse") || letters > 3 || has_word(&glued, "replace");
    if creates && hides {
        found.push("an object whose name is hidden".to_owned());
    }
    if (has_word(&glued, "for binary") || has_word(&glued, "for output"))
        && [".exe", ".bat", ".vbs", ".js", ".ps1", ".cmd", ".hta", ".dll", ".scr"]
            .iter()
            .any(|it| glued.contains(it))
    {
        found.push("a program written to disk".to_owned());
    }
    found.truncate(8);
    found
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memmem::find_iter(text.as_bytes(), word.as_bytes()).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        let after = text.as_bytes().get(at + word.len());
        !is_part(before) && (word.ends_with(' ') || !is_part(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of [MS-OVBA] 3.2.1 to 3.2.3.
    #[test]
    fn the_examples_of_the_specification_decompress() {
        let none = b"\x01\x19\xb0\0abcdefgh\0ijklmnop\0qrstuv.";
        assert_eq!(decompress(none, 1 << 20), b"abcdefghijklmnopqrstuv.");
        let normal = b"\x01\x2f\xb0\0#aaabcde\x82f\0\x70aghij\x01\x38\x08akl\0\x30mnop\x06q\x02\x70\x04\x10rstuv\x10wxyz\0\x3c";
        assert_eq!(
            decompress(normal, 1 << 20),
            b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"
        );
        let most = b"\x01\x03\xb0\x02a\x45\0";
        assert_eq!(decompress(most, 1 << 20), [b'a'; 73]);
    }

    #[test]
    fn triggers_are_procedures_and_not_words() {
        assert_eq!(triggers("Private Sub Document_Open()\nEnd Sub"), ["Document_Open"]);
        assert_eq!(triggers("sub AUTOOPEN"), ["AUTOOPEN"]);
        assert_eq!(triggers("' Sub AutoOpen()\nx = \"autoopen\""), [""; 0]);
        assert_eq!(triggers("Sub InkPicture1_Painted(x)"), ["InkPicture1_Painted"]);
    }

    #[test]
    fn calls_are_found_in_pieces_and_not_in_longer_words() {
        assert_eq!(
            calls("CreateObject(\"WScr\" & \"ipt.Sh\" & \"ell\")"),
            ["shell", "wscript.shell", "wscript"]
        );
        assert_eq!(calls("Seashell = 1: MyShellfish = 2"), [""; 0]);
        assert_eq!(
            calls("Declare PtrSafe Function f Lib \"kernel32\" ()"),
            ["a library of the system"]
        );
        assert_eq!(calls("Sub Sum()\nRange(\"A1\") = 1\nEnd Sub"), [""; 0]);
    }

    #[test]
    fn attributes_alone_are_no_code() {
        assert!(!has_code("Attribute VB_Name = \"ThisDocument\"\r\nOption Explicit\r\n\r\n"));
        assert!(has_code("Attribute VB_Name = \"M\"\r\nSub a()\r\nEnd Sub\r\n"));
    }
}
