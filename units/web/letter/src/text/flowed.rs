//! `format=flowed`: <https://www.rfc-editor.org/rfc/rfc3676>

/// Columns of a flowed line, with the space at its end (section 4.2).
const WIDTH: usize = 76;

/// How many quote signs a line begins with, and what follows them.
fn depth(line: &str) -> (usize, &str) {
    let depth = line.bytes().take_while(|one| *one == b'>').count();
    (depth, &line[depth..])
}

/// Joins the lines that were broken only to fit (section 4.1). `delsp` is the parameter of that name.
/// Quote depth stays in front of each line as `>` signs and a space.
pub fn unflow(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut current: Option<(usize, String)> = None;
    for line in text.lines() {
        let (level, rest) = depth(line);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let is_signature = rest == "-- ";
        let joins = matches!(&current, Some((at, _)) if *at == level) && !is_signature;
        if !joins && let Some((at, text)) = current.take() {
            push_line(&mut out, at, &text);
        }
        let mut text = current.take().map_or_else(String::new, |(_, text)| text);
        let flows = rest.ends_with(' ') && !is_signature;
        text.push_str(if flows && delsp { rest.strip_suffix(' ').unwrap_or(rest) } else { rest });
        if flows {
            current = Some((level, text));
        } else {
            push_line(&mut out, level, &text);
        }
    }
    if let Some((at, text)) = current {
        push_line(&mut out, at, &text);
    }
    out
}

fn push_line(out: &mut String, level: usize, text: &str) {
    if level > 0 {
        out.push_str(&">".repeat(level));
        out.push(' ');
    }
    out.push_str(text.trim_end_matches(|one| one == ' ' && text != "-- "));
    out.push('\n');
}

/// Breaks lines so that they flow again on the other side (section 4.2): at most 76 columns, a space at
/// the end of each that goes on, a space in front of what would be taken for a quote or `From `.
pub fn flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 50);
    for line in text.lines() {
        let (level, rest) = depth(line);
        let rest = if level > 0 { rest.strip_prefix(' ').unwrap_or(rest) } else { rest };
        let lead = ">".repeat(level);
        let line = if rest == "-- " { rest } else { rest.trim_end() };
        let width = WIDTH.saturating_sub(level + 2).max(20);
        let mut left = line;
        loop {
            let (piece, next) = break_at(left, width);
            out.push_str(&lead);
            let stuffed = level > 0 || piece.starts_with([' ', '>']) || piece.starts_with("From ");
            if stuffed {
                out.push(' ');
            }
            out.push_str(piece);
            out.push_str("\r\n");
            match next {
                Some(next) => left = next,
                None => break,
            }
        }
    }
    out
}

/// The part of a line that fits, with the space at its end, and the rest.
fn break_at(line: &str, width: usize) -> (&str, Option<&str>) {
    if line.chars().count() <= width {
        return (line, None);
    }
    let end = line.char_indices().nth(width).map_or(line.len(), |(at, _)| at);
    let space = line[..end].rfind(' ').filter(|at| !line[..*at].trim().is_empty());
    // A word that is too long stays whole up to the next space.
    let space = space.or_else(|| line[end..].find(' ').map(|at| end + at));
    match space {
        Some(at) if !line[at + 1..].is_empty() => (&line[..=at], Some(&line[at + 1..])),
        _ => (line, None),
    }
}
