/** How a message reaches a person. */
import type { Person } from "./store.ts";

/** What is sent. Nothing in it but the OTP or the link is secret. */
export interface Message {
  readonly subject: string;
  readonly text: string;
}

/** Sends messages; a port, so that tests and other gateways can take its place. */
export interface Delivery {
  /**
   * Sends, and returns when the next server on the way has taken it over.
   *
   * @throws {DeliveryError}
   */
  send(to: Person, message: Message): Promise<void>;
}

/** The message was not taken over. `message` says by whom and why, for the log. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
}

/** Words of the messages, by language. */
const WORDS = {
  en: {
    otp: (otp: string, client: string) => `OTP ${otp} to sign for ${client}`,
    purpose: "Purpose",
    document: "Document",
    more: (count: number) => `and ${count} more, ${count + 1} signatures in all`,
    hash: "Hash begins",
    unnamed: "the portal did not say which document",
    warn:
      "Give it to nobody; type it only where you typed your PIN. Valid for 10 minutes. If you did not ask for it, tell your office.",
    enrolSubject: "Set your signing PIN",
    enrol: (name: string, link: string, hours: number) =>
      `${name}, please set the PIN with which you will sign: ${link}\nThe link works once, for ${hours} hours. Send it to nobody.`,
    lockedSubject: "Your signing PIN is locked",
    locked:
      "Your signing PIN was typed wrong five times and is locked. If it was not you, tell your office at once. The administrator can unlock it after checking who you are.",
  },
  bn: {
    otp: (otp: string, client: string) => `${client}-এর জন্য স্বাক্ষরের OTP ${otp}`,
    purpose: "উদ্দেশ্য",
    document: "নথি",
    more: (count: number) => `এবং আরও ${count}টি, মোট ${count + 1}টি স্বাক্ষর`,
    hash: "হ্যাশের শুরু",
    unnamed: "কোন নথি তা পোর্টাল জানায়নি",
    warn:
      "এটি কাউকে দেবেন না; যেখানে পিন লিখেছেন শুধু সেখানেই লিখুন। ১০ মিনিট বৈধ। আপনি না চেয়ে থাকলে আপনার দপ্তরকে জানান।",
    enrolSubject: "আপনার স্বাক্ষরের পিন ঠিক করুন",
    enrol: (name: string, link: string, hours: number) =>
      `${name}, যে পিন দিয়ে আপনি স্বাক্ষর করবেন তা ঠিক করুন: ${link}\nলিঙ্কটি একবার, ${hours} ঘণ্টার মধ্যে কাজ করে। কাউকে পাঠাবেন না।`,
    lockedSubject: "আপনার স্বাক্ষরের পিন বন্ধ হয়েছে",
    locked:
      "আপনার স্বাক্ষরের পিন পাঁচবার ভুল লেখা হয়েছে, তাই এটি বন্ধ। আপনি না করে থাকলে এখনই আপনার দপ্তরকে জানান। পরিচয় যাচাই করে প্রশাসক এটি খুলতে পারেন।",
  },
  hi: {
    otp: (otp: string, client: string) => `${client} के लिए हस्ताक्षर का OTP ${otp}`,
    purpose: "उद्देश्य",
    document: "दस्तावेज़",
    more: (count: number) => `और ${count} अन्य, कुल ${count + 1} हस्ताक्षर`,
    hash: "हैश का आरंभ",
    unnamed: "पोर्टल ने दस्तावेज़ नहीं बताया",
    warn:
      "इसे किसी को न दें; जहाँ पिन लिखा है केवल वहीं लिखें। 10 मिनट तक मान्य। यदि आपने नहीं माँगा तो अपने कार्यालय को बताएँ।",
    enrolSubject: "अपना हस्ताक्षर पिन तय करें",
    enrol: (name: string, link: string, hours: number) =>
      `${name}, वह पिन तय करें जिससे आप हस्ताक्षर करेंगे: ${link}\nलिंक एक बार, ${hours} घंटे के भीतर काम करता है। किसी को न भेजें।`,
    lockedSubject: "आपका हस्ताक्षर पिन बंद हो गया है",
    locked:
      "आपका हस्ताक्षर पिन पाँच बार गलत लिखा गया और बंद हो गया है। यदि यह आपने नहीं किया तो तुरंत अपने कार्यालय को बताएँ। पहचान जाँचकर प्रशासक इसे खोल सकता है।",
  },
} as const;

/** Digits of a hash that a message names; the page shows the same. */
export const HASH_PREFIX = 16;

/** The beginning of a hash for people to compare: hex in groups of four. */
export function hashPrefix(base64: string): string {
  const hex = Uint8Array.fromBase64(base64).toHex().slice(0, HASH_PREFIX).toUpperCase();
  return hex.match(/.{4}/g)!.join(" ");
}

/**
 * One line of what others wrote: no line breaks, nothing that cannot be seen but the joiners that Indian scripts need, not
 * endlessly long.
 */
function oneLine(text: string): string {
  const clean = text.replace(/(?:(?![\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029])+/gu, " ").trim();
  return clean.length > 120 ? `${clean.slice(0, 119)}…` : clean;
}

/** The message with an OTP: what it is for comes with it, so that it cannot be asked for under a pretext. */
export function otpMessage(
  language: Person["language"],
  facts: {
    otp: string;
    client: string;
    purpose: string;
    /** The first document's name and hash (Base64), where they are known. */
    document?: { label: string; hash: string };
    signatures: number;
  },
): Message {
  const words = WORDS[language];
  const { document, signatures } = facts;
  const subject = words.otp(facts.otp, oneLine(facts.client));
  const more = signatures > 1 ? ` (${words.more(signatures - 1)})` : "";
  return {
    subject,
    text: [
      `${subject}.`,
      `${words.purpose}: ${oneLine(facts.purpose)}`,
      `${words.document}: ${document ? oneLine(document.label) : words.unnamed}${more}`,
      ...document ? [`${words.hash}: ${hashPrefix(document.hash)}`] : [],
      words.warn,
    ].join("\n"),
  };
}

/** The message with which a person sets the PIN. */
export function enrolmentMessage(person: Person, link: string, hours: number): Message {
  const words = WORDS[person.language];
  return { subject: words.enrolSubject, text: words.enrol(oneLine(person.name), link, hours) };
}

/** Tells a person that five wrong PINs have locked the credential: if it was not them, they must know. */
export function lockedMessage(person: Person): Message {
  const words = WORDS[person.language];
  return { subject: words.lockedSubject, text: words.locked };
}
