/** The page before an eSign service and the one after a refused answer: plain HTML, since there is nothing to type. */

/** In what the page speaks. */
export type EspLanguage = "en" | "bn" | "hi";

const en = {
  title: "Sign by eSign",
  language: "Language",
  ask: "Do you want to sign this by eSign?",
  kind: "ESP eSign",
  explain:
    "The eSign service at {host} asks who you are, and signs with a certificate that is made for this signature alone. It is not a departmental PIN/OTP signature and not a signature with a DSC token.",
  asked_by: "Who is asking",
  purpose: "Purpose",
  document: "What you sign",
  show: "Read the document (PDF)",
  hash: "Hash (SHA-256)",
  until: "Sign before {time}. Nothing is signed until the eSign service has asked you.",
  go: "Go on to the eSign service",
  reject: "Do not sign",
  over: "There is nothing to sign here. The link was used, or is too old.",
  refused_over: "This eSign transaction is over. Begin again in the portal.",
  refused: "This answer does not count, and nothing was changed by it. Begin again in the portal.",
} as const;

type Words = Record<keyof typeof en, string>;

const bn: Words = {
  title: "eSign দিয়ে স্বাক্ষর",
  language: "ভাষা",
  ask: "আপনি কি eSign দিয়ে এটিতে স্বাক্ষর করতে চান?",
  kind: "ESP eSign",
  explain:
    "{host}-এর eSign পরিষেবা আপনার পরিচয় যাচাই করে এবং কেবল এই স্বাক্ষরের জন্য তৈরি একটি সার্টিফিকেট দিয়ে স্বাক্ষর করে। এটি বিভাগীয় PIN/OTP স্বাক্ষর নয়, DSC টোকেনের স্বাক্ষরও নয়।",
  asked_by: "কে চাইছে",
  purpose: "উদ্দেশ্য",
  document: "আপনি যাতে স্বাক্ষর করছেন",
  show: "নথিটি পড়ুন (PDF)",
  hash: "হ্যাশ (SHA-256)",
  until: "{time}-এর আগে স্বাক্ষর করুন। eSign পরিষেবা আপনাকে জিজ্ঞাসা না করা পর্যন্ত কিছুই স্বাক্ষরিত হয় না।",
  go: "eSign পরিষেবায় যান",
  reject: "স্বাক্ষর করব না",
  over: "এখানে স্বাক্ষর করার কিছু নেই। লিঙ্কটি ব্যবহার করা হয়ে গেছে, বা পুরোনো।",
  refused_over: "এই eSign লেনদেন শেষ হয়ে গেছে। পোর্টালে আবার শুরু করুন।",
  refused: "এই উত্তর গণ্য নয়, এতে কিছুই বদলায়নি। পোর্টালে আবার শুরু করুন।",
};

const hi: Words = {
  title: "eSign से हस्ताक्षर",
  language: "भाषा",
  ask: "क्या आप eSign से इस पर हस्ताक्षर करना चाहते हैं?",
  kind: "ESP eSign",
  explain:
    "{host} की eSign सेवा आपकी पहचान जाँचती है और केवल इसी हस्ताक्षर के लिए बने प्रमाणपत्र से हस्ताक्षर करती है। यह विभागीय PIN/OTP हस्ताक्षर नहीं है, और DSC टोकन का हस्ताक्षर भी नहीं।",
  asked_by: "कौन माँग रहा है",
  purpose: "उद्देश्य",
  document: "आप किस पर हस्ताक्षर करते हैं",
  show: "दस्तावेज़ पढ़ें (PDF)",
  hash: "हैश (SHA-256)",
  until: "{time} से पहले हस्ताक्षर करें। eSign सेवा के पूछने तक कुछ भी हस्ताक्षरित नहीं होता।",
  go: "eSign सेवा पर जाएँ",
  reject: "हस्ताक्षर नहीं करना",
  over: "यहाँ हस्ताक्षर करने के लिए कुछ नहीं है। लिंक का उपयोग हो चुका है, या वह पुराना है।",
  refused_over: "यह eSign लेन-देन समाप्त हो चुका है। पोर्टल में फिर से शुरू करें।",
  refused: "यह उत्तर मान्य नहीं है, इससे कुछ नहीं बदला। पोर्टल में फिर से शुरू करें।",
};

const WORDS: Record<EspLanguage, Words> = { en, bn, hi };
const NAMES: Record<EspLanguage, string> = { en: "English", bn: "বাংলা", hi: "हिन्दी" };

/** The language that is wished, if it is one of the page's. */
export function espLanguage(wished: string | undefined, otherwise: string): EspLanguage {
  const found = [wished, otherwise].find((each) =>
    each !== undefined && Object.hasOwn(WORDS, each)
  );
  return (found ?? "en") as EspLanguage;
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
export function espPage(language: EspLanguage, page: EspPage): string {
  const words = WORDS[language];
  const time = new Date(page.until).toLocaleTimeString(`${language}-IN`, {
    timeZone: "Asia/Kolkata",
    timeStyle: "short",
  });
  const rows = [
    [words.asked_by, foreign(page.client)],
    [words.purpose, foreign(page.purpose)],
    [
      words.document,
      `${foreign(page.name)}<br><a href="${
        escape(page.document)
      }" target="_blank">${words.show}</a>`,
    ],
    [words.hash, `<code class="digits">${page.digest.match(/.{1,4}/g)!.join(" ")}</code>`],
  ];
  const fields = Object.entries(page.fields).map(([name, value]) =>
    `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`
  );
  return html(
    language,
    page.service,
    `<h1>${words.ask}</h1>
<p><strong>${words.kind}</strong></p>
<p class="notice">${words.explain.replace("{host}", escape(new URL(page.action).host))}</p>
<dl class="rows">${
      rows.map(([label, value]) => `<div><dt>${label}</dt><dd>${value}</dd></div>`).join("")
    }</dl>
<p>${words.until.replace("{time}", time)}</p>
<form method="post" action="${escape(page.action)}" id="go">${fields.join("")}</form>
<form method="post" action="${escape(page.reject)}" id="reject"></form>
<p class="actions"><button form="reject" class="secondary">${words.reject}</button>
<button form="go">${words.go}</button></p>`,
  );
}

/** One sentence where nothing can be done here. */
export function espEnd(
  language: EspLanguage,
  service: string,
  word: "over" | "refused" | "refused_over",
): string {
  return html(language, service, `<h1>${WORDS[language][word]}</h1>`, word === "over");
}

/** @param isAsked whether the page was asked for by its address, and can be so in another language */
function html(language: EspLanguage, service: string, main: string, isAsked = true): string {
  const words = WORDS[language];
  const languages = Object.entries(NAMES).map(([tag, name]) =>
    `<button name="lang" value="${tag}" lang="${tag}" aria-pressed="${
      tag === language
    }">${name}</button>`
  );
  const nav = `<form class="languages" aria-label="${words.language}">${languages.join("")}</form>`;
  return `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${words.title}</title>
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
