/** The questions about strangers' documents that agent and command line ask; a reader answers them. */
import { readCrl } from "../formats/x509/crl.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { readOcspResponse } from "../formats/x509/ocsp.ts";
import {
  readFacts,
  type VerificationReport,
  type VerifyContent,
  verifyFile,
  type VerifyOptions,
} from "../formats/verify/verify.ts";
import { digest } from "../formats/digest.ts";
import { permitsSigning } from "../formats/pades/locks.ts";
import { readRoute } from "../formats/json/route.ts";
import type { DigestName, HashName } from "../formats/signer.ts";
import { augment, type RaisedLevel } from "../online/augment.ts";
import type { Level } from "../online/pades.ts";
import { lastsUntil } from "../formats/verify/lasting.ts";
import { type LevelStep, questions as onlineQuestions, servicesOf } from "../online/questions.ts";
import { type Done, inSteps } from "../reader/steps.ts";
import type { ReadDocument } from "../reader/worker.ts";
import { Content } from "./content.ts";
import {
  checkData,
  type DataHow,
  type DataSigner,
  given,
  raiseLast,
  routeDocument,
  signData,
  type SignedFileHow,
  signRoute,
  signStatement,
} from "./data.ts";
import {
  checkContainer,
  type ContainerHow,
  type ContainerInput,
  signContainer,
} from "./container.ts";
import { factsOf } from "./pdf_facts.ts";
import type { Trust } from "./proven.ts";

/** Detached content is read whole only where it is no larger, in bytes. */
const MAX_WHOLE = 64 * 1024 * 1024;

/** Certificates and what says whether they are revoked, DER. */
export interface Material {
  certificates: Uint8Array[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
}

/** How a file is to be verified. */
export interface VerifyInput
  extends Pick<VerifyOptions, "revocation" | "pan" | "departmentalPolicies"> {
  /** ISO 8601 */
  now: string;
  /** Trusted certificates, DER. */
  anchors: Uint8Array[];
  /** Opens an encrypted PDF. */
  password?: string;
  /** Those that signatures may not hold, DER. */
  certificates?: Uint8Array[];
  material?: Material;
  /** Content that stands elsewhere, by the name that a signature gives it: the number of its document, or null. */
  contents: [name: string | null, document: number | null][];
}

export type Verified =
  /** Content of this name has to be looked for. */
  | { wanted: string | null }
  /** The report; signers' and timestamp authorities' certificates, and others in the file. */
  | { report: VerificationReport; ends: Uint8Array[]; known: Uint8Array[] };

class Wanted extends Error {
  constructor(readonly content: string | null) {
    super("Content is wanted.");
  }
}

const der = ({ der }: { der: Uint8Array }) => der;

/** Content that came with a request. */
type Plain = Pick<Content, "bytes" | "mediaType">;

/** Signer and time of a signature over data. */
export interface DataBy {
  signer: DataSigner["signer"];
  hash: HashName;
  now: string;
  done: Done;
}

/** Input of a signature over data. */
export type DataStep = { sign: Uint8Array } | LevelStep;

const contentOf = ({ bytes, mediaType }: Plain) => new Content(bytes, mediaType);

/** Makes a signature over data in steps. */
const making = <T>({ signer, hash, now, done }: DataBy, make: (by: DataSigner) => Promise<T>) =>
  inSteps<DataStep, T>(done, (take) =>
    make({
      signer,
      hash,
      sign: (bytes) => take(`sign ${digest("SHA-256", bytes).toHex()}`, { sign: bytes }),
      now: () => new Date(now),
      online: servicesOf(take),
      signal: new AbortController().signal,
    }));

/** Content that stands elsewhere. */
type Contents = VerifyInput["contents"];

/** @throws {Wanted} by its result, for content that has not been looked for yet */
const contentsOf = (contents: Contents, documents: ReadDocument[]) =>
(
  name: string | null,
): VerifyContent | null => {
  const found = contents.find(([known]) => known === name);
  if (!found) throw new Wanted(name);
  const document = found[1] === null ? undefined : documents[found[1]];
  return document
    ? {
      digest: (hash) => document.digest(hash, [[0, document.size]]),
      ...document.size <= MAX_WHOLE && {
        bytes: () => document.read(0, document.size).slice(),
      },
    }
    : null;
};

export const questions = {
  ...onlineQuestions,

  /** Verifies every signature of the first document. */
  verify(
    { now, anchors, material, contents, ...rest }: VerifyInput,
    documents: ReadDocument[],
  ): Verified {
    const content = contentsOf(contents, documents);
    try {
      const { report, ends, known } = verifyFile(
        { source: documents[0], content, password: rest.password, certificates: rest.certificates },
        {
          ...rest,
          now: new Date(now),
          anchors: anchors.map((each) => readCertificate(each)),
          material: material && {
            certificates: material.certificates.map((each) => readCertificate(each)),
            crls: material.crls.map((each) => readCrl(each)),
            ocspResponses: material.ocspResponses.map((each) => readOcspResponse(each)),
          },
        },
      );
      return { report, ends: ends.map(der), known: known.map(der) };
    } catch (error) {
      if (error instanceof Wanted) return { wanted: error.content };
      throw error;
    }
  },

  /** Raises the signatures of the first document. */
  augment: ({ level, contents, done, ...how }: {
    level: RaisedLevel;
    password?: string;
    certificates?: Uint8Array[];
    contents: Contents;
    done: Done;
  }, documents: ReadDocument[]) =>
    inSteps<LevelStep, { wanted: string | null } | Awaited<ReturnType<typeof augment>>>(
      done,
      async (take) => {
        const content = contentsOf(contents, documents);
        const signed = { ...how, source: documents[0], content };
        const { signal } = new AbortController();
        try {
          return await augment(signed, { level, which: "all" }, servicesOf(take), signal);
        } catch (error) {
          if (error instanceof Wanted) return { wanted: error.content };
          throw error;
        }
      },
    ),

  /** Until when the proofs of each signature of a file last by themselves. */
  lasting({ password }: { password?: string }, [source]: ReadDocument[]) {
    return readFacts({ source, password }).signatures
      .filter(({ kind }) => kind !== "timestamp")
      .map((facts) => ({
        id: facts.id,
        signer: facts.certificate?.subject.commonName ?? "",
        until: lastsUntil(facts)?.toISOString() ?? null,
      }));
  },

  /** Facts for the person about a PDF's earlier signatures. */
  pdfFacts: (
    { password, trust }: { password?: string; trust: Trust },
    [source]: ReadDocument[],
  ) => factsOf(source, trust, password),

  /** Whether the PDF's author permits signing it. */
  permitsSigning: (
    { password, field }: { password?: string; field?: string },
    [source]: ReadDocument[],
  ): boolean => permitsSigning(source, password, field),

  /** Checks that a container can be signed this way. */
  checkContainer: ({ how, input, trust, now }: {
    how: ContainerHow;
    input: ContainerInput;
    trust: Trust;
    now: string;
  }) => checkContainer(how, input, trust, new Date(now)),

  /** A signature in a container, new or not. */
  signContainer: ({ how, input, mediaTypes, ...by }: DataBy & {
    how: ContainerHow;
    input: ContainerInput;
    mediaTypes: [name: string, mediaType: string][];
  }) => making(by, (by) => signContainer(how, input, new Map(mediaTypes), by)),

  /** Checks that data can be signed this way; returns the earlier signers. */
  checkData: ({ how, content, trust }: { how: DataHow; content: Plain; trust: Trust }) =>
    checkData(how, contentOf(content), trust),

  /** A signature over data, for which something has to be parsed. */
  signData: ({ how, content, ...by }: DataBy & { how: SignedFileHow; content: Plain }) =>
    making(by, (by) => signData(how, contentOf(content), by)),

  /** Brings a signature that was just made to its level. */
  raiseLast: ({ signature, level, content, certificate, done }: {
    signature: Uint8Array;
    level: Level;
    content: Plain | { hash: HashName; digest: Uint8Array };
    certificate: Uint8Array;
    done: Done;
  }) => {
    const under: VerifyContent = "bytes" in content
      ? given(contentOf(content))
      : { digest: (asked: DigestName) => asked === content.hash ? content.digest : undefined };
    return inSteps<LevelStep, Uint8Array>(done, (take) => {
      const online = servicesOf(take);
      const { signal } = new AbortController();
      return raiseLast(signature, level, under, { online, signal, certificate });
    });
  },

  /** A signing route that is bound to its content. */
  routeDocument: (
    { content, ...route }: Parameters<typeof routeDocument>[0] & { content: Plain },
  ) => routeDocument(route, contentOf(content)),

  /** Reads and checks a route. */
  readRoute({ file }: { file: string }) {
    const { route, steps, next, statements } = readRoute(file);
    return { route, steps, next, statements: statements.map(({ name, who }) => ({ name, who })) };
  },

  /** The file of a new route. */
  signRoute: ({ content, ...by }: DataBy & { content: Plain }) =>
    making(by, (by) => signRoute(contentOf(content), by)),

  /** A route's file with one more statement. */
  signStatement: ({ file, content, ...by }: DataBy & { file: string; content: Plain }) =>
    making(by, (by) => signStatement(file, contentOf(content), by)),
};
