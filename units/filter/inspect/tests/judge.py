"""Compares the findings of mailkiln-inspect with the verdicts of oletools. Called by `oletools`."""
import collections
import io
import logging
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from oletools import msodde, oleobj, rtfobj
from oletools.olevba import VBA_Parser

logging.disable(logging.CRITICAL)
W = "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'"
TYPES = (
    "<?xml version='1.0'?><Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'>"
    "<Default Extension='xml' ContentType='application/xml'/><Default Extension='rels' "
    "ContentType='application/vnd.openxmlformats-package.relationships+xml'/><Override PartName='/word/document.xml' "
    "ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>"
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "<?xml version='1.0'?><Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>{}</Relationships>"


def word(body, relations=""):
    """A Word document with this body, and these relationships of it."""
    file = io.BytesIO()
    main = f"<Relationship Id='r1' Type='{OFFICE}/officeDocument' Target='word/document.xml'/>"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", RELATIONS.format(main))
        archive.writestr("word/document.xml", f"<?xml version='1.0'?><w:document {W}><w:body>{body}</w:body></w:document>")
        archive.writestr("word/_rels/document.xml.rels", RELATIONS.format(relations))
    return file.getvalue()


def field(*pieces):
    run = "<w:r>{}</w:r>".format
    begin, end = (f"<w:fldChar w:fldCharType='{kind}'/>" for kind in ("begin", "end"))
    texts = "".join(run(f"<w:instrText>{piece}</w:instrText>") for piece in pieces)
    return f"<w:p>{run(begin)}{texts}{run(end)}</w:p>"


def external(kind, target):
    return f"<Relationship Id='r9' Type='{OFFICE}/{kind}' Target='{target}' TargetMode='External'/>"


def by_hand():
    package = b"\x01\x05\0\0\x02\0\0\0\x08\0\0\0Package\0" + bytes(8)
    native = b"\x02\0a.txt\0C:\\a.txt\0\0\0\x03\0\x09\0\0\0C:\\a.txt\0\x05\0\0\0hello"
    package += len(native).to_bytes(4, "little") + native
    return {
        "dde.docx": word(field("DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe ", "\"/k calc\"")),
        "dde-split.docx": word(field("DDE", "AUTO c:\\\\x \"y\"")),
        "dde-quoted.docx": word(field("QUOTE 68 68 69 65 85 84 79 32 120 32 121")),
        "dde-simple.docx": word("<w:p><w:fldSimple w:instr='DDEAUTO \"x\" \"y\"'/></w:p>"),
        "page.docx": word(field("PAGE \\* MERGEFORMAT")),
        "dde.rtf": b"{\\rtf1{\\field{\\*\\fldinst { DDEAUTO cmd.exe \"/c calc\" }}}}",
        "dde.csv": b"name,value\r\nx,=cmd|'/c calc'!A0\r\n",
        "sum.csv": b"name,value\r\nx,=SUM(A1:A2)\r\n",
        "template.docx": word("<w:p/>", external("attachedTemplate", "http://x.example/a.dotm")),
        "object.docx": word("<w:p/>", external("oleObject", "http://x.example/a.html")),
        "link.docx": word("<w:p/>", external("hyperlink", "http://x.example/")),
        "package.rtf": b"{\\rtf1{\\object\\objemb{\\*\\objdata " + package.hex().encode() + b"}}}",
    }


def macros(path):
    if path.suffix in (".csv", ".rtf"):
        return None
    parser = VBA_Parser(str(path))
    if not parser.detect_vba_macros():
        return None
    sources = [code for *_, code in parser.extract_macros()]
    if not any(line and not line.lower().startswith(("attribute", "option", "rem ")) for code in sources for line in code.splitlines()):
        return None
    kinds = {kind for kind, *_ in parser.analyze_macros() or []}
    return "auto-macro" if kinds & {"AutoExec", "Suspicious"} else "macro"


def is_active(path):
    data = path.read_bytes()
    if path.suffix == ".rtf" and rtfobj.RtfObjParser(data):
        parser = rtfobj.RtfObjParser(data)
        parser.parse()
        if parser.objects:
            return True
    if path.suffix == ".docx":
        with zipfile.ZipFile(path):
            fetched = {"attachedTemplate", "oleObject", "frame"}
            parser = oleobj.XmlParser(str(path))
            if any(kind in fetched for kind, _ in oleobj.find_external_relationships(parser)):
                return True
    try:
        found = msodde.process_file(str(path), msodde.FIELD_FILTER_DDE)
    except Exception as error:  # It knows no OpenDocument, and raises many kinds.
        print(f"  msodde can't read {path.name}: {type(error).__name__}")
        return None
    return bool(found.strip())


# oletools don't read OpenDocument: the expectation is what was put in.
OPEN_DOCUMENTS = {
    "plain": set(), "sum": {"macro"}, "opens": {"auto-macro"}, "runs": {"auto-macro"}, "locked": {"encrypted-archive"},
    "dde": {"active-document"},
}


def main():
    findings, fixtures = sys.argv[1], pathlib.Path(sys.argv[2])
    folder = pathlib.Path(tempfile.mkdtemp())
    for name, content in by_hand().items():
        (folder / name).write_bytes(content)
    paths = sorted(fixtures.iterdir()) + sorted(folder.iterdir())
    ours = collections.defaultdict(set)
    output = subprocess.run([findings, *map(str, paths)], check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        path, kind, _ = line.split("\t")
        if kind != "none":
            ours[pathlib.Path(path)].add(kind)
    failed = 0
    for path in paths:
        if path.suffix in (".ods", ".odt"):
            theirs = OPEN_DOCUMENTS[path.stem]
        else:
            theirs = {kind for kind in (macros(path), "active-document" if is_active(path) else None) if kind}
        agree = ours[path] == theirs
        failed += not agree
        print(f"  {'ok' if agree else 'DIFFERENT'} {path.name}: {', '.join(sorted(theirs)) or 'nothing'}", end="")
        print("" if agree else f"; here {', '.join(sorted(ours[path])) or 'nothing'}")
    print(f"{len(paths)} documents, {failed} verdicts differ")
    sys.exit(failed > 0)


main()
