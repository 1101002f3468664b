/**
 * Signed XML, changed as an attacker or a careless program would: parts doubled, moved, wrapped, renamed, written in
 * another way. What two strict readers make of each must be the same.
 */
import { signXml } from "../fixtures/signed_files.ts";
import { makePki, type Pki } from "../fixtures/pki.ts";
import { parseXml } from "../../formats/xml/document.ts";
import { descendants, type XmlElement } from "../../formats/xml/tree.ts";

const ORDER =
  `<?xml version="1.0"?>\n<!-- sanction --><o:order xmlns:o="urn:o" xmlns="urn:d" n='7' o:k="a&#xA;b">` +
  `<item xml:lang="bn">সেতু &amp; <![CDATA[<রাস্তা>]]></item>\n  <amount unit="INR">1200.00</amount>` +
  `<e/><p:q xmlns:p="urn:p" p:r="1"><s xmlns=""/></p:q><?go on?></o:order><!-- end -->\n`;

export interface Seeds {
  pki: Pki;
  texts: string[];
}

export function makeSeeds(now = new Date()): Seeds {
  const pki = makePki({ now, officers: [{ name: "Asha", key: "p-256" }] });
  const [asha] = pki.officers;
  const document = new TextEncoder().encode(ORDER);
  const signed = [
    signXml(asha, { kind: "enveloped", document }),
    signXml(asha, { kind: "enveloped", document, single: true }, { plain: true }),
    signXml(asha, { kind: "enveloping", content: document, mediaType: "application/xml" }),
  ];
  return { pki, texts: signed.map((bytes) => new TextDecoder().decode(bytes)) };
}

/** Numbers below `n`, the same for the same seed (mulberry32). */
type Pick = (n: number) => number;

function picker(seed: number): Pick {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const ODD = [
  ...[
    "\u0085",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "\u200b",
    "\r",
    "\r\n",
    "\t",
    "&#13;",
    "&#x85;",
    "&amp;",
  ],
  ...[
    "<!---->",
    "<!--x-->",
    "<?x?>",
    "<![CDATA[]]>",
    "<![CDATA[x]]>",
    "x",
    " ",
    "&#x20;",
    "é",
    "\ud83d\ude00",
  ],
];
const DECLARATIONS = [
  ...[' xmlns="urn:e"', ' xmlns=""', ' xmlns:o="urn:x"', ' xmlns:ds="urn:x"', ' xmlns:z="urn:z"'],
  ...[' xml:space="preserve"', ' Id="dsign-1"', ' z="1"', ' xmlns:o="urn:o"', ' xml:base="a"'],
];

/** One changed document. */
export function mutant({ texts }: Seeds, index: number): string {
  const pick = picker(index);
  let text = texts[pick(texts.length)];
  for (let changes = 1 + pick(2); changes > 0; changes--) text = change(text, pick);
  return text;
}

function change(text: string, pick: Pick): string {
  let elements: XmlElement[];
  try {
    const { root } = parseXml(new TextEncoder().encode(text));
    elements = [root, ...descendants(root)];
  } catch {
    return text; // broken by the first change already
  }
  const { span, name } = elements[pick(elements.length)];
  const other = elements[pick(elements.length)].span;
  const { start, contentStart, contentEnd, end } = span;
  const put = (at: number, what: string) => text.slice(0, at) + what + text.slice(at);
  const whole = text.slice(start, end);
  const inTag = start + 1 + name.length;
  switch (pick(14)) {
    case 0: // double
      return put(end, whole);
    case 1: // take out
      return text.slice(0, start) + text.slice(end);
    case 2: // bring in from elsewhere
      return put(contentEnd === end ? end : contentEnd, text.slice(other.start, other.end));
    case 3: // wrap
      return text.slice(0, start) + `<w>${whole}</w>` + text.slice(end);
    case 4: // unwrap
      return contentEnd === end
        ? text
        : text.slice(0, start) + text.slice(contentStart, contentEnd) + text.slice(end);
    case 5: // declare something
      return put(inTag, DECLARATIONS[pick(DECLARATIONS.length)]);
    case 6: // white space in tags
      return put(
        contentStart - (text[contentStart - 2] === "/" ? 2 : 1),
        [" ", "\n", "\t"][pick(3)],
      );
    case 7: // something odd in the content
      return contentEnd === end ? text : put(contentStart, ODD[pick(ODD.length)]);
    case 8:
      return contentEnd === end ? text : put(contentEnd, ODD[pick(ODD.length)]);
    case 9: { // a character written as a reference, or changed
      const at = contentStart + pick(Math.max(1, contentEnd - contentStart));
      if (/[<>&\n]/.test(text[at] ?? "<")) return text;
      const reference = pick(2) === 0 ? `&#${text.codePointAt(at)};` : ODD[pick(ODD.length)];
      return text.slice(0, at) + reference + text.slice(at + 1);
    }
    case 10: // other line ends
      return text.replaceAll("\n", ["\r\n", "\r", "\u2028", "\u0085"][pick(4)]);
    case 11: // other quotes
      return text.slice(0, start) +
        text.slice(start, contentStart).replaceAll(/"([^"']*)"/g, "'$1'") +
        text.slice(contentStart);
    case 12: // an empty element in two tags, or the other way round
      return contentEnd === end
        ? `${text.slice(0, end - 2)}></${name}>${text.slice(end)}`
        : contentStart === contentEnd
        ? `${text.slice(0, contentStart - 1)}/>${text.slice(end)}`
        : text;
    default: // swap two parts that do not overlap
      if (end <= other.start) {
        return text.slice(0, start) + text.slice(other.start, other.end) +
          text.slice(end, other.start) + whole + text.slice(other.end);
      }
      return text;
  }
}
