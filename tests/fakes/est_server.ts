/** A small EST service (RFC 7030 §4.2) whose authority is the real `openssl ca`, as another department's would be. */
import { join } from "node:path";
import { openssl } from "../fixtures/openssl.ts";
import type { Party } from "../fixtures/issue.ts";
import { pem } from "../../formats/asn1/pem.ts";

export interface EstServer extends AsyncDisposable {
  /** For `authority.url`. */
  readonly url: string;
  /** Requests that were let in, PKCS #10 in DER. */
  readonly requests: Uint8Array[];
  /** Its fault; `sign`: none. */
  behave: "sign" | "redirect" | "later" | "page" | "endless" | "another";
  /** Of the next certificates; `subject` replaces that of the request. */
  next: { minutes: number; policy: string; ca?: boolean; subject?: string };
}

const USER = "dsign";
const PASSWORD = "est-password";
export const EST_AUTHORIZATION = `Basic ${btoa(`${USER}:${PASSWORD}`)}`;

const CONFIG = (dir: string) =>
  `[one]
database = ${join(dir, "index.txt")}
rand_serial = yes
new_certs_dir = ${dir}
default_md = sha256
unique_subject = no
copy_extensions = copy
policy = any
[any]
countryName = optional
organizationName = optional
title = optional
commonName = supplied
`;

/** Starts the service; `issuer` signs. */
export async function startEst(issuer: Party): Promise<EstServer> {
  const dir = await Deno.makeTempDir({ prefix: "dsign_est_" });
  const path = (name: string) => join(dir, name);
  await Deno.writeTextFile(path("ca.pem"), pem("CERTIFICATE", issuer.certificate.der));
  await Deno.writeTextFile(path("ca.key"), pem("PRIVATE KEY", issuer.pkcs8));
  await Deno.writeTextFile(path("ca.cnf"), CONFIG(dir));
  await Deno.writeTextFile(path("index.txt"), "");
  const time = (at: number) => new Date(at).toISOString().slice(2, 19).replace(/[-:T]/g, "") + "Z";

  async function enrol(request: Uint8Array): Promise<Uint8Array> {
    const { minutes, policy, ca, subject } = server.next;
    await Deno.writeFile(path("request.der"), request);
    await openssl(["req", "-inform", "DER", "-in", path("request.der"), "-out", path("request")]);
    const constraints = ca ? "critical,CA:TRUE" : "critical,CA:FALSE";
    await Deno.writeTextFile(
      path("ext.cnf"),
      `basicConstraints=${constraints}\ncertificatePolicies=${policy}\nauthorityKeyIdentifier=keyid\n`,
    );
    const now = Date.now();
    await openssl([
      ...["ca", "-batch", "-notext", "-config", path("ca.cnf"), "-name", "one"],
      ...["-cert", path("ca.pem"), "-keyfile", path("ca.key"), "-extfile", path("ext.cnf")],
      ...["-startdate", time(now - 5000), "-enddate", time(now + minutes * 60_000)],
      ...subject ? ["-subj", subject] : [],
      ...["-in", path("request"), "-out", path("issued.pem")],
    ]);
    return await openssl([
      ...["crl2pkcs7", "-nocrl", "-certfile", path("issued.pem"), "-certfile", path("ca.pem")],
      ...["-outform", "DER"],
    ]);
  }

  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method !== "POST" || pathname !== "/.well-known/est/otp/simpleenroll") {
        return new Response(null, { status: 404 });
      }
      if (request.headers.get("authorization") !== EST_AUTHORIZATION) {
        return new Response(null, { status: 401 });
      }
      if (request.headers.get("content-type") !== "application/pkcs10") {
        return new Response(null, { status: 415 });
      }
      const der = Uint8Array.fromBase64(await request.text());
      server.requests.push(der);
      const type = "application/pkcs7-mime; smime-type=certs-only";
      switch (server.behave) {
        case "redirect":
          return Response.redirect(`${server.url}/simpleenroll`, 307);
        case "later":
          return new Response(null, { status: 202, headers: { "retry-after": "3600" } });
        case "page":
          return new Response("<h1>Welcome</h1>", { headers: { "content-type": "text/html" } });
        case "endless": {
          const line = new Uint8Array(64 * 1024).fill(0x41);
          const body = new ReadableStream({ pull: (controller) => controller.enqueue(line) });
          return new Response(body, { headers: { "content-type": type } });
        }
      }
      const answer = await enrol(server.behave === "another" ? server.requests[0] : der);
      const base64 = answer.toBase64().replace(/.{64}/g, "$&\n");
      return new Response(base64, {
        headers: { "content-type": type, "content-transfer-encoding": "base64" },
      });
    },
  );
  const server: EstServer = {
    url: `http://127.0.0.1:${listener.addr.port}/.well-known/est/otp`,
    requests: [],
    behave: "sign",
    next: { minutes: 30, policy: "" },
    async [Symbol.asyncDispose]() {
      await listener.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
  return server;
}
