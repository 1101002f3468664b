/**
 * Browser policies with which an administrator lets portals reach programs on this computer without a prompt:
 * `LoopbackNetworkAllowedForUrls` of Chrome, Edge and Chromium (146 on; `LocalNetworkAccessAllowedForUrls` before) and
 * `LocalNetworkAccess` of Firefox (ESR 140.11 on).
 */

import { digest } from "../formats/digest.ts";
import { escapeText } from "../formats/xml/escape.ts";

export const BROWSERS = ["chrome", "edge", "chromium", "firefox"] as const;
export type Browser = typeof BROWSERS[number];

const URL_LISTS = ["LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"];

const LINUX_FOLDERS = {
  chrome: "/etc/opt/chrome/policies/managed",
  edge: "/etc/opt/edge/policies/managed",
  chromium: "/etc/chromium/policies/managed",
  firefox: "/etc/firefox/policies",
} as const;

const REGISTRY_KEYS: Record<Browser, string> = {
  chrome: "Google\\Chrome",
  edge: "Microsoft\\Edge",
  chromium: "Chromium",
  firefox: "Mozilla\\Firefox",
};

const MAC_DOMAINS: Record<Browser, string> = {
  chrome: "com.google.Chrome",
  edge: "com.microsoft.Edge",
  chromium: "org.chromium.Chromium",
  firefox: "org.mozilla.firefox",
};

/**
 * The policy file of a browser on Linux. Firefox keeps all policies in one file, so other entries are kept.
 *
 * @param origins e.g. `https://portal.example`; empty to remove the policy
 * @param present text of the existing file; null if there is none
 * @returns `text`: null if the file must be removed
 * @throws {SyntaxError} if the present text is not JSON
 */
export function linuxPolicy(
  browser: Browser,
  origins: readonly string[],
  present: string | null,
): { path: string; text: string | null } {
  const folder = LINUX_FOLDERS[browser];
  if (browser !== "firefox") {
    const policy = Object.fromEntries(URL_LISTS.map((name) => [name, origins]));
    return { path: `${folder}/dsign.json`, text: origins.length ? json(policy) : null };
  }
  const all = present === null ? {} : JSON.parse(present);
  const { LocalNetworkAccess: access = {}, ...others } = all.policies ?? {};
  const { SkipDomains: _, ...rest } = access;
  const changed = {
    ...rest,
    ...origins.length && { SkipDomains: hostsOf(origins) },
  };
  const policies = {
    ...others,
    ...Object.keys(changed).length && { LocalNetworkAccess: changed },
  };
  const isEmpty = Object.keys(policies).length === 0 && Object.keys(all).length <= 1;
  return {
    path: `${folder}/policies.json`,
    text: isEmpty ? null : json({ ...all, policies }),
  };
}

/** A file for regedit or a group policy's registry settings: CRLF, to be written with a byte order mark. */
export function windowsPolicy(
  browsers: readonly Browser[],
  origins: readonly string[],
): string {
  const lines = ["Windows Registry Editor Version 5.00", ""];
  const list = (key: string, values: readonly string[]) => {
    // Removed first, so that no earlier entry stays.
    lines.push(`[-HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\${key}]`, "");
    if (values.length === 0) return;
    lines.push(`[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\${key}]`);
    values.forEach((value, index) => lines.push(`"${index + 1}"="${value}"`));
    lines.push("");
  };
  for (const browser of browsers) {
    const key = REGISTRY_KEYS[browser];
    if (browser === "firefox") {
      list(`${key}\\LocalNetworkAccess\\SkipDomains`, hostsOf(origins));
    } else for (const name of URL_LISTS) list(`${key}\\${name}`, origins);
  }
  return lines.join("\r\n");
}

/** A configuration profile for macOS. */
export function macPolicy(browsers: readonly Browser[], origins: readonly string[]): string {
  const strings = (values: readonly string[]) =>
    `<array>${values.map((value) => `<string>${escapeText(value)}</string>`).join("")}</array>`;
  const settingsOf = (browser: Browser) =>
    browser === "firefox"
      ? `<key>EnterprisePoliciesEnabled</key><true/>` +
        `<key>LocalNetworkAccess</key><dict><key>SkipDomains</key>${
          strings(hostsOf(origins))
        }</dict>`
      : URL_LISTS.map((name) => `<key>${name}</key>${strings(origins)}`).join("");
  const payloads = browsers.map((browser) => {
    const domain = MAC_DOMAINS[browser];
    return `    <dict>
      <key>PayloadType</key><string>${domain}</string>
      <key>PayloadIdentifier</key><string>dsign.${domain}</string>
      <key>PayloadUUID</key><string>${uuidOf(domain)}</string>
      <key>PayloadVersion</key><integer>1</integer>
      ${settingsOf(browser)}
    </dict>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>PayloadType</key><string>Configuration</string>
  <key>PayloadIdentifier</key><string>dsign</string>
  <key>PayloadUUID</key><string>${uuidOf("dsign")}</string>
  <key>PayloadVersion</key><integer>1</integer>
  <key>PayloadDisplayName</key><string>Portals that may use D-Sign</string>
  <key>PayloadScope</key><string>System</string>
  <key>PayloadContent</key>
  <array>
${payloads.join("\n")}
  </array>
</dict>
</plist>
`;
}

const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
const hostsOf = (origins: readonly string[]) => origins.map((origin) => new URL(origin).hostname);

/** RFC 9562 §5.8, from the name's SHA-256, so that a reinstalled profile replaces the first one. */
function uuidOf(name: string): string {
  const hex = digest("SHA-256", new TextEncoder().encode(name)).toHex();
  const [a, b, c, d, e] = [[0, 8], [8, 12], [13, 16], [17, 20], [20, 32]].map(([from, to]) =>
    hex.slice(from, to)
  );
  return `${a}-${b}-8${c}-8${d}-${e}`.toUpperCase();
}
