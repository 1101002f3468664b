import assert from "node:assert/strict";
import { redact, redactJson } from "./redact.ts";

const NONE = new Map<string, string>();

Deno.test("anything that looks like a secret, a number or a name is removed", () => {
  const hash = "ab".repeat(32);
  const cases: [string, RegExp][] = [
    ["pin=123456 next", /^pin=\[secret\] next$/],
    ['{"password": "hunter 2", "x": 1}', /^\{"password": \[secret\], "x": 1\}$/],
    ["PIN was 87654321.", /^PIN was \[secret\]\.$/],
    ["the OTP 4711 came", /^the OTP \[secret\] came$/],
    ["Authorization: Bearer abc.def", /^Authorization: \[secret\]$/],
    ["PAN ABCDE1234F, abcde1234f", /^PAN \[PAN\], \[PAN\]$/],
    [`serial ${hash} here`, /^serial \[hash\] here$/],
    [hash.toUpperCase().match(/../g)!.join(":"), /^\[hash\]$/],
    ["Aadhaar 1234 5678 9012, 123456789012", /^Aadhaar \[number\], \[number\]$/],
    ["call +91 98300 12345 or 9830012345", /^call \[number\] or \[number\]$/],
    ["write anita.das@finance.example", /^write \[mail\]$/],
    ["CN=Anita Das,O=Finance\\, Dept,C=IN", /^CN=\[…\],O=\[…\],C=IN$/],
    ["pkcs11:token=Anita;serial=12ab;model=X", /^pkcs11:token=\[…\];serial=\[…\];model=X$/],
    ["-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\nx", /^\[PEM\]\nx$/],
    ["-----BEGIN PRIVATE KEY-----\nMIGHAgEAcut", /^\[PEM\]$/],
    [`data ${"QUJD/".repeat(20)}=`, /^data \[data\]$/],
    ["eyJhbGciOiJSUzI1NiJ9eyJhbGciOiJSUzI1NiJ9", /^\[data\]$/],
    ["http://me:pw@proxy.example/", /^http:\/\/\[user\]@proxy\.example\/$/],
    ["https://portal.example/bill?id=7#x", /^https:\/\/portal\.example\/bill\?\[…\]$/],
    ["call +91-9830012345", /^call \[number\]$/],
    ["PIN ৪৮২৯১৩, আধার ৪৪৪৪ ৫৫৫৫ ६६६६", /^PIN \[secret\], আধার \[number\]$/],
    [
      "userPin=abcd access_token=e.y SAD: x",
      /^userPin=\[secret\] access_token=\[secret\] SAD: \[secret\]$/,
    ],
    ["'my own order.pdf'", /^'\[file\]\.pdf'$/],
    ["/home/bimal/x C:\\Users\\Bimal Roy\\x", /^\/home\/\[user\]\/x C:\\Users\\\[user\]\\x$/],
    ['opened "Order of Anita.pdf"', /^opened "\[file\]\.pdf"$/],
    ["/media/usb/order.docx", /^\/media\/usb\/\[file\]\.docx$/],
  ];
  for (const [text, expected] of cases) assert.match(redact(text, NONE), expected, text);
});

Deno.test("the facts that the help desk needs stay", () => {
  for (
    const text of [
      "2026-11-21 21:40:33.123 +00:00 [INF] dsign·agent: listening on 127.0.0.1:7791",
      "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
      "/opt/ePass2003-Castle-20141128/x64/redist/libcastle.so.1.0.0",
      "C:\\Windows\\System32\\SignatureP11.dll",
      "The token's driver reported an error. (C_Initialize: CKR_FUNCTION_FAILED)",
      "The PIN of the token is locked. What to do: ask the issuer.",
      "https://portal.example",
      "linux 6.1.0-44-amd64 x86_64",
      "at serve (file:///x/cli/agent.ts:83:9)",
      "agent.json, config.json, policy.json",
    ]
  ) assert.equal(redact(text, NONE), text);
});

Deno.test("whole names are removed, whatever their case and spacing, but not in the middle of words", () => {
  const secrets = new Map([["Anita Das", "[name]"], ["Anita", "[user]"], ["an", "[x]"]]);
  assert.equal(redact("ANITA  DAS, anita; Anitamar an", secrets), "[name], [user]; Anitamar an");
  const odd = new Map([["/home/an+(ita", "~"]]);
  assert.equal(redact("in /home/an+(ita/x", odd), "in ~/x");
  assert.deepEqual(redactJson({ anita: ["Anita", 7, null] }, secrets), {
    anita: ["[user]", 7, null],
  });
});

Deno.test("long lines of any kind are redacted in bounded time", () => {
  for (const piece of ["a", "A1", "1", "a.", '"', "/a", "pin", "a@", "ab:", "http://", "- "]) {
    const text = piece.repeat(60_000 / piece.length);
    redact(text, new Map([["Anita", "[name]"]]));
  }
});
