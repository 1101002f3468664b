/** Hindi (हिन्दी): the entry in the menu of programs. */
import type { DesktopWords } from "../en/desktop.ts";

export const hi: DesktopWords = {
  GenericName: "हस्ताक्षर प्रोग्राम",
  Comment: "पोर्टल के अनुरोध पर, आपकी सहमति लेकर, टोकन से दस्तावेज़ पर हस्ताक्षर करता है",
};
