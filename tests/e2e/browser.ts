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

export function findChromium(): string {
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

/**
 * Once all of a question was looked at: puts one part of it out of sight again until no answer counts, and back until one
 * does.
 */
export async function mustBeSeen(page: Page, part: Locator): Promise<void> {
  await lookAtAll(page);
  const style = (css: string) =>
    part.evaluate((element: HTMLElement, css) => void (element.style.cssText = css), css);
  await style("clip-path: inset(50%); padding-bottom: 40px"); // of another size, it is to be seen anew
  await page.locator("button[type=submit]:disabled").waitFor();
  await page.locator(".see-next").waitFor();
  await style("");
  await lookAtAll(page);
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

/**
 * Findings of axe-core on the page as it is now, one line each, by all of its rules; of WCAG's AAA, contrast of 7 to 1 is
 * not asked for. Disabled controls, which axe leaves out, are to be as readable as others.
 */
export async function axeFindings(page: Page): Promise<string[]> {
  // Through the debugging protocol, since the pages' own policy lets no foreign script in.
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const all = axe.getRules().map(({ ruleId }) => [ruleId, { enabled: true }]);
    const rules = { ...Object.fromEntries(all), "color-contrast-enhanced": { enabled: false } };
    return (await axe.run(document, { rules })).violations;
  });
  return [
    ...violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target} ${failureSummary}`)
    ),
    ...await paleControls(page),
  ];
}

/** Disabled controls whose text stands out less than 4.5 to 1 (WCAG 2.2 §1.4.3, which leaves them out). */
async function paleControls(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
    const light = (colour: string, ground: string) => {
      canvas.fillStyle = ground;
      canvas.fillRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) =>
        part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4
      );
      return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
    };
    const isClear = (colour: string) => /, 0\)$|transparent/.test(colour);
    const groundOf = (element: Element | null): string => {
      if (!element) return "white";
      const { backgroundColor } = getComputedStyle(element);
      return isClear(backgroundColor) ? groundOf(element.parentElement) : backgroundColor;
    };
    return [...document.querySelectorAll("button:disabled, label:has(:disabled)")].flatMap(
      (each) => {
        const { color, opacity } = getComputedStyle(each);
        const ground = groundOf(each);
        const [dark, bright] = [light(color, ground), light(ground, ground)].sort((a, b) => a - b);
        const contrast = (bright! + 0.05) / (dark! + 0.05);
        return contrast >= 4.5 && opacity === "1"
          ? []
          : [`contrast of the disabled “${each.textContent}”: ${contrast.toFixed(1)}`];
      },
    );
  });
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
