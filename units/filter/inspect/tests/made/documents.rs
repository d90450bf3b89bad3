//! Documents with macros and objects, as small as they get.

use super::archives::ole;

/// A source as VBA keeps it, of literals only ([MS-OVBA] 2.4.1).
pub(crate) fn compress(source: &[u8]) -> Vec<u8> {
    let mut container = vec![1];
    for chunk in source.chunks(3600) {
        let tokens: Vec<u8> = chunk.chunks(8).flat_map(|group| [&[0], group].concat()).collect();
        container.extend_from_slice(&(0xb000 | (tokens.len() - 1) as u16).to_le_bytes());
        container.extend(tokens);
    }
    container
}

/// A project with one module. `before` stands where compiled code does.
pub(crate) fn project(root: &str, code: &str) -> Vec<(String, Vec<u8>)> {
    let source = format!("Attribute VB_Name = \"Module1\"\r\n{code}");
    let module = [b"compiled code".to_vec(), compress(source.as_bytes())].concat();
    vec![
        (format!("{root}/VBA/_VBA_PROJECT"), vec![0xcc, 0x61, 0, 0, 0, 0, 0]),
        (format!("{root}/VBA/dir"), compress(b"directory")),
        (format!("{root}/VBA/Module1"), module),
    ]
}

fn borrowed(streams: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    streams.iter().map(|(path, content)| (path.as_str(), content.clone())).collect()
}

/// A Word document before 2007 with a macro.
pub(crate) fn doc(code: &str) -> Vec<u8> {
    let mut streams = project("/Macros", code);
    streams.push(("/WordDocument".into(), vec![0; 4096]));
    ole(&borrowed(&streams))
}

/// The `vbaProject.bin` of later ones.
pub(crate) fn vba_project(code: &str) -> Vec<u8> {
    ole(&borrowed(&project("", code)))
}

/// An OOXML document with these parts.
pub(crate) fn ooxml(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let types: (&str, &[u8]) = ("[Content_Types].xml", b"<?xml version=\"1.0\"?><Types/>");
    super::archives::zip(&[&[types], parts].concat())
}

/// A file embedded by the packager ([MS-OLEDS] 2.3.6).
pub(crate) fn native(name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = vec![2, 0];
    for text in [name, "C:\\x"] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.extend_from_slice(&[0, 0, 3, 0, 5, 0, 0, 0]);
    body.extend_from_slice(b"C:\\x\0");
    body.extend_from_slice(&(content.len() as u32).to_le_bytes());
    body.extend_from_slice(content);
    [(body.len() as u32).to_le_bytes().to_vec(), body].concat()
}
