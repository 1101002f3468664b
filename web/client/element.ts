/** A button that signs, for pages without a framework. */
import type { BatchFile, BatchOutcome, BatchResult } from "./batch.ts";
import type { SignedPdf } from "./calls.ts";
import type { Client } from "./client.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { DsignClientError } from "./errors.ts";
import { connectByPopup } from "./popup.ts";
import type { Params, Result } from "../../protocol/methods.ts";

/** What a {@linkcode DsignButton} signs: exactly one member. */
export type ToSign =
  | { data: Params<"sign.data"> }
  | { pdf: Blob; options?: Parameters<Client["signPdf"]>[1] }
  | {
    pdfs: readonly BatchFile[];
    options?: Pick<Params<"sign.batch">, "certificate" | "purpose"> & Params<"sign.batch">["pdf"];
    onItem?: (outcome: BatchOutcome) => void | Promise<void>;
  };

/** `detail` of the event `signed`. */
export type Signed = Result<"sign.data"> | SignedPdf | BatchResult;

/** Pages are rendered on servers too, where there are no elements. */
const Base: typeof HTMLElement = globalThis.HTMLElement ?? class {};

/** Failures after which a window of the signer program may help, which only a click can open. */
const POPUP_HELPS = ["blocked_by_browser", "permission_denied"];

/**
 * `<dsign-button>`: connects, asks for the grant and signs in the person's click, and says below itself what failed.
 *
 * Events: `signed` ({@linkcode Signed} as `detail`), `failed` (the error as `detail`). Its button is the part `button`,
 * its sentence the part `message`.
 */
export class DsignButton extends Base {
  static readonly observedAttributes = ["disabled"];
  /** Of `connect`; by default it asks for `certificates` and `sign`, with the attribute `request` as the words. */
  options: ConnectOptions = {};
  /** Called at each click. */
  toSign: (() => ToSign | Promise<ToSign>) | undefined;
  #button: HTMLButtonElement | undefined;
  #message: HTMLElement | undefined;
  #failure: string | undefined;
  #running: AbortController | undefined;

  connectedCallback(): void {
    if (this.#button) return;
    const shadow = this.attachShadow({ mode: "open" });
    shadow.innerHTML =
      '<button type="button" part="button"><slot></slot></button> <span part="message" role="status"></span>';
    this.#button = shadow.querySelector("button")!;
    this.#message = shadow.querySelector("span")!;
    this.#button.onclick = () => void this.#sign();
    this.attributeChangedCallback();
  }

  /** What is under way is taken back. */
  disconnectedCallback(): void {
    this.#running?.abort();
  }

  attributeChangedCallback(): void {
    if (this.#button) {
      this.#button.disabled = this.#running !== undefined || this.hasAttribute("disabled");
    }
  }

  async #sign(): Promise<void> {
    const { toSign } = this;
    if (!toSign) {
      throw new TypeError(
        "Set toSign: button.toSign = () => ({ data: { content: { json: bill } } })",
      );
    }
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.#message!.textContent = "";
    this.attributeChangedCallback();
    let dsign: Client | undefined;
    try {
      const byPopup = POPUP_HELPS.includes(this.#failure ?? "");
      // The window opens before anything is waited for: later the browser lets none open.
      dsign = await (byPopup ? connectByPopup : connect)({
        scopes: ["certificates", "sign"],
        request: this.getAttribute("request") ?? "",
        ...this.options,
        signal,
      });
      this.#failure = undefined;
      const detail = await sign(dsign, await toSign(), signal);
      this.dispatchEvent(new CustomEvent<Signed>("signed", { detail, bubbles: true }));
    } catch (error) {
      if (!(error instanceof DsignClientError)) throw error;
      this.#failure = error.code;
      // A no of the person is no failure to be told to them.
      if (error.code !== "user_cancelled") this.#message!.textContent = error.message;
      this.dispatchEvent(new CustomEvent("failed", { detail: error, bubbles: true }));
    } finally {
      dsign?.close();
      this.#running = undefined;
      this.attributeChangedCallback();
    }
  }
}

function sign(dsign: Client, what: ToSign, signal: AbortSignal): Promise<Signed> {
  if ("data" in what) return dsign.call("sign.data", what.data, { signal });
  if ("pdf" in what) return dsign.signPdf(what.pdf, what.options, { signal });
  if ("pdfs" in what) {
    return dsign.signBatch(what.pdfs, what.options, { signal, onItem: what.onItem });
  }
  throw new TypeError("toSign gives { data }, { pdf } or { pdfs }.");
}

declare global {
  interface HTMLElementTagNameMap {
    "dsign-button": DsignButton;
  }
}

/** Makes `<dsign-button>` known to the page; nothing on a server. */
export function defineDsignButton(name = "dsign-button"): void {
  const { customElements } = globalThis;
  if (customElements && !customElements.get(name)) customElements.define(name, DsignButton);
}
