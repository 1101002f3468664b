/** Bengali (বাংলা): the entry in the menu of programs. */
import type { DesktopWords } from "../en/desktop.ts";

export const bn: DesktopWords = {
  GenericName: "স্বাক্ষরের প্রোগ্রাম",
  Comment: "পোর্টালের অনুরোধে, আপনার সম্মতি নিয়ে, টোকেন দিয়ে নথিতে স্বাক্ষর করে",
};
