/** The page before an eSign service and the one after a refused answer: plain HTML, since there is nothing to type. */
import { serviceSpeech } from "../words/service.ts";
import { type Language, LANGUAGES } from "../words/speech.ts";

/** The language that is wished, if it is one of the page's. */
export function espLanguage(wished: string | undefined, otherwise: string): Language {
  const found = [wished, otherwise].find((each) =>
    each !== undefined && Object.hasOwn(LANGUAGES, each)
  );
  return (found ?? "en") as Language;
}

const escape = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
/** Somebody else's words: what cannot be seen is shown as such; joiners belong to Bengali and Hindi. */
const foreign = (text: string) =>
  `<bdi>${escape(text.replace(/(?![\u200c\u200d])\p{C}/gu, "\ufffd"))}</bdi>`;

export interface EspPage {
  service: string;
  client: string;
  name: string;
  purpose: string;
  /** Hex. */
  digest: string;
  /** Milliseconds since 1970. */
  until: number;
  /** Where the document is to be had. */
  document: string;
  /** Where its POST ends it. */
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
  const rows = [
    [say("esign_asked_by"), foreign(page.client)],
    [say("esign_purpose"), foreign(page.purpose)],
    [
      say("esign_document"),
      `${foreign(page.name)}<br><a href="${escape(page.document)}" target="_blank">${
        say("esign_show")
      }</a>`,
    ],
    [say("esign_hash"), `<code class="digits">${page.digest.match(/.{1,4}/g)!.join(" ")}</code>`],
  ];
  const fields = Object.entries(page.fields).map(([name, value]) =>
    `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`
  );
  return html(
    language,
    page.service,
    `<h1>${say("esign_ask")}</h1>
<p><strong>${say("esign_kind")}</strong></p>
<p class="notice">${say("esign_explain", { host: escape(new URL(page.action).host) })}</p>
<dl class="rows">${
      rows.map(([label, value]) => `<div><dt>${label}</dt><dd>${value}</dd></div>`).join("")
    }</dl>
<p>${say("esign_until", { time })}</p>
<form method="post" action="${escape(page.action)}" id="go">${fields.join("")}</form>
<form method="post" action="${escape(page.reject)}" id="reject"></form>
<p class="actions"><button form="reject" class="secondary">${say("esign_reject")}</button>
<button form="go">${say("esign_go")}</button></p>`,
  );
}

/** One sentence where nothing can be done here. */
export function espEnd(
  language: Language,
  service: string,
  word: "over" | "refused" | "refused_over",
): string {
  return html(
    language,
    service,
    `<h1>${serviceSpeech(language).say(`esign_${word}`)}</h1>`,
    word === "over",
  );
}

/** @param isAsked whether the page was asked for by its address, and can be so in another language */
function html(language: Language, service: string, main: string, isAsked = true): string {
  const { say } = serviceSpeech(language);
  const languages = Object.entries(LANGUAGES).map(([tag, name]) =>
    `<button name="lang" value="${tag}" lang="${tag}" aria-pressed="${
      tag === language
    }">${name}</button>`
  );
  const nav = `<form class="languages" aria-label="${say("esign_language")}">${
    languages.join("")
  }</form>`;
  return `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${say("esign_title")}</title>
<link rel="icon" href="/web/icon.svg">
<link rel="stylesheet" href="/web/style.css">
<link rel="stylesheet" href="/web/otp.css">
</head>
<body class="otp">
<header><p class="brand"><strong>${foreign(service)}</strong></p>${isAsked ? nav : ""}</header>
<main>${main}</main>
</body>
</html>
`;
}
