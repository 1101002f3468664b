/** A small portal in Node: login, a signed bill, an order that two officers sign. Only Node's own modules. */
import { execFile } from "node:child_process";
import { createHash, randomBytes, verify, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const env = process.env;
const PORT = Number(env.PORT ?? 3000);
const ORIGIN = env.ORIGIN ?? `http://localhost:${PORT}`;
/** Of the session's cookie. */
const SECURE = ORIGIN.startsWith("https:") ? "; Secure" : "";
const TRIAL = env.TRIAL ? Number(env.TRIAL) : undefined;
const TRUST = env.TRUST ?? "root.pem";
/** PANs of the officers, in the order in which they sign orders. */
const OFFICERS = (env.OFFICERS ?? "AAAPD0001A,AAAPR0002B").split(",");
const EXAMPLES = join(import.meta.dirname, "..");

/** The portal's record, in canonical form (RFC 8785): names sorted, no blanks. */
const BILL = '{"bill":"2026-27/TR-0142","net":"4,58,375.00","payee":"Sample Builders"}';
let order = await readFile(join(EXAMPLES, "order.pdf"));
let signatures = 0;
/** Session → nonce, PAN. */
const sessions = new Map();

class Refused extends Error {}

/** D-Sign checks signature, chain and revocation, and that each of these people has signed. */
async function check(pans, signed, content) {
  if (env.VERIFY_SERVICE) return await askService(pans, signed, content);
  const folder = await mkdtemp(join(tmpdir(), "portal-"));
  const file = join(folder, content ? "signature.p7s" : "order.pdf");
  const args = ["verify", "--trust", TRUST, TRIAL ? "--trial" : "--online"];
  try {
    await writeFile(file, signed);
    if (content) {
      await writeFile(join(folder, "content"), content);
      args.push("--content", join(folder, "content"));
    }
    for (const pan of pans) {
      await new Promise((resolve, reject) =>
        execFile(
          env.DSIGN ?? "dsign",
          [...args, "--pan", pan, file],
          (error, stdout) =>
            error ? reject(new Refused(`The signature does not count. ${stdout}`)) : resolve(),
        )
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The same by `dsign verify-service`, at an address like http://127.0.0.1:7797. */
async function askService(pans, signed, content) {
  for (const pan of pans) {
    const form = new FormData();
    form.set("trust", "portal"); // its name in the service's configuration
    form.set("revocation", TRIAL ? "if-available" : "require");
    form.set("pan", createHash("sha256").update(pan).digest("hex"));
    form.set("file", new Blob([signed]));
    if (content) form.set("content", new Blob([content]));
    const request = { method: "POST", body: form };
    const response = await fetch(`${env.VERIFY_SERVICE}/v1/verify`, request);
    const { ok, message } = await response.json();
    if (response.status >= 500) throw new Error(message); // ask again later
    if (ok !== true) throw new Refused("The signature does not count.");
  }
}

/** A Web eID token: who has signed this session's nonce for this origin. @returns the PAN */
async function login(session, form) {
  const { nonce } = session;
  session.nonce = undefined; // once
  let certificate;
  try {
    certificate = new X509Certificate(Buffer.from(form.get("certificate") ?? "", "base64"));
  } catch {
    throw new Refused("Not a certificate.");
  }
  const root = new X509Certificate(await readFile(TRUST));
  const now = Date.now();
  const isValid = Date.parse(certificate.validFrom) <= now &&
    now <= Date.parse(certificate.validTo);
  // Certificates of real people have a chain and revocation: take a Web eID library there.
  if (!isValid || !certificate.verify(root.publicKey)) {
    throw new Refused("Not a trusted certificate.");
  }
  const hash = (text) => createHash("sha256").update(text).digest();
  const isSigned = nonce && form.get("algorithm") === "ES256" && verify(
    "sha256",
    Buffer.concat([hash(ORIGIN), hash(nonce)]),
    { key: certificate.publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(form.get("signature"), "base64"),
  );
  if (!isSigned) throw new Refused("The login was not signed for this session.");
  const person = /^serialNumber=([0-9a-f]{64})$/m.exec(certificate.subject)?.[1];
  const pan = OFFICERS.find((each) => createHash("sha256").update(each).digest("hex") === person);
  if (!pan) throw new Refused("Nobody of this office.");
  return pan;
}

const routes = {
  "GET /": async () => ["text/html", await readFile(join(EXAMPLES, "page/index.html"))],
  "GET /page.js": async () => ["text/javascript", await readFile(join(EXAMPLES, "page/page.js"))],
  "GET /client.js": async () => [
    "text/javascript",
    await readFile(env.SDK ?? join(EXAMPLES, "../dist/web/client.js")),
  ],
  "GET /config": () => ["application/json", JSON.stringify({ trial: TRIAL })],
  "GET /nonce": (session) => ["text/plain", session.nonce = randomBytes(33).toString("base64")],
  "POST /login": async (session, body) => {
    session.pan = await login(session, new URLSearchParams(body.toString()));
    return ["text/plain", `Logged in: ${session.pan}`];
  },
  "GET /bill": () => ["application/json", BILL],
  "POST /bill": async ({ pan }, body) => {
    if (!pan) throw new Refused("Log in first.");
    await check([pan], Buffer.from(body.toString(), "base64"), BILL);
    return ["text/plain", `The bill is signed by ${pan}.`];
  },
  "GET /order": () => ["application/pdf", order],
  "PUT /order": async ({ pan }, body) => {
    if (!pan || pan !== OFFICERS[signatures]) throw new Refused("It is not your turn.");
    const before = order;
    if (!body.subarray(0, before.length).equals(before)) {
      throw new Refused("This is another order.");
    }
    await check(OFFICERS.slice(0, signatures + 1), body);
    // Meanwhile the same officer may have sent it twice.
    if (order !== before) throw new Refused("It is not your turn.");
    order = body;
    signatures++;
    return ["text/plain", `The order has ${signatures} of ${OFFICERS.length} signatures.`];
  },
};

createServer(async (request, response) => {
  let id = /session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
  const session = sessions.get(id) ?? {};
  // A session gets its name here, and a new one at the login: somebody may have planted the browser's.
  if (!sessions.has(id) || request.url === "/login") {
    sessions.delete(id);
    id = randomBytes(18).toString("base64url");
    sessions.set(id, session);
  }
  response.setHeader("set-cookie", `session=${id}; HttpOnly; SameSite=Strict; Path=/${SECURE}`);
  const route = routes[`${request.method} ${request.url}`];
  try {
    if (!route) throw new Refused("There is nothing here.");
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const [type, answer] = await route(session, Buffer.concat(pieces));
    response.setHeader("content-type", type).end(answer);
  } catch (error) {
    response.statusCode = error instanceof Refused ? 422 : 500;
    response.end(error instanceof Refused ? error.message : "The portal made a mistake.");
    if (!(error instanceof Refused)) console.error(error);
  }
}).listen(PORT, "127.0.0.1", () => console.log(`${ORIGIN}/`));
