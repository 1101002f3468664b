/** Debian's Chromium, driven by Playwright. */
import axe from "axe-core";
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";

/** Folder for the screenshots of a test run. */
const SCREENSHOTS = new URL("../../dist/screenshots/", import.meta.url);

function findChromium(): string {
  const found = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    },
  );
  if (!found) throw new Error("This test needs a browser: apt-get install chromium");
  return found;
}

/**
 * Starts a browser with a fresh profile; headless, unless it is given a display.
 *
 * @param env beside the test's own
 */
export async function launch(
  extra: string[] = [],
  env: Record<string, string> = {},
): Promise<Browser> {
  return await chromium.launch({
    env: { ...Deno.env.toObject(), ...env },
    headless: !("DISPLAY" in env),
    executablePath: findChromium(),
    args: [
      "--no-sandbox", // as root, Chromium has none
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...extra,
    ],
  });
}

/**
 * Opens an address as another program does, not as a page does: the window's history begins with it, and so the page
 * may close its window.
 */
export async function openWindow(context: BrowserContext, url: string): Promise<Page> {
  const first = context.pages()[0] ?? await context.newPage();
  const session = await context.newCDPSession(first);
  const { targetInfo: { browserContextId } } = await session.send("Target.getTargetInfo");
  const opened = context.waitForEvent("page");
  await session.send("Target.createTarget", { url, browserContextId });
  await session.detach();
  return await opened;
}

/**
 * Looks at all of a consent page, as its person must before the answer counts. What comes late, such as the verdicts on
 * earlier signatures, is looked at too. @returns once an answer counts and goes on counting
 */
export async function lookAtAll(page: Page): Promise<void> {
  const approve = page.locator("button[type=submit]");
  const more = page.locator(".see-next button");
  let counted = 0;
  for (const end = Date.now() + 30_000; counted < 10;) {
    if (Date.now() > end) throw new Error("No answer counts, though all was looked at.");
    counted = await approve.isDisabled() ? 0 : counted + 1;
    if (await more.count() > 0) await more.click({ timeout: 1000 }).catch(() => {}); // it has just gone
    await page.waitForTimeout(50);
  }
}

/** Waits until a window is closed. */
export async function closed(page: Page): Promise<void> {
  if (!page.isClosed()) await page.waitForEvent("close");
}

/** A press may close its window before the window has told the driver that the button or key is up again. */
async function orClosed(page: Page, pressed: Promise<void>): Promise<void> {
  await pressed.catch(async (error: Error) => {
    if (!error.message.includes("has been closed")) throw error;
    await closed(page);
  });
}

/** Presses the button of this name. */
export async function press(page: Page, name: string): Promise<void> {
  await orClosed(page, page.getByRole("button", { name, exact: true }).click());
}

/** Presses a key, as Playwright names it. */
export async function pressKey(page: Page, key: string): Promise<void> {
  await orClosed(page, page.keyboard.press(key));
}

/** Presses the button of a consent page that says yes, once all has been looked at. */
export async function sayYes(page: Page, name: string): Promise<void> {
  await lookAtAll(page);
  await press(page, name);
}

/** Findings of axe-core on the page as it is now (WCAG 2.2 A and AA, best practices), one line each. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Through the debugging protocol, since the pages' own policy lets no foreign script in.
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    return (await axe.run(document)).violations;
  });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target} ${failureSummary}`)
  );
}

/** Additions to a picture, or a part to show instead of the whole page. */
export interface Picture {
  /** Numbered from 1 at their upper left corners, for the text beside the picture. */
  marks?: Locator[];
  /** This part alone, and of it no more than its upper `height` pixels. */
  part?: Locator;
  height?: number;
}

/**
 * Leaves a picture of the whole page in `dist/screenshots`, as a window of its height shows it. `deno task pictures`
 * brings those that the guides show to `docs/images`.
 */
export async function screenshot(
  page: Page,
  name: string,
  { marks = [], part, height }: Picture = {},
): Promise<void> {
  const before = page.viewportSize()!;
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: before.width, height: Math.max(whole, before.height) });
  const handles = await Promise.all(marks.map((mark) => mark.elementHandle()));
  await page.evaluate((elements) => {
    for (const [i, element] of elements.entries()) {
      const { left, top } = element!.getBoundingClientRect();
      const badge = Object.assign(document.createElement("b"), { textContent: `${i + 1}` });
      badge.className = "badge-of-a-picture";
      Object.assign(badge.style, {
        ...{ position: "fixed", left: `${Math.max(0, left - 24)}px`, top: `${top}px` },
        ...{ width: "22px", height: "22px", borderRadius: "11px", lineHeight: "22px" },
        ...{ textAlign: "center", background: "#b3261e", color: "#fff", zIndex: "9" },
      });
      document.body.append(badge);
    }
  }, handles);
  const limit = (height: string, overflow: string) =>
    part?.evaluate((element, style) => Object.assign((element as HTMLElement).style, style), {
      maxHeight: height,
      overflow,
    });
  await limit(height === undefined ? "" : `${height}px`, height === undefined ? "" : "hidden");
  await (part ?? page).screenshot({
    path: new URL(`${name}.png`, SCREENSHOTS).pathname,
    animations: "disabled",
  });
  await limit("", "");
  await page.evaluate(() =>
    document.querySelectorAll(".badge-of-a-picture").forEach((badge) => badge.remove())
  );
  await page.setViewportSize(before);
}

/** Collects the errors in the pages' consoles: a script that threw, a policy that was broken. */
export function watchConsole(context: BrowserContext): string[] {
  const errors: string[] = [];
  context.on("weberror", (error) => errors.push(String(error.error())));
  context.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  return errors;
}
