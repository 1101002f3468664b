/**
 * The demonstration's eSign service provider (ESP): a page with two buttons replaces the person's eKYC. The
 * service is told of it by its own configuration, as of a real one.
 */
import { join } from "node:path";
import type { Certificate } from "../formats/x509/certificate.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { espKeys, FakeEsp } from "../tests/fakes/esp.ts";
import { issue, makeCrl } from "../tests/fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makeKey } from "../tests/fixtures/keys.ts";

export interface DemoEsp {
  /** `esp` of the service's configuration. */
  settings: Record<string, unknown>;
  /** Root of the signatories' certificates. */
  root: Certificate;
  close(): Promise<void>;
}

const ASP = "WORKS-1";
const DAY = 24 * 3_600_000;

/**
 * Listens on a free loopback port.
 *
 * @param folder is made; private
 * @param name who is at the browser
 */
export async function startDemoEsp(folder: string, name: string): Promise<DemoEsp> {
  const asp = issue({
    subject: [["C", "IN"], ["O", "Sample Works Department"], ["CN", "Sample portal"]],
    key: "p-256",
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + 30 * DAY),
    extensions: [],
  });
  const esp = new FakeEsp(
    { id: ASP, certificate: asp.certificate.der },
    Date.now,
    espKeys(() => makeKey("rsa-2048")),
  );
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      request.method === "POST"
        ? esp.page(request, name)
        : new Response(new Uint8Array(makeCrl(esp.root, []))),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  esp.crlUrl = `${url}/esign.crl`;
  const write = async (file: string, content: string | Uint8Array) => {
    const path = join(folder, file);
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(path, bytes, { mode: 0o600 });
    return path;
  };
  const password = crypto.randomUUID();
  await Deno.mkdir(folder, { mode: 0o700 });
  return {
    settings: {
      url: `${url}/signdoc`,
      aspId: ASP,
      key: {
        keyFile: await write(
          "asp.p12",
          await writePkcs12({
            key: asp.pkcs8,
            certificates: [asp.certificate.der],
            password: new TextEncoder().encode(password),
            friendlyName: "Sample portal",
          }),
        ),
        passwordFile: await write("asp.password", password),
      },
      certificatesFile: await write("esp.pem", pem("CERTIFICATE", esp.party.certificate.der)),
      anchorsFile: await write("anchors.pem", pem("CERTIFICATE", esp.root.certificate.der)),
    },
    root: esp.root.certificate,
    close: () => server.shutdown(),
  };
}
