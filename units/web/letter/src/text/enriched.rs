//! `text/enriched`: <https://www.rfc-editor.org/rfc/rfc1896>

use super::escape;

/// The commands that have a look in HTML, as elements of it.
fn element(command: &str) -> Option<&'static str> {
    Some(match command {
        "bold" => "b",
        "italic" => "i",
        "underline" => "u",
        "fixed" => "tt",
        "smaller" => "small",
        "bigger" => "big",
        "excerpt" => "blockquote",
        "center" => "center",
        "indent" | "indentright" | "paraindent" => "div",
        _ => return None,
    })
}

/// The HTML of an enriched text. Parameters (colours, fonts) are dropped; all else is escaped. Clean it
/// as any other HTML.
pub fn enriched_to_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut open: Vec<&'static str> = Vec::new();
    let mut param = 0_usize;
    let mut verbatim = false;
    let mut rest = text;
    let mut breaks = 0_usize;
    while let Some(one) = rest.chars().next() {
        if one == '<'
            && !(verbatim
                && !starts_with_ignoring_case(rest, "</nofill>")
                && !starts_with_ignoring_case(rest, "</verbatim>"))
        {
            if let Some(after) = rest.strip_prefix("<<") {
                flush(&mut out, &mut breaks, verbatim);
                out.push_str("&lt;");
                rest = after;
                continue;
            }
            // A command is at most 60 characters long (section 2).
            if let Some(end) =
                rest.get(..rest.len().min(64)).or(Some(rest)).and_then(|head| head.find('>'))
            {
                let command = rest[1..end].to_ascii_lowercase();
                rest = &rest[end + 1..];
                flush(&mut out, &mut breaks, verbatim);
                match command.as_str() {
                    "param" => param += 1,
                    "/param" => param = param.saturating_sub(1),
                    "nofill" | "verbatim" => verbatim = true,
                    "/nofill" | "/verbatim" => verbatim = false,
                    other => command_to_html(&mut out, &mut open, other),
                }
                continue;
            }
        }
        rest = &rest[one.len_utf8()..];
        match one {
            '\r' => {}
            '\n' => breaks += 1,
            _ if param > 0 => {}
            one => {
                flush(&mut out, &mut breaks, verbatim);
                out.push_str(&escape(one.encode_utf8(&mut [0; 4])));
            }
        }
    }
    while let Some(element) = open.pop() {
        out.push_str(&format!("</{element}>"));
    }
    out
}

fn command_to_html(out: &mut String, open: &mut Vec<&'static str>, command: &str) {
    if let Some(name) = command.strip_prefix('/') {
        let Some(name) = element(name) else { return };
        if let Some(at) = open.iter().rposition(|one| *one == name) {
            for element in open.drain(at..).rev() {
                out.push_str(&format!("</{element}>"));
            }
        }
    } else if let Some(name) = element(command)
        && open.len() < 64
    {
        open.push(name);
        out.push_str(&format!("<{name}>"));
    }
}

/// One line break is a space, each further one a break (section 3).
fn flush(out: &mut String, breaks: &mut usize, verbatim: bool) {
    if *breaks == 1 && !verbatim {
        out.push(' ');
    } else {
        let count = if verbatim { *breaks } else { breaks.saturating_sub(1) };
        for _ in 0..count.min(100) {
            out.push_str("<br>");
        }
    }
    *breaks = 0;
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
