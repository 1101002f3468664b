/** An issuing authority elsewhere, asked by Enrollment over Secure Transport (RFC 7030 §4.2, `/simpleenroll`). */
import { CscError } from "./error.ts";
import { readBounded } from "../online/http.ts";
import type { ServiceReader } from "./reading.ts";

const TIMEOUT = 15_000;
const MAX_ANSWER = 256 * 1024;

export interface EstOptions {
  /** Reads the answers. */
  reader: ServiceReader;
  /** As `https://ca.example/.well-known/est`, with the authority's label where it has one; no slash at its end. */
  url: string;
  /** Value of the header `Authorization`, where the service is known by that. */
  authorization?: string;
  /** PEM: whom to trust for the server's TLS, instead of the system's anchors. */
  tlsAnchors?: string;
  /** PEM: where the service is known by its TLS certificate. */
  tlsIdentity?: { cert: string; key: string };
}

/** Sends requests for certificates. */
export interface EstClient {
  /**
   * @param request PKCS #10, DER
   * @returns certificates of the answer, DER, in no order that means anything
   * @throws {CscError} `unavailable`, with the reason for the log
   */
  enrol(request: Uint8Array): Promise<readonly Uint8Array[]>;
  close(): void;
}

/** Makes a client; nothing is sent yet. */
export function estClient(
  { reader, url, authorization, tlsAnchors, tlsIdentity }: EstOptions,
): EstClient {
  const client = Deno.createHttpClient({
    ...tlsAnchors !== undefined && { caCerts: [tlsAnchors] },
    ...tlsIdentity,
  });
  return {
    async enrol(request) {
      try {
        const response = await fetch(`${url}/simpleenroll`, {
          method: "POST",
          headers: {
            "content-type": "application/pkcs10",
            "content-transfer-encoding": "base64",
            ...authorization !== undefined && { authorization },
          },
          body: request.toBase64().replace(/.{64}/g, "$&\r\n"),
          // what would be sent on is the right to a certificate
          redirect: "error",
          signal: AbortSignal.timeout(TIMEOUT),
          client,
        });
        const body = await readBounded(response, MAX_ANSWER);
        // 202 (§4.2.3): somebody would have to say yes first, which is longer than any authorization lives
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const type = response.headers.get("content-type") ?? "";
        if (!/^application\/pkcs7-mime\s*(;|$)/i.test(type)) throw new Error(`type "${type}"`);
        const cms = Uint8Array.fromBase64(new TextDecoder().decode(body));
        return await reader.ask("certificatesIn", { cms }, { origin: "issuing authority" });
      } catch (error) {
        throw new CscError("unavailable", `issuing authority: ${(error as Error).message}`);
      }
    },
    close: () => client.close(),
  };
}
