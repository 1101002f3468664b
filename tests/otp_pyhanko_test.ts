/** pyHanko's CSC client signs a PDF through the service: a program of others, by the specification. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "./fixtures/openssl.ts";
import { makeService, PIN } from "./fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";
import { python } from "./fixtures/python.ts";

const SCRIPT = `
import asyncio, sys, aiohttp
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.signers.csc_signer import (
    CSCServiceSessionInfo, CSCSigner, CSCAuthorizationManager, fetch_certs_in_csc_credential)

url, credential, token, pin, source, target = sys.argv[1:]

class Manager(CSCAuthorizationManager):
    def __init__(self, session, *args):
        super().__init__(*args)
        self.session = session

    async def post(self, path, body):
        async with self.session.post(
            self.csc_session_info.endpoint_url(path), json=body,
            headers=self.csc_session_info.auth_headers, raise_for_status=True) as response:
            return await response.json() if response.status == 200 else None

    async def authorize_signature(self, hash_b64s):
        await self.post("credentials/sendOTP", {"credentialID": credential})
        async with self.session.get(url + "/test/otp") as response:
            otp = await response.text()
        request = self.format_csc_auth_request(pin=pin, otp=otp, hash_b64s=hash_b64s)
        return self.parse_csc_auth_response(await self.post("credentials/authorize", request))

async def main():
    async with aiohttp.ClientSession() as session:
        info = CSCServiceSessionInfo(url, credential, token, "v1")
        credential_info = await fetch_certs_in_csc_credential(session, info)
        manager = Manager(session, info, credential_info)
        signer = CSCSigner(session, manager, sign_timeout=60)
        with open(source, "rb") as inf, open(target, "wb") as outf:
            writer = IncrementalPdfFileWriter(inf)
            meta = signers.PdfSignatureMetadata(field_name="Sanction", md_algorithm="sha256")
            await signers.PdfSigner(meta, signer).async_sign_pdf(writer, output=outf)

asyncio.run(main())
`;

const here = (await python("-c", "import aiohttp, pyhanko.sign.signers.csc_signer")).code === 0;

Deno.test({
  name: `pyHanko signs through the service${
    here
      ? ""
      : " (optional: needs Python's pyhanko and aiohttp; DSIGN_TEST_PYTHON names the Python)"
  }`,
  ignore: !here,
  fn: () =>
    inTempDir(async (dir) => {
      const test = makeService();
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (request) =>
          new URL(request.url).pathname === "/test/otp"
            ? new Response(test.lastOtp())
            : test.handler(request),
      );
      try {
        await Deno.writeFile(join(dir, "order.pdf"), classicPdf(documentObjects()));
        for (const keyType of ["rsa-2048", "p-256"]) {
          const credentialID = await test.enrol({
            userID: keyType,
            credential: { kind: "stored", mode: "explicit", keyType },
          });
          const signed = join(dir, `${keyType}.pdf`);
          const { code, stderr } = await python(
            ...["-c", SCRIPT, `http://127.0.0.1:${server.addr.port}`, credentialID],
            ...[await test.token(), PIN, join(dir, "order.pdf"), signed],
          );
          assert.equal(code, 0, stderr);
          assert.deepEqual(await pdfsig(signed), [{ valid: true, total: true }], keyType);
        }
      } finally {
        await server.shutdown();
        await test.close();
      }
    }),
});
