// Rich text on the page to write on. Without it, or if a part of it cannot be loaded, the field for plain text stays.
const id = (name) => document.getElementById(name);
const area = id("writing");
const form = area.closest("form");
const [plain, root, bar, dialog, address] = ["text", "editor", "rich", "link", "address"].map(id);
const tools = [...bar.querySelectorAll("[data-tool]")];
const kinds = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/** Images that are not stored yet: their addresses here, and what they are sent as. */
const images = new Map();
let editor = null;
let Editor = null;
/** What the dialog makes a link. */
let linking = null;

const rules = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: ["style", "form", "input", "button", "select", "textarea", "option", "dialog", "video", "audio", "picture", "source"],
  FORBID_ATTR: ["class", "id", "name", "srcset", "target", "action", "ping"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  // Attributes that are no addresses, such as widths, have to fit too: the last two kinds.
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|tel|blob):|\/compose\/(?:templates\/)?image\/\d|[^a-z/]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
};

/** Foreign HTML as nodes for the editor. Images from elsewhere would say who writes, and when. */
function clean(html) {
  const made = DOMPurify.sanitize(html, { ...rules, RETURN_DOM_FRAGMENT: true });
  for (const image of made.querySelectorAll("img")) {
    if (!/^(?:blob:|data:image\/|\/compose\/(?:templates\/)?image\/\d)/.test(image.getAttribute("src") ?? "")) image.remove();
  }
  return document.importNode(made, true);
}

async function load() {
  const [{ default: Squire }] = await Promise.all([import(area.dataset.squire), import(area.dataset.purify)]);
  Editor = class extends Squire {
    // For undo. The fields are Squire's marks of the cursor.
    _setRawHTML(html) {
      const more = { ADD_TAGS: ["input"], FORBID_TAGS: [], FORBID_ATTR: ["class", "name"], SANITIZE_DOM: false };
      return super._setRawHTML(DOMPurify.sanitize(html, { ...rules, ...more, RETURN_TRUSTED_TYPE: true }));
    }
  };
}

async function startRich(html) {
  if (!Editor) await load();
  bar.hidden = false;
  editor = new Editor(root, { sanitizeToDOMFragment: clean, didError: (error) => console.error(error) });
  // Its handles need style attributes, which the page's policy forbids.
  editor._imageResizer?.destroy();
  // Tab goes on to the next field, as everywhere.
  for (const key of ["Tab", "Shift-Tab"]) editor.setKeyHandler(key, null);
  editor.setHTML(html);
  editor.moveCursorToStart();
  for (const event of ["pathChange", "select", "cursor", "input"]) editor.addEventListener(event, press);
  editor.addEventListener("pasteImage", ({ detail }) => insert(detail.clipboardData.files));
  plain.hidden = true;
  named();
  press();
}

function startPlain(text) {
  editor?.destroy();
  editor = null;
  root.replaceChildren();
  bar.hidden = true;
  plain.value = text;
  plain.hidden = false;
  named();
}

/** The switch says what it leads to. */
function named() {
  id("format").textContent = editor ? area.dataset.toPlain : area.dataset.toRich;
  id("format").hidden = false;
}

/** What is sent: images by their names. */
function html() {
  let text = editor.getHTML();
  for (const [url, image] of images) text = text.replaceAll(`"${url}"`, `"cid:${image.id}"`);
  return text.replace(/ src="\/compose\/(?:templates\/)?image\/\d+\//g, ' src="cid:');
}

function say(problem) {
  const place = id("format-problem");
  place.textContent = problem;
  place.hidden = !problem;
}

async function change() {
  say("");
  const to = editor ? "plain" : "rich";
  if (editor?.getRoot().querySelector(":not(div, br)") && !confirm(area.dataset.sure)) return;
  const once = "once" in area.dataset ? "1" : "";
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, to, once, text: editor ? "" : plain.value, html: editor ? html() : "" });
  try {
    const answer = await fetch("/compose/format", { method: "POST", body });
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    if (editor) startPlain(text);
    else await startRich(text);
    (editor ?? plain).focus();
  } catch {
    say(area.dataset.failed);
  }
}

function insert(files) {
  for (const file of files) {
    if (!kinds.includes(file.type)) {
      say(area.dataset.notImage);
      continue;
    }
    const url = URL.createObjectURL(file);
    images.set(url, { id: `${crypto.randomUUID()}@mail`, file });
    editor.insertImage(url, { alt: file.name });
  }
}

const marks = { bold: "B", italic: "I", underline: "U", link: "A", bullets: "UL", numbers: "OL", quote: "BLOCKQUOTE" };
function press() {
  if (!editor) return;
  for (const tool of tools) {
    if (tool.dataset.tool in marks) tool.setAttribute("aria-pressed", editor.hasFormat(marks[tool.dataset.tool]));
  }
}

const either = (name, set, unset) => () => (editor.hasFormat(marks[name]) ? editor[unset]() : editor[set]());
const does = {
  bold: either("bold", "bold", "removeBold"),
  italic: either("italic", "italic", "removeItalic"),
  underline: either("underline", "underline", "removeUnderline"),
  bullets: either("bullets", "makeUnorderedList", "removeList"),
  numbers: either("numbers", "makeOrderedList", "removeList"),
  quote: either("quote", "increaseQuoteLevel", "decreaseQuoteLevel"),
  clear: () => editor.removeAllFormatting(),
  image: () => id("picture").click(),
  link: () => {
    const range = editor.getSelection();
    const start = range.startContainer;
    const link = (start.nodeType === Node.TEXT_NODE ? start.parentNode : start).closest("#editor a");
    // A cursor in a link means all of it.
    if (link && range.collapsed) range.selectNodeContents(link);
    linking = range;
    address.value = link?.getAttribute("href").replace(/^mailto:/, "") ?? "";
    id("link-remove").hidden = !link;
    dialog.showModal();
  },
};

// Not at its `close` event, before which more may be typed.
dialog.addEventListener("submit", (event) => {
  const typed = address.value.trim();
  event.preventDefault();
  dialog.close();
  editor.focus().setSelection(linking);
  if (event.submitter.value === "remove") editor.removeLink();
  else if (event.submitter.value === "set" && typed) {
    editor.makeLink(target(typed));
    // What is typed next follows it, and does not take its place.
    const range = editor.getSelection();
    range.collapse(false);
    editor.setSelection(range);
  }
  press();
});

/** What was typed as an address: only of the web, of mail or of a telephone. */
function target(typed) {
  if (/^(?:https?|mailto|tel):/i.test(typed)) return typed;
  return /^[^\s/:]+@[^\s/:]+$/.test(typed) ? `mailto:${typed}` : `https://${typed}`;
}

id("format").addEventListener("click", change);
id("text-label").addEventListener("click", () => editor?.focus());
id("picture").addEventListener("change", ({ target: field }) => {
  insert(field.files);
  field.value = "";
});
bar.addEventListener("click", (event) => {
  const tool = event.target.closest("[data-tool]");
  if (!tool || !editor) return;
  does[tool.dataset.tool]();
  press();
});
// The selection stays where it is.
bar.addEventListener("mousedown", (event) => event.target.closest("[data-tool]") && event.preventDefault());
// One stop of the Tab key for all buttons; arrows go from one to the next.
bar.querySelector(".toolbar").addEventListener("keydown", (event) => {
  const at = tools.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const next = tools.at(to % tools.length);
  for (const tool of tools) tool.tabIndex = tool === next ? 0 : -1;
  next.focus();
});
root.addEventListener("keydown", (event) => {
  if (editor && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key === "k") {
    event.preventDefault();
    does.link();
  }
});
// Files go into the text where they are dropped, and never take the page's place.
root.addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
root.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const range = document.caretRangeFromPoint?.(event.clientX, event.clientY);
  if (range && root.contains(range.startContainer)) editor.setSelection(range);
  insert(event.dataTransfer.files);
}, true);
form.addEventListener("formdata", ({ formData }) => {
  if (!editor) return;
  const text = html();
  formData.set("rich", "1");
  formData.set("html", text);
  formData.set("text", "");
  for (const image of images.values()) if (text.includes(`"cid:${image.id}"`)) formData.append("image", image.file, image.id);
});
if ("rich" in area.dataset) startRich(id("html").value).catch(() => startPlain(plain.value));
else named();
