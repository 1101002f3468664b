import { FormatError } from "../error.ts";
import { isZip } from "../asic/zip.ts";
import { isPdf } from "../shown.ts";
import type { Source } from "../source.ts";
import { isArmoured } from "./armour.ts";
import type { VerifiedFormat } from "./report.ts";

const HEAD = 4096;
/** Of text that may stand before a PEM block. */
const ARMOUR_HEAD = 256 * 1024;
const latin1 = new TextDecoder("latin1");

/**
 * Tells the format from the content; names of files prove nothing.
 *
 * @throws {FormatError} `not_found` if it is none that can be verified
 */
export function detectFormat(source: Source): VerifiedFormat {
  const head = source.read(0, HEAD);
  const text = latin1.decode(head).replace(
    /^(?:\xef\xbb\xbf)?\s+|^\xef\xbb\xbf/,
    "",
  );
  if (text.startsWith("%PDF-")) return "pdf";
  if (isZip(head)) return "asic";
  if (head[0] === 0x30 || isArmoured(text)) return "cms";
  // Also UTF-16, with or without a byte order mark.
  if (text.startsWith("<") || /^(?:\xff\xfe<\0|\xfe\xff\0<|<\0|\0<)/.test(text)) return "xml";
  if (text.startsWith("{")) return isRoute(source) ? "route" : "jws";
  if (COMPACT.test(text)) return "jws";
  // Behind other bytes; after all others, for each of them may hold a PDF.
  if (isPdf(head)) return "pdf";
  // Text may stand before a PEM block, as `openssl -text` writes it.
  if (isArmoured(latin1.decode(source.read(0, ARMOUR_HEAD)))) return "cms";
  throw new FormatError(
    "not_found",
    "The file contains no signature that D-Sign can check. Choose a signed PDF, XML, JSON or CMS file, a container (ASiC), or a signing route.",
  );
}

/** RFC 7515 §7.1: the header in BASE64URL begins with `{`; it may be longer than what is looked at. */
const COMPACT = /^e[w-z0-9_-][\w-]*(?:\.|$)/;

/** The members' names tell; whether it is well-formed is seen later. */
function isRoute(source: Source): boolean {
  const head = new TextDecoder("latin1").decode(source.read(0, HEAD));
  return /^\s*\{\s*"(?:route|statements)"\s*:/.test(head.replace(/^\xef\xbb\xbf/, ""));
}
