/**
 * The network services of the test PKI on a loopback port: certificates as files; CRLs, OCSP answers and timestamps
 * made by the real `openssl ca`, `openssl ocsp` and `openssl ts`, one process a request.
 */
import { join } from "node:path";
import { openssl } from "../fixtures/openssl.ts";
import type { Party } from "../fixtures/issue.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { makePki, type OfficerOptions, type Pki } from "../fixtures/pki.ts";

export interface PkiServices extends AsyncDisposable {
  readonly url: string;
  readonly pki: Pki;
  /** `METHOD /path` of every request. */
  readonly requests: string[];
  /** Names of officers whose certificates are revoked from `since` on. */
  revoke(name: string, since: Date): Promise<void>;
}

const TSA_CONFIG = (dir: string) =>
  `[tsa]
default_tsa = one
[one]
serial = ${join(dir, "serial")}
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
`;

const CA_CONFIG = (dir: string) =>
  ["root", "ca", "sub-ca"].map((name) =>
    `[${name}]
database = ${join(dir, `${name}.txt`)}
crlnumber = ${join(dir, `${name}.number`)}
certificate = ${join(dir, `${name}.pem`)}
private_key = ${join(dir, `${name}.key`)}
default_md = sha256
default_crl_days = 7
crl_extensions = crl
`
  ).join("") + "[crl]\nauthorityKeyIdentifier = keyid\n";

/** Starts the services; OCSP answers only for officers, as in life. */
export async function startPkiServices(
  options: { officers: readonly OfficerOptions[]; now?: Date },
): Promise<PkiServices> {
  const dir = await Deno.makeTempDir({ prefix: "dsign_pki_" });
  const path = (name: string) => join(dir, name);
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    return answer(request, pathname);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const pki = makePki({ ...options, baseUrl: url });
  const revoked = new Map<Party, Date>();

  const write = async (name: string, party: Party) => {
    await Deno.writeTextFile(path(`${name}.pem`), pem("CERTIFICATE", party.certificate.der));
    await Deno.writeTextFile(path(`${name}.key`), pem("PRIVATE KEY", party.pkcs8));
  };
  const authorities: Record<string, Party> = { root: pki.root, ca: pki.ca, "sub-ca": pki.subCa };
  for (const [name, party] of Object.entries(authorities)) {
    await write(name, party);
    await Deno.writeTextFile(path(`${name}.txt`), "");
    await Deno.writeTextFile(path(`${name}.number`), "01\n");
  }
  await write("ocsp", pki.ocspResponder);
  await write("tsa", pki.timestampAuthority);
  const chain = [pki.subCa, pki.ca].map(({ certificate }) => pem("CERTIFICATE", certificate.der));
  await Deno.writeTextFile(path("chain.pem"), chain.join(""));
  await Deno.writeTextFile(path("ca.cnf"), CA_CONFIG(dir));
  await Deno.writeTextFile(path("tsa.cnf"), TSA_CONFIG(dir));
  await Deno.writeTextFile(path("serial"), "01\n");

  /** OpenSSL's database of issued certificates (`openssl ca`). */
  const writeIndex = async () => {
    const time = (date: Date) => date.toISOString().slice(2, 19).replace(/[-:T]/g, "") + "Z";
    const lines = pki.officers.map((officer) => {
      const since = revoked.get(officer);
      const state = since ? `R\t401231235959Z\t${time(since)},keyCompromise` : "V\t401231235959Z\t";
      const serial = officer.certificate.serialNumber.toHex().toUpperCase();
      return `${state}\t${serial}\tunknown\t/CN=${officer.name}\n`;
    });
    await Deno.writeTextFile(path("sub-ca.txt"), lines.join(""));
  };
  await writeIndex();

  /** One program run; its files are its own. */
  const program = async (request: Request, args: (query: string, out: string) => string[]) => {
    const id = path(crypto.randomUUID());
    await Deno.writeFile(`${id}.in`, new Uint8Array(await request.arrayBuffer()));
    await openssl(args(`${id}.in`, `${id}.out`));
    return Deno.readFile(`${id}.out`);
  };
  const reply = (bytes: Uint8Array, type: string) =>
    new Response(bytes.slice(), { headers: { "content-type": type } });
  // The serial files of `openssl ts` and `openssl ca` serve one process at a time.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
  async function answer(request: Request, pathname: string): Promise<Response> {
    const [, name, kind] = /^\/([\w-]+)\.(crl|cer)$/.exec(pathname) ?? [];
    if (kind && authorities[name]) {
      if (kind === "cer") return reply(authorities[name].certificate.der, "application/pkix-cert");
      const crl = await inTurn(() =>
        program(request, (_, out) => [
          ...["ca", "-gencrl", "-config", path("ca.cnf"), "-name", name, "-out", out],
        ])
      );
      // A distribution point serves DER (RFC 5280 §4.2.1.13).
      return reply(await openssl(["crl", "-outform", "DER"], crl), "application/pkix-crl");
    }
    if (pathname === "/ocsp") {
      const response = await inTurn(() =>
        program(request, (query, out) => [
          ...["ocsp", "-index", path("sub-ca.txt"), "-CA", path("sub-ca.pem"), "-ndays", "1"],
          ...["-rsigner", path("ocsp.pem"), "-rkey", path("ocsp.key")],
          ...["-reqin", query, "-respout", out],
        ])
      );
      return reply(response, "application/ocsp-response");
    }
    if (pathname === "/tsa") {
      const response = await inTurn(() =>
        program(request, (query, out) => [
          ...["ts", "-reply", "-config", path("tsa.cnf"), "-section", "one"],
          ...["-signer", path("tsa.pem"), "-inkey", path("tsa.key"), "-chain", path("chain.pem")],
          ...["-queryfile", query, "-out", out],
        ])
      );
      return reply(response, "application/timestamp-reply");
    }
    return new Response("There is nothing here.", { status: 404 });
  }

  return {
    url,
    pki,
    requests,
    async revoke(name, since) {
      revoked.set(pki.officers.find((officer) => officer.name === name)!, since);
      await writeIndex();
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
}
