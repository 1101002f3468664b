/** The page's side of protocol/consent.ts. */
import type {
  ConsentEvent,
  ConsentReply,
  ConsentView,
  LookedAt,
  PdfFacts,
  ShownRevision,
  Unlocked,
} from "../../protocol/consent.ts";
import { openPdf, type PdfFile } from "./pdf_file.ts";

export interface ConsentApi {
  /** The request; null if the ticket is no longer valid. */
  view(): Promise<ConsentView | null>;
  answer(reply: ConsentReply): Promise<Unlocked>;
  /** Keeps a language for all of D-Sign; an agent without settings keeps nothing. */
  keepLanguage(language: string): Promise<void>;
  /** Facts about a PDF among the items. */
  signatures(item: number): Promise<PdfFacts>;
  /** How an item of a batch is shown; null where it did not come. */
  look(item: number): Promise<LookedAt | null>;
  /** The revision of a PDF that a certificate signs; null if the signature is a separate file. */
  revision(item: number, certificate: string): Promise<ShownRevision | null>;
  /** The PDF itself, to be shown; as it is signed with a certificate. */
  openPdf(
    item: number,
    password: string | null,
    signed?: { certificate: string; revision: string },
  ): Promise<PdfFile>;
  /**
   * Stays open for as long as the request is shown, which tells the agent that the window is.
   *
   * @returns why it ended (null: it was answered), or `lost` where the agent went away
   */
  follow(
    extended: (deadline: string) => void,
  ): Promise<Extract<ConsentEvent, { event: "ended" }>["code"] | "lost">;
}

export function consentApi(ticket: string): ConsentApi {
  const ask = (path: string, body?: ConsentReply | { language: string }) =>
    fetch(path, {
      method: body ? "POST" : "GET",
      headers: {
        authorization: `Bearer ${ticket}`,
        ...body && { "content-type": "application/json" },
      },
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
  return {
    async view() {
      const response = await ask("/consent/view");
      return response.ok ? await response.json() : null;
    },
    async answer(reply) {
      const response = await ask("/consent/answer", reply);
      if (!response.ok) throw new Error(`the answer was refused with status ${response.status}`);
      return await response.json();
    },
    async keepLanguage(language) {
      const response = await ask("/consent/language", { language });
      await response.body?.cancel();
    },
    async signatures(item) {
      const response = await ask(`/consent/signatures/${item}`);
      if (!response.ok) throw new Error(`there is nothing to show, status ${response.status}`);
      return await response.json();
    },
    async look(item) {
      const response = await ask(`/consent/look/${item}`);
      return response.ok ? await response.json() : null;
    },
    async revision(item, certificate) {
      const response = await ask(
        `/consent/revision/${item}?certificate=${encodeURIComponent(certificate)}`,
      );
      if (!response.ok) throw new Error(`there is nothing to sign, status ${response.status}`);
      return await response.json();
    },
    openPdf: (item, password, signed) =>
      openPdf(
        `/consent/document/${item}${signed ? `?${new URLSearchParams(signed)}` : ""}`,
        ticket,
        password,
      ),
    async follow(extended) {
      try {
        const response = await ask("/consent/alive");
        // It may have ended between the view and this.
        if (response.status === 404) return "request_cancelled";
        for await (const event of eventsOf(response)) {
          if (event.event === "ended") return event.code;
          if (event.event === "extended") extended(event.deadline);
        }
      } catch {
        // The connection broke: the agent is gone.
      }
      return "lost";
    },
  };
}

/** Newline-delimited JSON. */
async function* eventsOf(response: Response): AsyncGenerator<ConsentEvent> {
  if (!response.ok || !response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (buffered + value).split("\n");
    buffered = lines.pop()!;
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
}
