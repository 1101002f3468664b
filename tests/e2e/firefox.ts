/** Debian's Firefox ESR, driven over WebDriver BiDi. */
import { join } from "node:path";
import puppeteer, { type Browser } from "puppeteer-core";

const FIREFOX = "/usr/bin/firefox-esr";

/** The person's answer in Firefox to sites that want to reach programs on this computer. */
export const loopbackPermission = (state: "ask" | "granted" | "denied") => ({
  "permissions.default.loopback-network": { ask: 0, granted: 1, denied: 2 }[state],
});

/** Preferences by which Firefox takes pages of this computer for pages of the internet, as it takes those of a portal. */
export const asPublic = (ports: readonly number[]): Record<string, unknown> => ({
  "network.lna.enabled": true,
  "network.lna.blocking": true,
  "network.lna.address_space.public.override": ports.map((port) => `127.0.0.1:${port}`).join(","),
});

/**
 * Starts a headless Firefox.
 *
 * @param profile an empty folder, or a profile
 */
export async function launchFirefox(
  profile: string,
  preferences: Record<string, unknown> = {},
): Promise<Browser> {
  try {
    await Deno.stat(FIREFOX);
  } catch {
    throw new Error("This test needs Firefox: apt-get install firefox-esr");
  }
  return await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    userDataDir: profile,
    headless: true,
    extraPrefsFirefox: preferences,
    // Without a separate home, Firefox would use the person's.
    env: { ...Deno.env.toObject(), HOME: join(profile, "home"), MOZ_HEADLESS: "1" },
  });
}
