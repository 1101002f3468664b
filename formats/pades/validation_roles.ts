/** Allowed differences in validation data. */
import type { Comparison } from "./compare.ts";
import type { Path } from "./difference.ts";
import { unlessMalformed } from "../pdf/malformed.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { PdfArray, PdfDict, PdfRef, PdfStream, type PdfValue } from "../pdf/value.ts";

export function dss(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  if (a !== null) return validationData(c, a, b, path);
  if (b !== null) c.report({ kind: "validation_data", name: "DSS" });
  c.free(b);
}

/** A DSS or VRI dictionary: its lists of streams may grow (EN 319 142-1 §5.4.2), under whatever numbers. */
export function validationData(c: Comparison, a: PdfValue, b: PdfValue, path: Path): void {
  const before = c.resolve("before", a), after = c.resolve("after", b);
  if (!(before instanceof PdfDict) || !(after instanceof PdfDict)) {
    return c.doubt(path, "Validation data were removed.");
  }
  c.dicts(before, after, path, (key) => {
    if (key === "VRI") return "vri";
    // When a VRI was made.
    if (key === "TU" || key === "TS") return "free";
    if (key === "Type") return "free";
    if (!/^(Certs?|CRLs?|OCSPs?)$/.test(key)) return "strict";
    return (x, y, step) => {
      const old = valuesOf(c.before, x), young = valuesOf(c.after, y);
      c.free(x, y);
      if (!old || !young) return c.refuse(step);
      if (!old.isSubsetOf(young)) c.doubt(step, "Validation data were removed.");
      if (young.size > old.size) c.report({ kind: "validation_data", name: "DSS" });
    };
  });
}

/** The data of each stream of an array, in hexadecimal digits; `undefined` where something else is in it. */
function valuesOf(document: PdfDocument, value: PdfValue): Set<string> | undefined {
  const list = document.resolve(value);
  if (list === null) return new Set();
  if (!(list instanceof PdfArray)) return undefined;
  const out = new Set<string>();
  for (const item of list.items) {
    const object = item instanceof PdfRef ? document.object(item) : undefined;
    if (!(object?.value instanceof PdfStream)) return undefined;
    const data = unlessMalformed(() => document.streamData(object));
    if (!data) return undefined;
    out.add(data.toHex());
  }
  return out;
}
