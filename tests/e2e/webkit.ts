/** Debian's WebKitGTK, driven over WebDriver (https://www.w3.org/TR/webdriver2/): the engine of Safari. */
import { join } from "node:path";
import { freePort } from "../fixtures/free_port.ts";

const DRIVER = "/usr/bin/WebKitWebDriver";
const XVFB = "/usr/bin/Xvfb";
const LIBRARIES = `/usr/lib/${Deno.build.arch}-linux-gnu`;
/** Where the browser looks for certificates that it trusts; nothing can tell it another place. */
const ANCHORS = "/etc/ssl/certs/ca-certificates.crt";

const isFile = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};

function findMiniBrowser(): string | undefined {
  return ["webkit2gtk-4.1", "webkit2gtk-4.0"]
    .map((name) => join(LIBRARIES, name, "MiniBrowser"))
    .find(isFile);
}

/** Whether the browser can be started: a namespace of mounts, in which it trusts other roots, needs root. */
export const hasWebKit = () =>
  Deno.build.os === "linux" && Deno.uid() === 0 && [DRIVER, XVFB].every(isFile) &&
  findMiniBrowser() !== undefined;

const SCREEN = { width: 1366, height: 768 };

/** Milliseconds until what does not come is given up. */
const PATIENCE = 30_000;

/** A JSON value's reference to an element (WebDriver §12.2). */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
type ElementId = Record<typeof ELEMENT, string>;

/** A window of the browser. */
export class WebKitWindow {
  constructor(readonly browser: WebKit, readonly handle: string) {}

  async goto(url: string): Promise<void> {
    await this.#command("POST", "url", { url });
  }

  /** Runs a function in the page, and waits for its promise. */
  async evaluate<A extends unknown[], T>(
    work: (...args: A) => T,
    ...args: A
  ): Promise<Awaited<T>> {
    const script = `const done = arguments[arguments.length - 1];
      Promise.resolve().then(() => (${work})(...[...arguments].slice(0, -1)))
        .then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await this.#command("POST", "execute/async", { script, args }) as {
      value: Awaited<T>;
      error?: string;
    };
    if (error !== undefined) throw new Error(error);
    return value;
  }

  /** Waits until the function gives something true in the page. */
  async waitFor<A extends unknown[], T>(work: (...args: A) => T, ...args: A): Promise<Awaited<T>> {
    for (const end = Date.now() + PATIENCE;;) {
      const value = await this.evaluate(work, ...args);
      if (value) return value;
      if (Date.now() > end) throw new Error(`Waited in vain for ${work}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Clicks on an element as a person does; that may close the window. */
  async click(xpath: string): Promise<void> {
    const element = await this.#find(xpath);
    await orClosed(this.#command("POST", `element/${element}/click`, {}));
  }

  async type(xpath: string, text: string): Promise<void> {
    await this.#command("POST", `element/${await this.#find(xpath)}/value`, { text });
  }

  /** Without a window manager, the window under the pointer has the focus; the pointer is in the screen's middle. */
  async resize(width: number, height: number): Promise<void> {
    const [x, y] = [(SCREEN.width - width) >> 1, (SCREEN.height - height) >> 1];
    await this.#command("POST", "window/rect", { x, y, width, height });
  }

  async screenshot(): Promise<Uint8Array> {
    return Uint8Array.fromBase64(await this.#command("GET", "screenshot") as string);
  }

  async close(): Promise<void> {
    await orClosed(this.#command("DELETE", "window"));
  }

  async #find(value: string): Promise<string> {
    const found = await this.#command("POST", "element", { using: "xpath", value }) as ElementId;
    return found[ELEMENT];
  }

  #command(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.browser.command(this.handle, method, path, body);
  }
}

/** Waits for what may close the window, or find that it has closed itself. */
const orClosed = (command: Promise<unknown>) =>
  command.catch((error) => {
    if (!/^no such window/.test(error.message)) throw error;
  });

/** A browser. Commands go to one window at a time. */
export class WebKit {
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly processes: Deno.ChildProcess[],
    readonly session: string,
  ) {}

  /**
   * Starts a browser with a fresh profile on a screen that nobody sees.
   *
   * @param folder an empty one, for the profile
   * @param anchors certificates that it trusts, PEM
   */
  static async launch(folder: string, anchors: string): Promise<WebKit> {
    const roots = join(folder, "roots.crt");
    await Deno.writeTextFile(roots, anchors);
    const size = `${SCREEN.width}x${SCREEN.height}x24`;
    const screen = ["-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp"];
    const xvfb = new Deno.Command(XVFB, { args: screen, stdout: "piped", stderr: "null" }).spawn();
    const processes = [xvfb];
    try {
      const display = await firstLine(xvfb.stdout);
      const port = freePort();
      const driver = new Deno.Command("/usr/bin/unshare", {
        args: [
          ...["--mount", "sh", "-c", 'mount --bind "$1" "$2" && exec "$3" "--port=$4"', "sh"],
          ...[roots, ANCHORS, DRIVER, String(port)],
        ],
        env: { DISPLAY: `:${display}`, HOME: folder, XDG_RUNTIME_DIR: folder },
        stdout: "null",
        stderr: "null",
      }).spawn();
      processes.push(driver);
      const base = `http://127.0.0.1:${port}`;
      await started(base);
      const options = { binary: findMiniBrowser(), args: ["--automation"] };
      const { sessionId } = await ask("POST", `${base}/session`, {
        capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } },
      }) as { sessionId: string };
      return new WebKit(processes, `${base}/session/${sessionId}`);
    } catch (error) {
      await stop(processes);
      throw error;
    }
  }

  /** The window with which it started. */
  async first(): Promise<WebKitWindow> {
    return new WebKitWindow(this, await ask("GET", `${this.session}/window`) as string);
  }

  /** Opens an address as another program does, not as a page does. */
  async openWindow(url: string): Promise<WebKitWindow> {
    const { handle } = await ask("POST", `${this.session}/window/new`, { type: "window" }) as {
      handle: string;
    };
    const opened = new WebKitWindow(this, handle);
    await opened.resize(1050, 741);
    await opened.goto(url);
    return opened;
  }

  /** The windows that are open. */
  async handles(): Promise<string[]> {
    return await ask("GET", `${this.session}/window/handles`) as string[];
  }

  /** The window that a page opens beside these. */
  async opened(before: readonly string[]): Promise<WebKitWindow> {
    for (const end = Date.now() + PATIENCE;;) {
      const handle = (await this.handles()).find((each) => !before.includes(each));
      if (handle) return new WebKitWindow(this, handle);
      if (Date.now() > end) throw new Error("No window was opened.");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Gives a command to a window: which one has the commands is the session's state. */
  command(handle: string, method: string, path: string, body?: unknown): Promise<unknown> {
    const result = this.#turn.then(async () => {
      await ask("POST", `${this.session}/window`, { handle });
      return await ask(method, `${this.session}/${path}`, body);
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await ask("DELETE", this.session).catch(() => {}); // the driver's end ends it too
    await stop(this.processes);
  }
}

/** @throws {Error} WebDriver's, with its code */
async function ask(method: string, url: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method,
    ...body !== undefined && { body: JSON.stringify(body) },
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

async function started(base: string): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return void await ask("GET", `${base}/status`);
    } catch (error) {
      if (tries === 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The process ended.");
    text += value;
  }
  await reader.cancel();
  return text.split("\n")[0].trim();
}

async function stop(processes: Deno.ChildProcess[]): Promise<void> {
  for (const process of processes.toReversed()) {
    try {
      process.kill();
    } catch {
      // It has ended.
    }
    await process.status;
  }
}
