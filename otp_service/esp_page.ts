/**
 * The page before an eSign service and the one after a refused answer: plain HTML, since there is nothing to type, in the
 * layout of every question (web/screen.tsx). A script (web/otp/esp.tsx) draws the document's pages.
 */
import { html } from "hono/html";
import { serviceSpeech } from "../words/service.ts";
import { type Language, LANGUAGES } from "../words/speech.ts";

/** The language that is wished, if it is one of the page's. */
export function espLanguage(wished: string | undefined, otherwise: string): Language {
  const found = [wished, otherwise].find((each) =>
    each !== undefined && Object.hasOwn(LANGUAGES, each)
  );
  return (found ?? "en") as Language;
}

/** Somebody else's words: what cannot be seen is shown as such; joiners belong to Bengali and Hindi. */
const foreign = (text: string) =>
  html`<bdi>${text.replace(/(?![\u200c\u200d])\p{C}/gu, "\ufffd")}</bdi>`;

type Html = ReturnType<typeof html>;

export interface EspPage {
  service: string;
  client: string;
  name: string;
  purpose: string;
  /** Hex. */
  digest: string;
  /** Milliseconds since 1970. */
  until: number;
  /** Address of the document. */
  document: string;
  /** Address whose POST ends it. */
  reject: string;
  action: string;
  fields: Readonly<Record<string, string>>;
}

/** The page from which the browser goes to the ESP: a form with the request, sent by the person's click. */
export function espPage(language: Language, page: EspPage): string {
  const { say } = serviceSpeech(language);
  const time = new Date(page.until).toLocaleTimeString(`${language}-IN`, {
    timeZone: "Asia/Kolkata",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const fields = Object.entries(page.fields).map(([name, value]) =>
    html`<input type="hidden" name="${name}" value="${value}">`
  );
  const digits = page.digest.match(/.{1,4}/g)!.join(" ");
  return layout(
    language,
    page.service,
    html`
      <div class="screen">
        <h1>${say("esign_ask")}</h1>
        <div class="pane-frame">
          <div class="pane" tabindex="0" role="region" aria-label="${say("esign_document")}">
            <div>
              <section>
                <h2>${say("esign_document")}</h2>
                <p class="name"><strong>${foreign(page.name)}</strong>
      <a href="${page.document}" target="_blank">${say("esign_show")}</a></p>
                <div id="pages" data-url="${page.document}" data-name="${page.name}"></div>
                <p>${say("esign_hash")} <code class="digits">${digits}</code></p>
              </section>
            </div>
          </div>
        </div>
        <div class="panel">
          <div class="panel-facts">
            <section id="asker">
              <h2>${say("esign_asked_by")}</h2>
              <p class="origin"><strong>${foreign(page.client)}</strong></p>
            </section>
            <section class="kind">
              <p><strong>${say("esign_kind")}</strong></p>
              <p class="notice">${say("esign_explain", { host: new URL(page.action).host })}</p>
            </section>
            <figure class="purpose">
              <figcaption>${say("esign_purpose")}</figcaption>
              <blockquote dir="auto" tabindex="-1">${foreign(page.purpose)}</blockquote>
            </figure>
          </div>
          <div class="actions">
            <p class="time">${say("esign_until", { time })}</p>
            <button form="reject" class="secondary">${say("esign_reject")}</button>
            <button form="go" type="submit">${say("esign_go")}</button>
          </div>
        </div>
      </div>
      <form method="post" action="${page.action}" id="go">${fields}</form>
      <form method="post" action="${page.reject}" id="reject"></form>
    `,
  );
}

/** One sentence where nothing can be done here. */
export function espEnd(
  language: Language,
  service: string,
  word: "over" | "refused" | "refused_over",
): string {
  return layout(
    language,
    service,
    html`
      <div class="ended">
        <h1>${serviceSpeech(language).say(`esign_${word}`)}</h1>
      </div>
    `,
    word === "over",
  );
}

/** @param isAsked whether the page was asked for by its address, and can be so in another language */
function layout(language: Language, service: string, main: Html, isAsked = true): string {
  const { say } = serviceSpeech(language);
  const languages = Object.entries(LANGUAGES).map(([tag, name]) =>
    html`
      <button name="lang" value="${tag}" lang="${tag}"
        aria-pressed="${String(tag === language)}">${name}</button>
    `
  );
  const nav = html`<form class="languages" aria-label="${
    say("esign_language")
  }">${languages}</form>`;
  return String(html`
    <!DOCTYPE html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${say("esign_title")}</title>
        <link rel="icon" href="/web/icon.svg">
        <link rel="stylesheet" href="/web/style.css">
        <link rel="stylesheet" href="/web/screen.css">
        <link rel="stylesheet" href="/web/otp.css">
        <script type="module" src="/web/esp.js"></script>
      </head>
      <body class="otp">
        <header><p class="brand"><strong>${foreign(service)}</strong></p>${isAsked && nav}</header>
        <main>${main}</main>
      </body>
    </html>
  `);
}
