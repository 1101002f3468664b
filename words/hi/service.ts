/** Hindi (हिन्दी): the messages of the PIN/OTP service, the declaration that people consent to, and the page before an eSign service. */
import type { ServiceWords } from "../en/service.ts";

export const hi: ServiceWords = {
  message_otp: "{client} के लिए हस्ताक्षर का OTP {otp}",
  message_purpose: "उद्देश्य",
  message_document: "दस्तावेज़",
  message_more: "और {count} अन्य, कुल {all} हस्ताक्षर",
  message_hash: "हैश का आरंभ",
  message_unnamed: "पोर्टल ने दस्तावेज़ नहीं बताया",
  message_warn:
    "इसे किसी को न दें; जहाँ पिन लिखा है केवल वहीं लिखें। 10 मिनट तक मान्य। यदि आपने नहीं माँगा तो अपने कार्यालय को बताएँ।",
  enrol_subject: "अपना हस्ताक्षर पिन तय करें",
  enrol:
    "{name}, वह पिन तय करें जिससे आप हस्ताक्षर करेंगे: {link}\nलिंक एक बार, {hours} घंटे के भीतर काम करता है। किसी को न भेजें।",
  locked_subject: "आपका हस्ताक्षर पिन बंद हो गया है",
  locked:
    "आपका हस्ताक्षर पिन पाँच बार गलत लिखा गया और बंद हो गया है। यदि यह आपने नहीं किया तो तुरंत अपने कार्यालय को बताएँ। पहचान जाँचकर प्रशासक इसे खोल सकता है।",

  consent:
    "मैं, {name}, ऊपर दिखाया गया पढ़ चुका/चुकी हूँ। अपना पिन और ओटीपी देकर मैं “{purpose}” के उद्देश्य से {count} दस्तावेज़ पर {organization} का विभागीय पिन/ओटीपी हस्ताक्षर करता/करती हूँ।",

  esign_title: "eSign से हस्ताक्षर",
  esign_language: "भाषा",
  esign_ask: "क्या आप eSign से इस पर हस्ताक्षर करना चाहते हैं?",
  esign_kind: "ESP eSign",
  esign_explain:
    "{host} की eSign सेवा आपकी पहचान जाँचती है और केवल इसी हस्ताक्षर के लिए बने प्रमाणपत्र से हस्ताक्षर करती है। यह विभागीय PIN/OTP हस्ताक्षर नहीं है, और DSC टोकन का हस्ताक्षर भी नहीं।",
  esign_asked_by: "कौन माँग रहा है",
  esign_purpose: "उद्देश्य",
  esign_document: "आप किस पर हस्ताक्षर करते हैं",
  esign_show: "दस्तावेज़ पढ़ें (PDF)",
  esign_hash: "हैश (SHA-256)",
  esign_until: "{time} से पहले हस्ताक्षर करें। eSign सेवा के पूछने तक कुछ भी हस्ताक्षरित नहीं होता।",
  esign_go: "eSign सेवा पर जाएँ",
  esign_reject: "हस्ताक्षर नहीं करना",
  esign_over: "यहाँ हस्ताक्षर करने के लिए कुछ नहीं है। लिंक का उपयोग हो चुका है, या वह पुराना है।",
  esign_refused_over: "यह eSign लेन-देन समाप्त हो चुका है। पोर्टल में फिर से शुरू करें।",
  esign_refused: "यह उत्तर मान्य नहीं है, इससे कुछ नहीं बदला। पोर्टल में फिर से शुरू करें।",
};
