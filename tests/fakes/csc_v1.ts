/** A remote signing service of the Cloud Signature Consortium's version 1.0.4, as far as a client needs one; it can misbehave. */
import { createHash, privateEncrypt } from "node:crypto";
import { makePki } from "../fixtures/pki.ts";

export const V1 = { user: "anita", password: "password of the login", pin: "4711" };

export interface FakeCsc {
  url: string;
  /** Calls, with their bodies. */
  calls: { method: string; body: Record<string, unknown> }[];
  /** DER. */
  certificate: Uint8Array;
  lastOtp(): string;
  /** Answers a method otherwise. */
  answer: Record<string, () => Response>;
  close(): Promise<void>;
}

/** Listens on a free loopback port. The OTP is new after each `sendOTP`, and good once. */
export function startCscV1(): FakeCsc {
  const { officers: [officer] } = makePki({ officers: [{ name: "Anita Sen", key: "rsa-2048" }] });
  const calls: FakeCsc["calls"] = [];
  const sads = new Map<string, string>();
  let otp = "";
  let wrong = 0;
  const refuse = (error: string, error_description: string, status = 400) =>
    Response.json({ error, error_description }, { status });
  const methods: Record<string, (body: Record<string, unknown>, request: Request) => Response> = {
    "info": () => Response.json({ specs: "1.0.4.0", name: "Fake", authType: ["basic"] }),
    "auth/login": (_, request) =>
      request.headers.get("authorization") === `Basic ${btoa(`${V1.user}:${V1.password}`)}`
        ? Response.json({ access_token: "the-token", expires_in: 3600 })
        : refuse("authentication_error", "An error occurred during authentication process"),
    "credentials/list": () => Response.json({ credentialIDs: ["cred-1"] }),
    "credentials/info": () =>
      Response.json({
        key: { status: "enabled", algo: ["1.2.840.113549.1.1.1"], len: 2048 },
        cert: {
          status: "valid",
          certificates: [officer!.certificate.der, ...officer!.chain].map((der) => der.toBase64()),
        },
        authMode: "explicit",
        SCAL: "1",
        PIN: { presence: "true", format: "N", label: "PIN" },
        OTP: { presence: "true", type: "online", format: "N", description: "Sent to your phone" },
        multisign: 2,
      }),
    "credentials/sendOTP": () => {
      otp = String(100000 + calls.length);
      return new Response(null, { status: 204 });
    },
    "credentials/authorize": ({ PIN, OTP, hash, numSignatures }) => {
      if (wrong >= 3) return refuse("invalid_request", "Credential locked");
      if (numSignatures !== (hash as string[]).length) return refuse("invalid_request", "count");
      if (PIN !== V1.pin || OTP !== otp) {
        wrong++;
        return refuse(PIN === V1.pin ? "invalid_otp" : "invalid_pin", "It is wrong");
      }
      otp = "";
      const SAD = `sad-${calls.length}`;
      sads.set(SAD, JSON.stringify(hash));
      return Response.json({ SAD, expiresIn: 60 });
    },
    "signatures/signHash": ({ SAD, hash, hashAlgo, signAlgo }) => {
      if (sads.get(SAD as string) !== JSON.stringify(hash)) {
        return refuse("invalid_request", "Hash is not authorized by the SAD");
      }
      if (hashAlgo !== "2.16.840.1.101.3.4.2.1" || signAlgo !== "1.2.840.113549.1.1.1") {
        return refuse("invalid_request", "Invalid parameter signAlgo");
      }
      sads.delete(SAD as string);
      return Response.json({
        signatures: (hash as string[]).map((each) => signDigest(each).toBase64()),
      });
    },
  };
  /** PKCS #1 v1.5 over an existing digest (RFC 8017 §9.2). */
  const signDigest = (base64: string) => {
    const prefix = Uint8Array.fromHex("3031300d060960864801650304020105000420");
    const data = new Uint8Array([...prefix, ...Uint8Array.fromBase64(base64)]);
    return new Uint8Array(privateEncrypt(officer!.key.privateKey, data));
  };
  const fake: FakeCsc = {
    url: "",
    calls,
    certificate: officer!.certificate.der,
    lastOtp: () => otp,
    answer: {},
    close: () => server.shutdown(),
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const method = new URL(request.url).pathname.replace("/csc/v1/", "");
      const body = await request.json();
      calls.push({ method, body });
      if (fake.answer[method]) return fake.answer[method]();
      const open = ["info", "auth/login"].includes(method);
      if (!open && request.headers.get("authorization") !== "Bearer the-token") {
        return refuse("invalid_token", "The access token is not valid", 401);
      }
      return methods[method]?.(body, request) ?? refuse("invalid_request", "no such method", 404);
    },
  );
  fake.url = `http://127.0.0.1:${server.addr.port}/csc/v1`;
  return fake;
}

export const sha256 = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());
