/** A signature by PIN and OTP, in Node: node sign.mjs USER FILE SIGNED */
import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";

const { SERVICE, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI } = process.env;
const [userID, file, signed] = process.argv.slice(2);

async function post(path, body, headers = {}) {
  const response = await fetch(SERVICE + path, { method: "POST", body, headers });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return await response.json();
}
const oauth = (path, fields) =>
  post(
    `/oauth2/${path}`,
    new URLSearchParams({ client_id: CLIENT_ID, client_secret: CLIENT_SECRET, ...fields }),
  );
const csc = (path, token, params) =>
  post(`/csc/v2/${path}`, JSON.stringify(params), {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
  });

const { access_token: token } = await oauth("token", { grant_type: "client_credentials" });
const { credentialIDs: [credentialID] } = await csc("credentials/list", token, { userID });
const document = await readFile(file);
const { hashes } = await post("/portal/v1/documents?name=order.pdf", document, {
  authorization: `Bearer ${token}`,
});

const verifier = randomBytes(32).toString("base64url");
const { request_uri } = await oauth("pushed_authorize", {
  response_type: "code",
  redirect_uri: REDIRECT_URI,
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
  description: "Sanction order 7",
  authorization_details: JSON.stringify([{
    type: "credential",
    credentialID,
    documentDigests: [{ hash: hashes.document, label: "order.pdf" }],
    hashAlgorithmOID: hashes.hashAlgorithmOID,
  }]),
});
console.log(
  `${SERVICE}/oauth2/authorize?${new URLSearchParams({ client_id: CLIENT_ID, request_uri })}`,
);
// A portal sends the browser there, and takes `code` from the address to which it comes back.
const code = await createInterface({ input: process.stdin }).question("code: ");

const { access_token: sad } = await oauth("token", {
  grant_type: "authorization_code",
  code,
  redirect_uri: REDIRECT_URI,
  code_verifier: verifier,
});
const { DocumentWithSignature: [pdf] } = await csc("signatures/signDoc", sad, {
  credentialID,
  documents: [{ document: document.toString("base64"), signature_format: "P" }],
});
await writeFile(signed, Buffer.from(pdf, "base64"));
process.exit();
