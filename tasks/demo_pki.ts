/** The demonstration's timestamp authority, CRLs and issuers' certificates, on a loopback port. */
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { makeCrl, type Party } from "../tests/fixtures/issue.ts";
import type { Pki } from "../tests/fixtures/pki.ts";

export interface PkiServer {
  url: string;
  /** Content served from now on. */
  serve(pki: Pki): void;
  close(): Promise<void>;
}

const MAX_REQUEST = 4096;

/** Listens at once, since certificates name the address; `serve` gives it the authorities. */
export function startPkiServer(): PkiServer {
  let pki: Pki | undefined;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const reply = (bytes: Uint8Array, type: string) =>
      new Response(new Uint8Array(bytes), { headers: { "content-type": type } });
    if (pki && request.method === "POST" && pathname === "/tsa") {
      const body = new Uint8Array(await request.arrayBuffer());
      if (body.length > MAX_REQUEST) return new Response(null, { status: 413 });
      const chain = [pki.subCa, pki.ca, pki.root].map(({ certificate }) => certificate.der);
      return reply(
        answerTimestampRequest(pki.timestampAuthority, body, { chain }),
        "application/timestamp-reply",
      );
    }
    const [, name, kind] = /^\/(root|ca|sub-ca)\.(crl|cer)$/.exec(pathname) ?? [];
    if (!pki || !kind) return new Response("There is nothing here.\n", { status: 404 });
    const authority: Party = { root: pki.root, ca: pki.ca, "sub-ca": pki.subCa }[name]!;
    return kind === "crl"
      ? reply(makeCrl(authority, []), "application/pkix-crl")
      : reply(authority.certificate.der, "application/pkix-cert");
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    serve: (made) => pki = made,
    close: () => server.shutdown(),
  };
}
