/** Verifying with what the network can tell, where that is wanted. */
import { FormatError } from "../formats/error.ts";
import { bytesSource, type Source } from "../formats/source.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { type PkiFetch, PkiHttp, publicFetch } from "../online/pki_http.ts";
import { fetchFor } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import { type RouteReport, VerificationReport } from "../protocol/report.ts";
import { askInSteps } from "../reader/steps.ts";
import type { Document } from "./documents.ts";
import type { Material, VerifyInput } from "./questions.ts";
import type { DocumentReader } from "./reading.ts";

/** Each costs another reading of the file. */
const MAX_CONTENTS = 100;

/** A file to verify. */
export interface SignedFile {
  source: Source;
  /** Opens an encrypted PDF. */
  password?: string;
  /** Certificates (DER) that signatures may not hold: the signer's, and those that lead to a root. */
  certificates?: Uint8Array[];
  /**
   * Content that stands elsewhere, or null where it is not at hand.
   *
   * @param name as the signature names it (XML, routes); null where it gives no name
   */
  content(name: string | null): Source | null;
}

export interface VerifyOptions
  extends Pick<VerifyInput, "revocation" | "pan" | "departmentalPolicies"> {
  now: Date;
  /** Certificates that are trusted because the person or administrator says so. */
  anchors: readonly Certificate[];
  /** Where given, issuers, OCSP answers and CRLs are fetched for what is in the file, once. */
  http?: PkiHttp;
  /** For whom it is read: see the reader's. */
  origin?: string;
  signal?: AbortSignal;
}

/**
 * Verifies a file.
 *
 * @returns the report; what could not be fetched, in sentences; whether content that stands elsewhere was asked for
 * @throws {FormatError} as `verifyFile`, and `too_costly`
 */
export async function verify(
  reader: DocumentReader,
  file: SignedFile,
  { now, anchors, http, origin, signal, ...how }: VerifyOptions,
): Promise<{ report: VerificationReport; problems: string[]; isDetached: boolean }> {
  const trusted = anchors.map(({ der }) => der);
  const contents: VerifyInput["contents"] = [];
  const documents = [file.source];
  const asking = { documents, origin, signal };
  const judged = async (material?: Material) => {
    for (;;) {
      const answer = await reader.ask("verify", {
        now: now.toISOString(),
        anchors: trusted,
        password: file.password,
        certificates: file.certificates,
        ...how,
        material,
        contents,
      }, asking);
      if (!("wanted" in answer)) return answer;
      if (contents.length >= MAX_CONTENTS) {
        throw new FormatError("limit_exceeded", "The signatures refer to too many other files.");
      }
      const content = file.content(answer.wanted);
      contents.push([answer.wanted, content && documents.push(content) - 1]);
    }
  };
  const told = (report: VerificationReport, problems: string[]) => ({
    report: VerificationReport.parse(report),
    problems,
    isDetached: contents.length > 0,
  });
  const { report, ends, known } = await judged();
  if (!http || ends.length === 0) return told(report, []);
  const { problems, ...material } = await askInSteps(
    (done) =>
      reader.ask("evidence", { ends, known, anchors: trusted, now: now.toISOString(), done }, {
        origin,
        signal,
      }),
    (step) => fetchFor(http, step),
  );
  return told((await judged(material)).report, problems);
}

export interface VerificationOptions {
  reader: DocumentReader;
  /** The trusted root certificates; asked for each time, as their folders may be filled meanwhile. */
  anchors: () => Promise<readonly Certificate[]>;
  /** Of pages' documents. Default: `require`. */
  revocation?: VerifyInput["revocation"];
  /** Policies of departments' own PIN/OTP services, as configured. */
  departmentalPolicies?: string[];
  pkiFetch?: PkiFetch;
  now: () => Date;
}

/**
 * Where a signing route stands, without the network: a step counts only by certificates that lead to a trusted root of
 * this computer.
 *
 * @param origin for whom it is read: see the reader's
 * @throws {FormatError} `route_malformed`
 */
export async function routeStatus(
  route: string,
  { reader, anchors, now, departmentalPolicies }: Omit<VerificationOptions, "pkiFetch">,
  { origin, signal }: { origin?: string; signal: AbortSignal },
): Promise<RouteReport> {
  const source = bytesSource(new TextEncoder().encode(route));
  const { report } = await verify(reader, { source, content: () => null }, {
    now: now(),
    anchors: await anchors(),
    revocation: "if_available",
    departmentalPolicies,
    origin,
    signal,
  });
  if (report.route) return report.route;
  const wrong = report.findings.find(({ code }) => code === "route_wrong");
  throw new FormatError("route_malformed", wrong?.message ?? "The file is not a signing route.");
}

/** Verifies documents that pages have opened. */
export class Verification {
  constructor(readonly options: VerificationOptions) {}

  /**
   * @throws {DsignError} `document_incomplete`; `invalid_params` where it was not kept, or where nothing in it is about
   *   `content`; {FormatError}
   */
  async document(
    document: Document,
    content: Document | undefined,
    { online, pan, origin, signal }: {
      online: boolean;
      pan?: string;
      origin: string;
      signal: AbortSignal;
    },
  ): Promise<VerificationReport> {
    const { reader, departmentalPolicies, pkiFetch = publicFetch(), revocation, now } =
      this.options;
    const anchors = await this.options.anchors();
    const http = online ? new PkiHttp(pkiFetch, signal) : undefined;
    const verified = () => {
      const signed = content ? keptOf(content) : null;
      const file = { source: keptOf(document), content: () => signed };
      return verify(reader, file, {
        now: now(),
        anchors,
        revocation,
        departmentalPolicies,
        http,
        pan,
        origin,
        signal,
      });
    };
    const held = content ? () => content.held(verified) : verified;
    const { report, isDetached } = await document.held(held);
    if (content && !isDetached && report.signatures.length > 0) {
      throw new DsignError(
        "invalid_params",
        "content: the document already holds the signed content, so it takes no other.",
      );
    }
    return report;
  }
}

/** @throws {DsignError} `document_incomplete`; `invalid_params` where it was not kept */
export function keptOf(document: Document): Source {
  document.digest(); // it is complete
  if (!document.kept) {
    throw new DsignError("invalid_params", "The document was not opened with `keep`.");
  }
  return document.kept;
}
