/** Mutated requests to the PIN/OTP service: each gets an answer of its closed list. */
import assert from "node:assert/strict";
import { OIDS } from "../../protocol/csc.ts";
import { CSC_ERRORS } from "../../protocol/csc_errors.ts";
import { EXPLICIT, HASH, openPage } from "../fixtures/otp_calls.ts";
import {
  CLIENT,
  makeService,
  PIN,
  PUBLIC_URL,
  REDIRECT,
  type TestService,
} from "../fixtures/otp_service.ts";

let test: TestService | undefined;
const ERRORS = new Set(Object.values(CSC_ERRORS).map(([status, error]) => `${status} ${error}`));

export const words = [
  ...["\r\n", "\r\n\r\n", ": ", "GET ", "POST ", "/csc/v2/", "/csc/v1/", "/portal/v1/", "/otp/"],
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\ud800",
    "\\u0000",
    "null",
    "true",
    "1e999",
    "-1",
    "%00",
  ],
  ...['"credentialID":', '"hashes":[', '"authData":[]', '"SAD":', '"userID":null', "&", "=", "%"],
  ...[
    '"__proto__":{}',
    '"decision":"approve"',
    "Bearer ",
    "authorization: ",
    "code=",
    "scope=service",
  ],
];

export async function seeds(): Promise<Uint8Array[]> {
  test ??= makeService();
  const explicit = await test.enrol({ userID: "asen", credential: EXPLICIT });
  const page = await test.enrol({ userID: "broy", name: "Bimal Roy" });
  const token = await test.token();
  const facts = { scope: "credential", credentialID: page, numSignatures: "1", hashes: HASH };
  const { ticket } = await openPage(test, facts);
  const client = `client_id=${CLIENT.id}&client_secret=${CLIENT.secret}`;
  const post = (path: string, body: unknown, bearer = token) =>
    `POST ${path}\r\ncontent-type: application/json\r\norigin: ${PUBLIC_URL}\r\n` +
    `authorization: Bearer ${bearer}\r\n\r\n${JSON.stringify(body)}`;
  const get = (path: string, bearer = token) =>
    `GET ${path}\r\nauthorization: Bearer ${bearer}\r\n\r\n`;
  const form = (path: string, body: string) =>
    `POST ${path}\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\n${client}&${body}`;
  const hashed = {
    ...{ credentialID: explicit, hashes: [HASH], hashAlgorithmOID: OIDS.sha256, numSignatures: 1 },
  };
  const authData = [{ id: "PIN", value: PIN }, { id: "OTP", value: "000000" }];
  return [
    post("/csc/v2/info", { lang: "en" }),
    post("/csc/v2/credentials/list", {
      userID: "asen",
      credentialInfo: true,
      certificates: "chain",
    }),
    post("/csc/v2/credentials/info", { credentialID: explicit, authInfo: true, certInfo: true }),
    post("/csc/v2/credentials/getChallenge", { ...hashed, authObjectID: "OTP", description: "7" }),
    post("/csc/v2/credentials/authorize", { ...hashed, authData }),
    post("/csc/v2/signatures/signHash", { ...hashed, SAD: "x", signAlgo: "1.2.840.10045.4.3.2" }),
    post("/csc/v2/signatures/signDoc", {
      credentialID: explicit,
      SAD: "x",
      documents: [{ document: "JVBERi0=" }],
    }),
    post("/csc/v1/credentials/sendOTP", { credentialID: explicit }),
    form("/oauth2/token", "grant_type=client_credentials"),
    form("/oauth2/token", `grant_type=authorization_code&code=x&redirect_uri=${REDIRECT}`),
    form(
      "/oauth2/pushed_authorize",
      `response_type=code&redirect_uri=${
        encodeURIComponent(REDIRECT)
      }&scope=credential&credentialID=${page}&numSignatures=1&hashes=${
        encodeURIComponent(HASH)
      }&code_challenge=${"x".repeat(43)}&code_challenge_method=S256`,
    ),
    form("/oauth2/revoke", `token=x`),
    get(
      `/oauth2/authorize?client_id=${CLIENT.id}&response_type=code&redirect_uri=${
        encodeURIComponent(REDIRECT)
      }`,
    ),
    get("/otp/view", ticket),
    post("/otp/send", {}, ticket),
    post(
      "/otp/answer",
      { decision: "approve", pin: "000000", otp: "000000", language: "en" },
      ticket,
    ),
    post("/portal/v1/persons", {
      userID: "cdas",
      name: "C Das",
      language: "en",
      otp: "mail",
      email: "c@works.example",
      credential: EXPLICIT,
    }),
    get("/portal/v1/persons/asen/certificates"),
    post("/portal/v1/persons/asen/role", { role: "Engineer" }),
    get("/portal/v1/audit?from=1&limit=10"),
    get("/log/tile/0/000"),
    get(`/portal/v1/receipts/${"0".repeat(64)}`),
    post("/portal/v1/certificates/00/revoke", { reason: "superseded" }),
    "POST /portal/v1/documents\r\ncontent-type: application/pdf\r\n\r\n%PDF-1.7",
  ].map((text) => new TextEncoder().encode(text));
}

/** Ends the service. */
export async function close(): Promise<void> {
  await test?.close();
  test = undefined;
}

/** @throws whatever no answer may be */
export async function exercise(bytes: Uint8Array): Promise<void> {
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf("\r\n\r\n");
  const [line, ...lines] = text.slice(0, Math.max(0, at)).split("\r\n");
  const [method, path = "/"] = line.split(" ");
  const body = at < 0 || method === "GET" || method === "HEAD" ? undefined : bytes.slice(at + 4);
  let request: Request;
  try {
    const headers = lines.map((each) => {
      const [name, ...value] = each.split(":");
      return [name, value.join(":").trim()] as [string, string];
    });
    request = new Request(PUBLIC_URL + path, { method, headers, body });
  } catch {
    return; // no HTTP
  }
  const response = await test!.handler(request);
  const answer = await response.text();
  if (response.status < 400) return;
  if (!answer.startsWith('{"error"')) return void assert.ok(response.status < 500);
  const { error } = JSON.parse(answer);
  assert.ok(
    response.status < 500 && ERRORS.has(`${response.status} ${error}`),
    `${response.status} ${answer}`,
  );
}
