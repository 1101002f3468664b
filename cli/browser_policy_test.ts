import assert from "node:assert/strict";
import { XmlDocument } from "libxml2-wasm";
import { linuxPolicy, macPolicy, windowsPolicy } from "./browser_policy.ts";

const PORTALS = ["https://portal.example", "https://upms.example:8443"];

Deno.test("on Linux, Chrome and its relatives each get a separate policy file", () => {
  const { path, text } = linuxPolicy("chrome", PORTALS, null);
  assert.equal(path, "/etc/opt/chrome/policies/managed/dsign.json");
  assert.deepEqual(JSON.parse(text!), {
    LoopbackNetworkAllowedForUrls: PORTALS,
    LocalNetworkAccessAllowedForUrls: PORTALS,
  });
  assert.equal(
    linuxPolicy("chromium", PORTALS, null).path,
    "/etc/chromium/policies/managed/dsign.json",
  );
  assert.equal(
    linuxPolicy("edge", PORTALS, null).path,
    "/etc/opt/edge/policies/managed/dsign.json",
  );
  assert.equal(linuxPolicy("edge", [], text).text, null);
});

Deno.test("on Linux, Firefox keeps all policies in one file, and other entries stay", () => {
  const present = JSON.stringify({
    policies: { DisableTelemetry: true, LocalNetworkAccess: { Locked: true, SkipDomains: ["x"] } },
  });
  const { path, text } = linuxPolicy("firefox", PORTALS, present);
  assert.equal(path, "/etc/firefox/policies/policies.json");
  assert.deepEqual(JSON.parse(text!), {
    policies: {
      DisableTelemetry: true,
      LocalNetworkAccess: { Locked: true, SkipDomains: ["portal.example", "upms.example"] },
    },
  });
  assert.deepEqual(JSON.parse(linuxPolicy("firefox", [], text).text!), {
    policies: { DisableTelemetry: true, LocalNetworkAccess: { Locked: true } },
  });
  assert.equal(
    linuxPolicy("firefox", [], linuxPolicy("firefox", PORTALS, null).text).text,
    null,
  );
  assert.throws(() => linuxPolicy("firefox", PORTALS, "{"), SyntaxError);
});

Deno.test("on Windows, the registry file's lists replace earlier ones", () => {
  const text = windowsPolicy(["edge", "firefox"], PORTALS);
  assert.ok(text.startsWith("Windows Registry Editor Version 5.00\r\n\r\n"));
  const edge = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Edge";
  assert.ok(text.includes(
    `[-${edge}\\LoopbackNetworkAllowedForUrls]\r\n\r\n` +
      `[${edge}\\LoopbackNetworkAllowedForUrls]\r\n` +
      '"1"="https://portal.example"\r\n"2"="https://upms.example:8443"\r\n',
  ));
  assert.ok(text.includes('LocalNetworkAccess\\SkipDomains]\r\n"1"="portal.example"\r\n'));
  assert.ok(!windowsPolicy(["edge"], []).includes('"1"'));
});

Deno.test("on macOS, profiles for the same browsers differ only in their portals", () => {
  const text = macPolicy(["chrome", "firefox"], [...PORTALS, "https://a.example/?x&<y"]);
  using document = XmlDocument.fromString(text);
  const strings = document.find("//string").map(({ content }) => content);
  for (const wanted of ["com.google.Chrome", "org.mozilla.firefox", "portal.example"]) {
    assert.ok(strings.includes(wanted), wanted);
  }
  const uuids = (text: string) =>
    text.match(/[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-8[0-9A-F]{3}-[0-9A-F]{12}/g);
  assert.equal(new Set(uuids(text)).size, 3);
  assert.deepEqual(uuids(text), uuids(macPolicy(["chrome", "firefox"], PORTALS)));
});
