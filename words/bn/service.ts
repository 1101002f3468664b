/** Bengali (বাংলা): the messages of the PIN/OTP service, the declaration that people consent to, and the page before an eSign service. */
import type { ServiceWords } from "../en/service.ts";

export const bn: ServiceWords = {
  message_otp: "{client}-এর জন্য স্বাক্ষরের ওটিপি {otp}",
  message_purpose: "উদ্দেশ্য",
  message_document: "নথি",
  message_more: "এবং আরও {count}টি, মোট {all}টি স্বাক্ষর",
  message_hash: "হ্যাশের শুরু",
  message_unnamed: "কোন নথি তা পোর্টাল জানায়নি",
  message_warn:
    "এটি কাউকে দেবেন না; যেখানে পিন লিখেছেন শুধু সেখানেই লিখুন। ১০ মিনিট বৈধ। আপনি না চেয়ে থাকলে আপনার দপ্তরকে জানান।",
  enrol_subject: "আপনার স্বাক্ষরের নতুন পিন তৈরি করুন",
  enrol:
    "{name}, এই লিঙ্কে আপনার স্বাক্ষরের পিন তৈরি করুন: {link}\nলিঙ্কটি একবার, {hours} ঘণ্টার মধ্যে কাজ করে। কাউকে পাঠাবেন না।",
  locked_subject: "আপনার স্বাক্ষরের পিন লক হয়ে গেছে",
  locked:
    "আপনার স্বাক্ষরের পিন পাঁচবার ভুল লেখা হয়েছে, তাই এটি লক হয়ে গেছে। আপনি না করে থাকলে এখনই আপনার দপ্তরকে জানান। পরিচয় যাচাই করে সিস্টেম অ্যাডমিনিস্ট্রেটর এটি আনলক করতে পারেন।",

  consent:
    "আমি, {name}, উপরে যা দেখানো হয়েছে তা পড়েছি। আমার পিন ও ওটিপি দিয়ে আমি “{purpose}” উদ্দেশ্যে {count}টি নথিতে {organization}-এর বিভাগীয় পিন/ওটিপি স্বাক্ষর করছি।",

  esign_title: "eSign দিয়ে স্বাক্ষর",
  esign_language: "ভাষা",
  esign_ask: "আপনি কি eSign দিয়ে এটিতে স্বাক্ষর করতে চান?",
  esign_kind: "ESP eSign",
  esign_explain:
    "{host}-এর eSign পরিষেবা আপনার পরিচয় যাচাই করে এবং কেবল এই স্বাক্ষরের জন্য তৈরি একটি সার্টিফিকেট দিয়ে স্বাক্ষর করে। এটি বিভাগীয় পিন/ওটিপি স্বাক্ষর নয়, ডিএসসি টোকেনের স্বাক্ষরও নয়।",
  esign_asked_by: "কে অনুরোধ করছে",
  esign_purpose: "উদ্দেশ্য",
  esign_document: "আপনি যে নথিতে স্বাক্ষর করছেন",
  esign_show: "নথিটি পড়ুন (PDF)",
  esign_hash: "হ্যাশ (SHA-256)",
  esign_until: "{time}-এর আগে স্বাক্ষর করুন। eSign পরিষেবা আপনাকে জিজ্ঞাসা না করা পর্যন্ত কিছুই স্বাক্ষরিত হয় না।",
  esign_go: "eSign পরিষেবায় যান",
  esign_reject: "স্বাক্ষর করব না",
  esign_over: "এখানে স্বাক্ষর করার কিছু নেই। লিঙ্কটি ব্যবহার করা হয়ে গেছে, বা পুরোনো।",
  esign_refused_over: "এই eSign লেনদেন শেষ হয়ে গেছে। পোর্টালে আবার শুরু করুন।",
  esign_refused: "এই উত্তর গ্রাহ্য নয়, এতে কিছুই বদলায়নি। পোর্টালে আবার শুরু করুন।",
};
