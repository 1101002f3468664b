/**
 * Fields and comments that readers draw by themselves (ISO 32000-2 §12.5, §12.7), each as it thinks fit, or not at all:
 * those without an appearance, those whose value is to stand in for theirs, and forms of another kind (XFA).
 */
import { odd } from "./content.ts";
import type { PdfDocument } from "./document.ts";
import { PdfLexer } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import {
  fromLatin1,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  PdfString,
  type PdfValue,
  textOf,
} from "./value.ts";

/** Comments that some readers draw without an appearance. */
const DRAWN = new Set(
  ["FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Ink", "Stamp"],
);
/** Of these, some readers draw a picture of their own although they have an appearance, or nothing. */
const PICTURED = new Set(["FileAttachment", "Sound", "Movie"]);
const POPUPS = new Set(["Popup", "Link"]);
/** A picture that may be another one, in points; a border of a link. */
const MAX_PICTURE = 72, MAX_BORDER = 6;
const INVISIBLE = 1, HIDDEN = 2 | 32;
const PASSWORD = 1 << 13, COMBO = 1 << 17, PUSH = 1 << 16;
const MAX_PARENTS = 32;

/** Whether the values of fields are drawn anew when the document is opened. */
export function isDrawnAnew(document: PdfDocument): boolean {
  const form = document.dict(document.catalog().value, "AcroForm");
  return form !== undefined && document.get(form, "NeedAppearances") === true;
}

/** Whether a form has no fields but those of XFA: some readers draw it then, others the pages. */
export function isXfaAlone(document: PdfDocument): boolean {
  const form = document.dict(document.catalog().value, "AcroForm");
  if (!form || document.get(form, "XFA") === null) return false;
  return (document.array(form, "Fields")?.items ?? []).length === 0;
}

/**
 * @param isAnew see {@linkcode isDrawnAnew}
 * @param spend is told how many bytes were decoded for it
 */
export function checkAnnotation(
  document: PdfDocument,
  annotation: PdfDict,
  isAnew: boolean,
  spend: (bytes: number) => void,
): void {
  const flags = document.number(annotation, "F") ?? 0;
  if (flags & HIDDEN) return;
  const subtype = document.get(annotation, "Subtype");
  const normal = appearanceOf(document, annotation);
  if (normal && !(subtype instanceof PdfName)) odd();
  if (normal && flags & INVISIBLE) odd();
  const kind = subtype instanceof PdfName ? subtype.value : "";
  if (kind === "Widget") {
    return checkWidget(document, annotation, normal, (value) => {
      if (isAnew) checkShown(document, annotation, value, spend);
    });
  }
  if (!normal) {
    if (DRAWN.has(kind)) odd();
    if (kind === "Link") checkBorder(document, annotation);
  } else if (POPUPS.has(kind)) odd();
  else if (PICTURED.has(kind)) {
    const [left, bottom, right, top] = document.fourNumbers(annotation.get("Rect")) ?? odd();
    if (Math.abs(right - left) > MAX_PICTURE || Math.abs(top - bottom) > MAX_PICTURE) odd();
  }
}

/** A stream, or states; undefined where there is neither. */
function appearanceOf(document: PdfDocument, annotation: PdfDict): PdfValue | undefined {
  const appearances = document.dict(annotation, "AP");
  const normal = appearances && document.get(appearances, "N");
  return normal instanceof PdfStream || normal instanceof PdfDict ? normal : undefined;
}

function checkBorder(document: PdfDocument, link: PdfDict): void {
  const style = document.dict(link, "BS");
  const border = document.array(link, "Border");
  const width = style ? document.get(style, "W") : document.resolve(border?.items[2]);
  if (typeof width === "number" && width > MAX_BORDER) odd();
}

function checkWidget(
  document: PdfDocument,
  widget: PdfDict,
  normal: PdfValue | undefined,
  checkShown: (value: PdfValue) => void,
): void {
  const type = inherited(document, widget, "FT");
  const flags = inherited(document, widget, "Ff");
  const isFlagged = (flag: number) => typeof flags === "number" && (flags & flag) !== 0;
  const value = inherited(document, widget, "V");
  if (!(type instanceof PdfName)) return normal ? odd() : undefined;
  switch (type.value) {
    case "Tx":
      if (isEmpty(document, value)) return;
      if (normal) return checkShown(value);
      if (isFlagged(PASSWORD) || inherited(document, widget, "RV") !== null) odd();
      return;
    case "Ch":
      if (isEmpty(document, value)) return;
      if (normal) return checkShown(value);
      if (!isFlagged(COMBO)) odd();
      return;
    case "Btn":
      if (!isFlagged(PUSH) && !normal && isOn(document, widget, value)) odd();
  }
}

/** What is drawn anew must be the text that is drawn, as far as both are ASCII. */
function checkShown(
  document: PdfDocument,
  widget: PdfDict,
  value: PdfValue,
  spend: (bytes: number) => void,
): void {
  const wanted = value instanceof PdfString ? textOf(value) : "";
  const ref = document.dict(widget, "AP")?.get("N");
  const object = ref instanceof PdfRef ? document.object(ref) : undefined;
  if (!(object?.value instanceof PdfStream) || !isAscii(wanted)) return;
  const data = document.streamData(object);
  spend(data.length);
  const shown = stringsOf(data).join("");
  // LibreOffice leaves an appearance empty. Then a reader shows the value or nothing, and no other text.
  if (shown !== "" && isAscii(shown) && squeezed(shown) !== squeezed(wanted)) odd();
}

const isAscii = (text: string) => /^[\t\n\r -~]*$/.test(text);
const squeezed = (text: string) => text.replace(/\s+/g, "");

/** Strings that content shows, up to one that does not end. */
function stringsOf(data: Uint8Array): string[] {
  const lexer = new PdfLexer(data);
  const strings: string[] = [];
  for (let at = 0; at < data.length; at++) {
    if (data[at] === LESS && data[at + 1] === LESS) at++;
    else if (data[at] === OPEN || data[at] === LESS) {
      lexer.pos = at;
      const value = unlessMalformed(() => lexer.value());
      if (!(value instanceof PdfString)) break;
      strings.push(fromLatin1(value.bytes));
      at = lexer.pos - 1;
    }
  }
  return strings;
}

const OPEN = 0x28, LESS = 0x3c;

const isOn = (document: PdfDocument, widget: PdfDict, value: PdfValue) => {
  const state = document.get(widget, "AS") ?? value;
  return state instanceof PdfName && state.value !== "Off";
};

function isEmpty(document: PdfDocument, value: PdfValue): boolean {
  if (value instanceof PdfString) return value.bytes.length === 0;
  if (value instanceof PdfArray) return value.items.every((each) => isEmpty(document, each));
  return value === null;
}

/** An entry of a field, which may stand in a field above it. */
function inherited(document: PdfDocument, field: PdfDict, key: string): PdfValue {
  let at: PdfDict | undefined = field;
  for (let i = 0; at && i < MAX_PARENTS; i++) {
    const value = document.get(at, key);
    if (value !== null) return value;
    at = document.dict(at, "Parent");
  }
  return null;
}
