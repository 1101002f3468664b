/** Words of the question for an OTP. */
import type { Language } from "../i18n/words.ts";

interface OtpQuestionWords {
  title: string;
  explain: string;
  documents: string;
  says: string;
  label: string;
  hint: string;
  missing: string;
  resend: string;
  resend_in: string;
  resent: string;
}

export const OTP_QUESTION: Record<Language, OtpQuestionWords> = {
  en: {
    title: "Type the OTP",
    explain: "{service} wants it for the signature that you have just agreed to.",
    documents: "You sign",
    says: "The service says",
    label: "OTP",
    hint: "Give it to nobody. If you did not want to sign, press “Do not sign”.",
    missing: "Type the OTP first.",
    resend: "Send it again",
    resend_in: "It can be sent again in {seconds} seconds.",
    resent: "It was sent again.",
  },
  bn: {
    title: "OTP লিখুন",
    explain: "আপনি এইমাত্র যে স্বাক্ষরে সম্মতি দিয়েছেন, তার জন্য {service} এটি চায়।",
    documents: "আপনি স্বাক্ষর করছেন",
    says: "পরিষেবা জানাচ্ছে",
    label: "OTP",
    hint: "এটি কাউকে দেবেন না। স্বাক্ষর করতে না চাইলে “স্বাক্ষর করব না” টিপুন।",
    missing: "আগে OTP লিখুন।",
    resend: "আবার পাঠান",
    resend_in: "{seconds} সেকেন্ড পরে আবার পাঠানো যাবে।",
    resent: "আবার পাঠানো হয়েছে।",
  },
  hi: {
    title: "OTP लिखें",
    explain: "जिस हस्ताक्षर पर आपने अभी सहमति दी है, उसके लिए {service} इसे माँगता है।",
    documents: "आप हस्ताक्षर कर रहे हैं",
    says: "सेवा कहती है",
    label: "OTP",
    hint: "इसे किसी को न दें। हस्ताक्षर नहीं करना हो तो “हस्ताक्षर न करें” दबाएँ।",
    missing: "पहले OTP लिखें।",
    resend: "फिर से भेजें",
    resend_in: "{seconds} सेकंड बाद फिर से भेजा जा सकता है।",
    resent: "फिर से भेजा गया।",
  },
};
