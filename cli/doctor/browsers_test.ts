import assert from "node:assert/strict";
import { covers, deniedByChromium, urlsOfRegistry } from "./browsers.ts";
import { proxyOfEnvironment, proxyOfFirefox, proxyOfMac, proxyOfWindows } from "./proxies.ts";

Deno.test("covers matches origins as Chromium's URL patterns do", () => {
  const origin = "https://portal.example";
  for (
    const pattern of [
      "*",
      "https://portal.example",
      "https://portal.example/",
      "portal.example",
      "example",
      "[*.]portal.example",
      "https://[*.]example",
      ".portal.example",
      "*://portal.example:443",
      "https://portal.example:*",
    ]
  ) assert.ok(covers(pattern, origin), pattern);
  for (
    const pattern of [
      "",
      "http://portal.example",
      "https://portal.example:444",
      ".example",
      "https://ortal.example",
      "https://portal.example.evil",
      "https://portal.example/path/",
    ]
  ) assert.ok(!covers(pattern, origin), pattern);
});

Deno.test("deniedByChromium lists only sites denied either permission, and none for malformed input", () => {
  const exceptions = {
    loopback_network: {
      "https://denied.example:443,*": { setting: 2 },
      "https://allowed.example:443,*": { setting: 1 },
      "https://other.example:8443,*": { setting: 2 },
    },
    local_network_access: { "https://denied.example:443,*": { setting: 2 } },
    notifications: { "https://x.example:443,*": { setting: 2 } },
  };
  assert.deepEqual(deniedByChromium({ profile: { content_settings: { exceptions } } }), [
    "https://denied.example",
    "https://other.example:8443",
  ]);
  for (const nonsense of [null, [], 7, { profile: 1 }, { profile: { content_settings: [] } }]) {
    assert.deepEqual(deniedByChromium(nonsense), []);
  }
});

Deno.test("urlsOfRegistry reads what reg query prints", () => {
  const text = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Google\\Chrome\\LoopbackNetwork\r\n" +
    "    1    REG_SZ    https://a.example\r\n    2    REG_SZ    [*.]b.example\r\n";
  assert.deepEqual(urlsOfRegistry(text), ["https://a.example", "[*.]b.example"]);
});

Deno.test("proxies without an exception for 127.0.0.1 are found on each system; passwords are hidden", () => {
  const env = (values: Record<string, string>) => proxyOfEnvironment((name) => values[name]);
  assert.equal(env({}), null);
  assert.equal(
    env({ HTTP_PROXY: "http://me:secret@proxy:8080" }),
    "http_proxy=http://proxy:8080",
  );
  assert.equal(env({ all_proxy: "socks5://x", no_proxy: "localhost" }), "all_proxy=socks5://x");
  for (const no_proxy of ["127.0.0.1", "a, 127.0.0.0/8", "*"]) {
    assert.equal(env({ http_proxy: "http://x", no_proxy }), null);
  }

  const registry = (...lines: string[]) =>
    proxyOfWindows(lines.map((line) => `    ${line}\r\n`).join(""));
  const on = ["ProxyEnable    REG_DWORD    0x1", "ProxyServer    REG_SZ    proxy:8080"];
  assert.equal(registry(...on), "ProxyServer=proxy:8080");
  assert.equal(registry(...on, "ProxyOverride    REG_SZ    *.local;127.*;<local>"), null);
  assert.equal(registry(...on, "ProxyOverride    REG_SZ    <local>"), "ProxyServer=proxy:8080");
  assert.equal(registry("ProxyEnable    REG_DWORD    0x0", on[1]), null);
  assert.equal(registry(), null);

  const mac = (exceptions: string) =>
    `<dictionary> {\n  ExceptionsList : <array> {\n    0 : ${exceptions}\n  }\n  HTTPEnable : 1\n  HTTPPort : 80\n  HTTPProxy : proxy\n}\n`;
  assert.equal(proxyOfMac(mac("*.local")), "HTTPProxy=proxy");
  assert.equal(proxyOfMac(mac("127.0.0.1")), null);
  assert.equal(proxyOfMac("<dictionary> {\n  HTTPEnable : 0\n}\n"), null);

  const prefs = 'user_pref("network.proxy.type", 1);\n';
  assert.equal(proxyOfFirefox(prefs), null);
  assert.equal(
    proxyOfFirefox(prefs + 'user_pref("network.proxy.allow_hijacking_localhost", true);\n'),
    "network.proxy.allow_hijacking_localhost",
  );
});
