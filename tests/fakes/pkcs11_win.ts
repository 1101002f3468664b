import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Officer } from "../fixtures/pki.ts";
import { compileForWindows } from "./wine.ts";

const SOURCE = fileURLToPath(new URL("pkcs11_win.c", import.meta.url));

/**
 * Builds a driver for Windows whose one token holds an officer's RSA-2048 key and certificate; its PIN is `12345678`.
 *
 * @param layout `unpacked`: its structures are not those of Windows
 */
export async function buildWindowsDriver(
  path: string,
  { key, certificate }: Officer,
  layout: "packed" | "unpacked" = "packed",
): Promise<void> {
  const { n, e, d } = key.privateKey.export({ format: "jwk" });
  const array = (name: string, bytes: Uint8Array) =>
    `static const unsigned char ${name}[] = { ${bytes.join(", ")} };\n`;
  const number = (text?: string) => Uint8Array.fromBase64(text!, { alphabet: "base64url" });
  await Deno.writeTextFile(
    join(dirname(path), "key.h"),
    array("N", number(n)) + array("E", number(e)) + array("D", number(d)) +
      array("CERTIFICATE", certificate.der),
  );
  const flags = layout === "unpacked" ? ["-DUNPACKED"] : [];
  await compileForWindows(path, ...flags, "-shared", `-I${dirname(path)}`, SOURCE);
}
