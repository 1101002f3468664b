/** Hindi (हिन्दी): the download page. */
import type { InstallWords } from "../en/install.ts";

export const hi: InstallWords = {
  title: "D-Sign इंस्टॉल करें",
  intro:
    "D-Sign आपके कंप्यूटर का हस्ताक्षर प्रोग्राम है। आप किस पर हस्ताक्षर कर रहे हैं, वह अपनी विंडो में दिखाता है, और वहीं आपका PIN लेता है।",
  language: "भाषा",
  step_get: "डाउनलोड",
  get: "{name} डाउनलोड करें",
  version: "संस्करण {version}, {size}",
  checksum: "फ़ाइल जाँचें (SHA-256)",
  check_how: "यह कमांड यही संख्या दिखाए:",
  other_files: "दूसरे कंप्यूटरों की फ़ाइलें",
  no_release: "यहाँ कोई फ़ाइल नहीं है। D-Sign के लिए अपने प्रशासक से कहें।",
  no_file: "इस कंप्यूटर के लिए कोई फ़ाइल नहीं है। फ़ोन और टैबलेट पर D-Sign नहीं चलता।",
  which_mac:
    "आपका ब्राउज़र नहीं बताता कि दोनों में से कौन सा है: Apple मेनू में About This Mac देखें। “Apple M…” हो तो arm64, “Intel” हो तो x64।",
  step_install: "इंस्टॉल",
  install_windows:
    "फ़ाइल खोलें। प्रशासक की ज़रूरत नहीं: D-Sign केवल आपके लिए इंस्टॉल होता है और चालू हो जाता है।",
  install_macos: "फ़ाइल खोलें और निर्देशों का पालन करें। फिर Applications फ़ोल्डर से D-Sign चालू करें।",
  install_linux:
    "फ़ाइल को सॉफ़्टवेयर सेंटर से खोलें, या अपने प्रशासक से कहें। फिर प्रोग्रामों के मेनू से D-Sign चालू करें।",
  install_other: "आपके प्रशासक जो बताएँ वह करें, फिर D-Sign चालू करें।",
  step_wait: "इस कंप्यूटर पर D-Sign",
  look: "D-Sign चालू कर दिया: खोजें",
  looking: "इस कंप्यूटर पर D-Sign खोजा जा रहा है…",
  prompt: "ब्राउज़र पूछ रहा है कि यह साइट कंप्यूटर के प्रोग्रामों तक पहुँच सकती है या नहीं। अनुमति दें।",
  found: "D-Sign {version} चल रहा है।",
  older: "यह {version} से पुराना है। नया इंस्टॉल करें।",
  step_test: "Test Socket (कनेक्शन जाँच)",
  test: "Test Socket (कनेक्शन जाँच)",
  testing: "एक क्षण…",
  opened: "कनेक्शन खुल गया",
  opened_next: "सब तैयार है। यह पृष्ठ बंद करके अपना पोर्टल खोल सकते हैं।",
  test_window: "D-Sign की विंडो से जाँचें",
  failed_not_installed: "D-Sign उत्तर नहीं दे रहा। उसे चालू करें और फिर कोशिश करें।",
  failed_blocked_by_browser:
    "ब्राउज़र इस पृष्ठ को D-Sign तक पहुँचने नहीं देता। D-Sign की अपनी विंडो से काम हो सकता है।",
  failed_permission_denied:
    "ब्राउज़र से कहा गया है कि यह साइट कंप्यूटर के प्रोग्रामों तक न पहुँचे। पते के पास साइट की सेटिंग में अनुमति दें।",
  failed_certificate_untrusted:
    "ब्राउज़र D-Sign के प्रमाणपत्र पर भरोसा नहीं करता। “dsign trust install” चलाएँ और ब्राउज़र फिर चालू करें।",
  failed_outdated: "इस कंप्यूटर का D-Sign बहुत पुराना है। ऊपर का संस्करण इंस्टॉल करें।",
  failed_user_cancelled: "विंडो बंद कर दी गई।",
};
