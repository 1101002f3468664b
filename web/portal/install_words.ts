/** What the download page says. `{name}` is filled in. */
import type { Language } from "../i18n/words.ts";
import type { System } from "./install_release.ts";

const en = {
  title: "Install D-Sign",
  intro:
    "D-Sign is the signing program on your computer. It shows what you sign in a window of its own, and takes your PIN there.",
  language: "Language",
  step_get: "Download",
  get: "Download {name}",
  version: "Version {version}, {size}",
  checksum: "Check the file (SHA-256)",
  check_how: "This command must print the same number:",
  other_files: "Files for other computers",
  no_release: "There is no file here. Ask your administrator for D-Sign.",
  no_file: "There is no file for this computer. On phones and tablets D-Sign does not run.",
  which_mac:
    "Your browser does not say which of the two it is: look in the Apple menu, About This Mac. “Apple M…” is arm64, “Intel” is x64.",
  step_install: "Install",
  install_windows:
    "Open the file. It needs no administrator: D-Sign is installed for you alone, and starts.",
  install_macos: "Open the file and follow it. Then start D-Sign from the Applications folder.",
  install_linux:
    "Open the file with the software centre, or ask your administrator. Then start D-Sign from the menu of programs.",
  install_other: "Follow what your administrator tells you, then start D-Sign.",
  step_wait: "D-Sign on this computer",
  look: "D-Sign is started: look for it",
  looking: "Looking for D-Sign on this computer…",
  prompt: "Your browser asks whether this site may reach programs on this computer. Allow it.",
  found: "D-Sign {version} is running.",
  older: "It is older than {version}. Install the new one.",
  step_test: "Test Socket",
  test: "Test Socket",
  testing: "One moment…",
  opened: "Connection opened",
  opened_next: "Everything is ready. You can close this page and open your portal.",
  test_window: "Test through a D-Sign window",
  failed_not_installed: "D-Sign does not answer. Start it, and try again.",
  failed_blocked_by_browser:
    "The browser keeps this page from reaching D-Sign. A window of D-Sign's own may help.",
  failed_permission_denied:
    "The browser was told not to let this site reach programs on this computer. Allow it in the site's settings, next to the address.",
  failed_certificate_untrusted:
    "The browser does not trust D-Sign's certificate. Run “dsign trust install” and restart the browser.",
  failed_outdated: "D-Sign on this computer is too old. Install the version above.",
  failed_user_cancelled: "The window was closed.",
};
export type InstallWord = keyof typeof en;

const bn: typeof en = {
  title: "D-Sign ইনস্টল করুন",
  intro:
    "D-Sign আপনার কম্পিউটারের স্বাক্ষর প্রোগ্রাম। আপনি কী স্বাক্ষর করছেন তা সে নিজের উইন্ডোতে দেখায়, এবং সেখানেই আপনার PIN নেয়।",
  language: "ভাষা",
  step_get: "ডাউনলোড",
  get: "{name} ডাউনলোড করুন",
  version: "সংস্করণ {version}, {size}",
  checksum: "ফাইলটি যাচাই করুন (SHA-256)",
  check_how: "এই কমান্ডটি একই সংখ্যা দেখাবে:",
  other_files: "অন্য কম্পিউটারের ফাইল",
  no_release: "এখানে কোনো ফাইল নেই। D-Sign-এর জন্য আপনার অ্যাডমিনিস্ট্রেটরকে বলুন।",
  no_file: "এই কম্পিউটারের জন্য কোনো ফাইল নেই। ফোন ও ট্যাবলেটে D-Sign চলে না।",
  which_mac:
    "আপনার ব্রাউজার বলে না দুটির মধ্যে কোনটি: Apple মেনুতে About This Mac দেখুন। “Apple M…” হলে arm64, “Intel” হলে x64।",
  step_install: "ইনস্টল",
  install_windows: "ফাইলটি খুলুন। অ্যাডমিনিস্ট্রেটরের দরকার নেই: D-Sign শুধু আপনার জন্য ইনস্টল হয় এবং চালু হয়।",
  install_macos: "ফাইলটি খুলুন এবং নির্দেশ মেনে চলুন। তারপর Applications ফোল্ডার থেকে D-Sign চালু করুন।",
  install_linux:
    "সফটওয়্যার সেন্টার দিয়ে ফাইলটি খুলুন, অথবা আপনার অ্যাডমিনিস্ট্রেটরকে বলুন। তারপর প্রোগ্রামের মেনু থেকে D-Sign চালু করুন।",
  install_other: "আপনার অ্যাডমিনিস্ট্রেটর যা বলেন তা করুন, তারপর D-Sign চালু করুন।",
  step_wait: "এই কম্পিউটারে D-Sign",
  look: "D-Sign চালু করেছি: খুঁজুন",
  looking: "এই কম্পিউটারে D-Sign খোঁজা হচ্ছে…",
  prompt: "এই সাইট কম্পিউটারের প্রোগ্রামে পৌঁছাতে পারবে কি না, ব্রাউজার তা জিজ্ঞাসা করছে। অনুমতি দিন।",
  found: "D-Sign {version} চলছে।",
  older: "এটি {version}-এর চেয়ে পুরোনো। নতুনটি ইনস্টল করুন।",
  step_test: "Test Socket (সংযোগ পরীক্ষা)",
  test: "Test Socket (সংযোগ পরীক্ষা)",
  testing: "এক মুহূর্ত…",
  opened: "সংযোগ খুলেছে",
  opened_next: "সব প্রস্তুত। এই পৃষ্ঠা বন্ধ করে আপনার পোর্টাল খুলতে পারেন।",
  test_window: "D-Sign-এর উইন্ডো দিয়ে পরীক্ষা করুন",
  failed_not_installed: "D-Sign উত্তর দিচ্ছে না। চালু করে আবার চেষ্টা করুন।",
  failed_blocked_by_browser:
    "ব্রাউজার এই পৃষ্ঠাকে D-Sign-এ পৌঁছাতে দিচ্ছে না। D-Sign-এর নিজের উইন্ডোতে কাজ হতে পারে।",
  failed_permission_denied:
    "ব্রাউজারকে বলা আছে এই সাইটকে কম্পিউটারের প্রোগ্রামে পৌঁছাতে না দিতে। ঠিকানার পাশে সাইটের সেটিংসে অনুমতি দিন।",
  failed_certificate_untrusted:
    "ব্রাউজার D-Sign-এর সার্টিফিকেটে বিশ্বাস করে না। “dsign trust install” চালিয়ে ব্রাউজার আবার চালু করুন।",
  failed_outdated: "এই কম্পিউটারের D-Sign খুব পুরোনো। উপরের সংস্করণটি ইনস্টল করুন।",
  failed_user_cancelled: "উইন্ডোটি বন্ধ করা হয়েছে।",
};

const hi: typeof en = {
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

export const INSTALL_WORDS: Record<Language, typeof en> = { en, bn, hi };

export const INSTALL_HOW: Record<System, InstallWord> = {
  windows: "install_windows",
  macos: "install_macos",
  linux: "install_linux",
  other: "install_other",
};
