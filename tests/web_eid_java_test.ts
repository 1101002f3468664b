/**
 * Web eID's library for Java cannot be had. Its steps are taken with what it is built upon, the JDK's paths and Bouncy
 * Castle's OCSP, on tokens of the agent and the test PKI's certificates and OCSP answers.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AsnConvert } from "@peculiar/asn1-schema";
import { id_pkix_ocsp_nonce, OCSPRequest } from "@peculiar/asn1-ocsp";
import { pem } from "../formats/asn1/pem.ts";
import { PORTAL, testAgent } from "./fixtures/agent.ts";
import { ROOT } from "./fixtures/docs.ts";
import { makeOcspResponse } from "./fixtures/issue.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { makePki, type Pki } from "./fixtures/pki.ts";

/** Debian's libbcpkix-java. */
const BOUNCY_CASTLE = ["bcpkix", "bcprov", "bcutil"].map((name) => `/usr/share/java/${name}.jar`);

/** Set by `deno task test:examples`. */
const isWanted = Deno.env.has("DSIGN_TEST_EXAMPLES");

const isThere = (await Promise.all(
  [...BOUNCY_CASTLE, "/usr/bin/javac"].map((path) => Deno.stat(path).then(() => true, () => false)),
)).every((each) => each);

Deno.test({
  name: `tokens and OCSP answers pass the steps of Web eID's library in Java (${
    isThere ? "deno task test:examples" : "needs a JDK and libbcpkix-java"
  })`,
  ignore: !isWanted || !isThere,
  fn: () =>
    inTempDir(async (dir) => {
      const made = Promise.withResolvers<Pki>();
      let status: "good" | "revoked" = "good";
      await using server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        async (request) => {
          const { tbsRequest } = AsnConvert.parse(await request.bytes(), OCSPRequest);
          const serial = new Uint8Array(tbsRequest.requestList[0]!.reqCert.serialNumber);
          const pki = await made.promise;
          const { certificate } = pki.officers.find((each) =>
            each.certificate.serialNumber.toHex() === serial.toHex()
          )!;
          const nonce = tbsRequest.requestExtensions!.find(({ extnID }) =>
            extnID === id_pkix_ocsp_nonce
          )!;
          const said = status === "good"
            ? { status } as const
            : { status, revokedAt: new Date() } as const;
          const answer = makeOcspResponse(
            { certificate, issuer: pki.subCa.certificate, responder: pki.ocspResponder },
            said,
            { nonce: new Uint8Array(nonce.extnValue.buffer) },
          );
          return new Response(new Uint8Array(answer), {
            headers: { "content-type": "application/ocsp-response" },
          });
        },
      );
      const pki = makePki({
        baseUrl: `http://127.0.0.1:${server.addr.port}`,
        officers: [
          { name: "Anita Das (TEST)", key: "p-256" },
          { name: "Bimal Roy (TEST)", key: "rsa-2048" },
          { name: "Chandra Sen (TEST)", key: "p-256", kind: "only_for_documents" },
        ],
      });
      made.resolve(pki);
      const authorities = join(dir, "authorities.pem");
      await Deno.writeTextFile(
        authorities,
        [pki.subCa, pki.ca, pki.root].map(({ certificate }) => pem("CERTIFICATE", certificate.der))
          .join(""),
      );
      const classPath = BOUNCY_CASTLE.join(":");
      const source = join(ROOT, "tests/fixtures/web_eid/WebEid.java");
      const compiled = await new Deno.Command("javac", {
        args: ["-cp", classPath, "-d", dir, source],
      }).output();
      assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
      await using test = await testAgent({ officers: pki.officers });
      const client = await test.connect();
      const { certificates } = await client.call("certificate.list", {});
      const nonce = crypto.getRandomValues(new Uint8Array(32)).toBase64();
      const tokenOf = (name: string) =>
        client.call("auth.authenticate", {
          nonce,
          certificate: certificates.find(({ commonName }) => commonName.startsWith(name))!.id,
          anyPurpose: true,
        });
      type Token = Awaited<ReturnType<typeof tokenOf>>;
      const judged = async (token: Token, origin = PORTAL, by = nonce, ocsp = "ocsp") => {
        const { unverifiedCertificate, algorithm, signature } = token;
        const { stdout, stderr } = await new Deno.Command("java", {
          args: [
            ...[
              "-cp",
              `${classPath}:${dir}`,
              "WebEid",
              unverifiedCertificate,
              algorithm,
              signature,
            ],
            ...[origin, by, authorities, ocsp],
          ],
        }).output();
        const text = new TextDecoder().decode(new Uint8Array([...stdout, ...stderr]));
        return /SecurityException: (.*)/.exec(text)?.[1] ?? text.trim();
      };
      const [anita, bimal, chandra] = [
        await tokenOf("Anita"),
        await tokenOf("Bimal"),
        await tokenOf("Chandra"),
      ];
      assert.deepEqual([anita.algorithm, bimal.algorithm], ["ES256", "RS256"]);
      assert.equal(await judged(anita), "ok");
      assert.equal(await judged(bimal), "ok");
      assert.equal(await judged(bimal, PORTAL, nonce, "no-ocsp"), "ok");
      assert.equal(await judged(anita, "https://evil.example"), "signature");
      assert.equal(await judged(anita, PORTAL, btoa("n".repeat(44))), "signature");
      assert.equal(await judged(chandra), "clientAuth");
      status = "revoked";
      assert.equal(await judged(anita), "revoked or unknown");
    }),
});
