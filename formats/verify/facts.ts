/** Facts that signatures in XML and in JSON have in common. */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { type Certificate, readKnownCertificate } from "../x509/certificate.ts";
import { timestampFact } from "./cms.ts";
import type { Material } from "./material.ts";
import type { Finding } from "./report.ts";
import { finding, type TimestampFacts } from "./signature.ts";

/** The signer's certificate; a finding if it cannot be read. */
export function tryRead(der: Uint8Array | null, findings: Finding[]): Certificate | undefined {
  try {
    return der ? readKnownCertificate(der) : undefined;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    findings.push(finding("certificate_missing", error.message));
    return undefined;
  }
}

interface Stamp {
  kind: "signature" | "archive";
  token: Uint8Array;
  /** Place of the property that holds it; tokens in one property do not cover each other. */
  position: number;
  /** The covered bytes, in pieces. */
  input: Uint8Array | readonly Uint8Array[];
}

/** The facts of timestamps, in the order of the file: an archive timestamp covers the properties before its own. */
export function stampsOf(
  stamps: readonly Stamp[],
  material: Material,
  findings: Finding[],
): TimestampFacts[] {
  const read = stamps.flatMap(({ kind, token, position, input }) => {
    const pieces = input instanceof Uint8Array ? [input] : input;
    try {
      const fact = timestampFact(token, (hash) => digest(hash, ...pieces), material);
      return [{ ...fact, kind, position }];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.push(finding("timestamp_not_accepted", error.message));
      return [];
    }
  });
  return read.reduceRight<(TimestampFacts & { position: number })[]>(
    (later, each) => [
      {
        ...each,
        coveredBy: later.filter(({ kind, position }) =>
          kind === "archive" && position > each.position
        ),
      },
      ...later,
    ],
    [],
  );
}
