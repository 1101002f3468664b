/**
 * `deno task troubleshooting`: writes `docs/troubleshooting.md`, and the same in Bengali and Hindi, from what
 * `dsign doctor` says. A test fails when they are stale.
 */
import { TICKETS } from "../cli/doctor/tickets.ts";
import { DOCTOR_WORDS } from "../words/doctor.ts";
import { type Language, LANGUAGES } from "../words/speech.ts";

const DOCS = new URL("../docs/", import.meta.url);

const HEADS: Record<Language, { title: string; intro: string }> = {
  en: {
    title: "When something does not work",
    intro:
      "`dsign doctor` finds out by itself which of these it is, says what was seen, what it means and what to do, and with `--fix` mends what can be mended without doing harm. It asks for no PIN and tries none. The names are those that it, and `dsign doctor --json`, show. Where it does not help, `dsign support` makes a file for the support desk, without names, numbers or documents.",
  },
  bn: {
    title: "কিছু কাজ না করলে",
    intro:
      "`dsign doctor` নিজেই খুঁজে বের করে এগুলির কোনটি হয়েছে, কী দেখা গেছে, তার অর্থ কী ও কী করতে হবে, এবং `--fix` দিলে যা নিরাপদে ঠিক করা যায় তা ঠিক করে। এটি পিন চায় না, চেষ্টাও করে না। নামগুলি সেই নাম যা `dsign doctor --json` দেখায়। তাতেও না হলে `dsign support` সহায়তা-কেন্দ্রের জন্য একটি ফাইল বানায়, যাতে নাম, নম্বর বা নথি থাকে না।",
  },
  hi: {
    title: "जब कुछ काम न करे",
    intro:
      "`dsign doctor` स्वयं पता लगाता है कि इनमें से क्या हुआ है, क्या देखा गया, उसका अर्थ क्या है और क्या करना है; `--fix` देने पर वह ठीक करता है जो बिना हानि के ठीक हो सकता है। वह पिन नहीं माँगता और न आज़माता है। नाम वही हैं जो `dsign doctor --json` दिखाता है। उससे भी काम न बने तो `dsign support` सहायता केंद्र के लिए एक फ़ाइल बनाता है, जिसमें नाम, नंबर या दस्तावेज़ नहीं होते।",
  },
};

/** Where a language's page stands in `docs/`. */
export const pageName = (language: Language) =>
  language === "en" ? "troubleshooting.md" : `troubleshooting.${language}.md`;

/** The page, formatted as `deno fmt` has it. */
export async function troubleshooting(language: Language): Promise<string> {
  const { tickets, meaning, action } = DOCTOR_WORDS[language];
  const { title, intro } = HEADS[language];
  const others = (Object.keys(LANGUAGES) as Language[]).filter((each) => each !== language)
    .map((each) => `[${HEADS[each].title}](${pageName(each)})`);
  const plain = (text: string) => text.replaceAll("<", "&lt;").replaceAll(/\{(\w+)\}/g, "…");
  const sections = TICKETS.map((id) => {
    const { seen, meaning: means, action: advice } = tickets[id];
    return `## ${id}\n\n${plain(seen)}\n\n**${meaning}:** ${plain(means)}\n\n**${action}:** ${
      plain(advice)
    }\n`;
  });
  const text = `# ${title}\n\n${others.join(" · ")}\n\n${intro}\n\n${sections.join("\n")}`;
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    cwd: DOCS,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = formatter.stdin.getWriter();
  await input.write(new TextEncoder().encode(text));
  await input.close();
  const { success, stdout } = await formatter.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const language of Object.keys(LANGUAGES) as Language[]) {
    await Deno.writeTextFile(new URL(pageName(language), DOCS), await troubleshooting(language));
  }
}
