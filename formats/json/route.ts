/**
 * Signing routes: in which order who must sign a content (maker → checker → approver, two of three).
 *
 * A route is a JSON document, signed by whoever sets it up (JWS) and bound to the content's digest. Each signature on
 * the route is a JWS over a small statement that names the route, the content, the role and the digest of every earlier
 * statement: so the order is part of what is signed, and nobody can be left out or moved later. Route and statements
 * travel together in one JSON file.
 */
import * as z from "zod";
import { canonicalJson } from "./canonical.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { HeaderOptions } from "./jws_header.ts";
import { prepareJws } from "./jws_write.ts";
import { type JwsProblem, verifyJws } from "./jws_verify.ts";
import {
  hex,
  isSigner,
  type Route,
  RouteSchema,
  type RouteTurn,
  takeTurn,
  type Who,
  whoIs,
  whoIsNext,
} from "./turn.ts";
import { type Certificate, readCertificate } from "../x509/certificate.ts";

const StatementSchema = z.strictObject({
  type: z.literal("dsign-route-statement-1"),
  /** SHA-256 of the route's canonical form. */
  route: hex,
  content: hex,
  role: z.string(),
  /** SHA-256 of each earlier statement as it stands in the file, in order. */
  after: z.array(hex),
});

const FileSchema = z.strictObject({ route: z.string(), statements: z.array(z.string()).max(1000) });

const utf8 = new TextEncoder();
const sha256 = (bytes: Uint8Array) => digest("SHA-256", bytes).toHex();

const malformed = (message: string, cause?: unknown) =>
  new FormatError("route_malformed", message, { cause });

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(canonicalJson(bytes)));
  } catch (cause) {
    throw malformed(`The ${what} is not JSON that can be read in one way only.`, cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw malformed(`The ${what} is malformed at "${issue.path.join(".")}": ${issue.message}.`);
}

/**
 * The canonical form of a route: the payload of the JWS that sets it up.
 *
 * @throws {FormatError} `route_malformed`
 */
export function encodeRoute(route: Route): Uint8Array {
  const bytes = canonicalJson(JSON.stringify(route));
  parse(RouteSchema, bytes, "route");
  return bytes;
}

/**
 * A route file without statements.
 *
 * @param jws signed {@linkcode encodeRoute}, attached
 * @throws {FormatError} `route_malformed`
 */
export function startRoute(jws: string): string {
  const file = JSON.stringify({ route: jws, statements: [] });
  readRoute(file);
  return file;
}

/** One signature on the route, as it was checked. */
export interface RouteStatement {
  role: string;
  /** The signer's entry in the route. */
  name: string;
  certificate: Certificate;
  who: Who;
  /** The signer's claim. */
  signingTime: Date | null;
}

export interface RouteStatus extends RouteTurn {
  /** Certificate of the person who set up the route. The caller decides whether to trust it. */
  issuer: Certificate;
  /** Statements in order; each is valid and came in its turn. The caller decides whether to trust its certificate. */
  statements: RouteStatement[];
}

function parseFile(file: string): z.infer<typeof FileSchema> {
  try {
    return parse(FileSchema, utf8.encode(file), "file");
  } catch (cause) {
    const message = 'The file is no signing route: that is JSON of "route" and "statements" alone.';
    throw malformed(message, cause);
  }
}

/**
 * Reads and checks a route file: every signature, every digest, every turn.
 *
 * @throws {FormatError} `route_malformed` where anything does not hold: a route is right as a whole or not at all
 */
export function readRoute(file: string): RouteStatus {
  const { route: routeJws, statements } = parseFile(file);
  const { payload, certificate: issuer } = openJws(routeJws, "route");
  const route = parse(RouteSchema, payload, "route");
  const routeHash = sha256(encodeRoute(route));
  const status = withSteps({ route, issuer, statements: [] });
  statements.forEach((jws, index) => {
    const opened = openJws(jws, `statement ${index + 1}`);
    const statement = parse(StatementSchema, opened.payload, `statement ${index + 1}`);
    const before = statements.slice(0, index).map((each) => sha256(utf8.encode(each)));
    const isBound = statement.route === routeHash && statement.content === route.content.sha256 &&
      statement.after.join() === before.join();
    if (!isBound) {
      throw malformed(
        `Statement ${index + 1} was made for another route or another position in it.`,
      );
    }
    const turn = takeTurn(status, opened.certificate);
    if (!turn || turn.role !== statement.role) {
      throw malformed(`Statement ${index + 1} was made out of turn.`);
    }
    status.statements.push({
      role: turn.role,
      name: turn.name,
      certificate: opened.certificate,
      who: whoIs(opened.certificate),
      signingTime: opened.signingTime,
    });
    Object.assign(status, withSteps(status));
  });
  return status;
}

/** Works out from the statements who is next. */
function withSteps(
  { route, issuer, statements }: Pick<RouteStatus, "route" | "issuer" | "statements">,
): RouteStatus {
  let rest = [...statements];
  const steps = route.steps.map(({ role, quorum, signers }) => {
    // Statements came in turn, so a step's own are the first ones left.
    const own = rest.slice(0, quorum);
    rest = rest.slice(quorum);
    const signed = own.map(({ name }) => name);
    const open = signers.filter((signer) =>
      !own.some(({ certificate }) => isSigner(signer, certificate))
    ).map(({ name }) => name);
    return { role, quorum, signed, open, isDone: signed.length === quorum };
  });
  const next = steps.findIndex(({ isDone }) => !isDone);
  return {
    route,
    issuer,
    statements,
    steps,
    next: next < 0 ? null : next,
  };
}

export interface PreparedStatement {
  /** Input of the signature. */
  readonly toBeSigned: Uint8Array;
  /** The role that is signed in. */
  readonly role: string;
  /** @returns the route file with the statement */
  complete(signature: Uint8Array): string;
}

/**
 * Builds the next statement on a route up to the bytes to be signed.
 *
 * @param content SHA-256 (hex) of the content as the signer has it
 * @throws {FormatError} `route_malformed`; `signature_mismatch` where the route is for another content; `out_of_turn`
 *   with a sentence that says who is next
 */
export function prepareStatement(
  file: string,
  content: string,
  signer: Omit<HeaderOptions, "contentType">,
): PreparedStatement {
  const status = readRoute(file);
  const { route } = status;
  if (route.content.sha256 !== content) {
    throw new FormatError("signature_mismatch", "The signing route belongs to other content.");
  }
  const turn = takeTurn(status, readCertificate(signer.certificate));
  if (!turn) throw new FormatError("out_of_turn", whoIsNext(status));
  const { route: routeJws, statements } = JSON.parse(file) as z.infer<typeof FileSchema>;
  const statement: z.infer<typeof StatementSchema> = {
    type: "dsign-route-statement-1",
    route: sha256(encodeRoute(route)),
    content,
    role: turn.role,
    after: statements.map((each) => sha256(utf8.encode(each))),
  };
  const payload = canonicalJson(JSON.stringify(statement));
  const jws = prepareJws({ ...signer, payload, contentType: "json" });
  return {
    toBeSigned: jws.toBeSigned,
    role: turn.role,
    complete: (signature) =>
      JSON.stringify({ route: routeJws, statements: [...statements, jws.complete(signature)] }),
  };
}

/**
 * The payload and signer of a JWS with exactly one right signature, spelled as we spell it: what the signature does not
 * cover could be altered in the last statement, which no later one holds fast.
 */
function openJws(jws: string, what: string) {
  let result: ReturnType<typeof verifyJws>;
  try {
    result = verifyJws(jws);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw malformed(`The signature of the ${what} cannot be read: ${cause.message}`, cause);
  }
  const { payload, signatures } = result;
  const [signature] = signatures;
  const problems: JwsProblem[] = signature.problems;
  if (signatures.length !== 1 || problems.length > 0 || !payload || !signature.certificate) {
    throw malformed(`The signature of the ${what} is not right: ${problems.join(", ")}.`);
  }
  if (!isOurSpelling(jws)) throw malformed(`The signature of the ${what} has been altered.`);
  return {
    payload,
    certificate: readCertificate(signature.certificate),
    signingTime: signature.signingTime,
  };
}

/** Whether a JWS is serialized exactly as `prepareJws` does it. */
function isOurSpelling(jws: string): boolean {
  const Spelling = z.object({
    payload: z.string(),
    signatures: z.tuple([z.object({ protected: z.string(), signature: z.string() })]),
  });
  try {
    return JSON.stringify(Spelling.parse(JSON.parse(jws))) === jws;
  } catch {
    return false; // a compact one
  }
}
